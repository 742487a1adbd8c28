"""Where the multiplane camera puts things, against rays traced in float64 (`rays.py`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rays import landing, walked_back, within

from microcinema_core.motion.easing import Ease
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.plates import View
from microcinema_core.motion.render import Frame, Renderer
from microcinema_core.motion.scene import Motion, cut
from microcinema_core.motion.tracks import tracked

SIZE = (512, 384)
BOX = (150.0, 120.0, 330.0, 280.0)  # of the region
HOLE = (BOX[0] - 1, BOX[1] - 1, BOX[2] + 1, BOX[3] + 1)  # what a region's edge touches is no background
PIVOT = (240.0, 200.0)
CLEAR = (12.0, 12.0, SIZE[0] - 12.0, SIZE[1] - 12.0)  # a kernel nearer to the edge reads what is filled
MOVES: list[dict[str, float]] = [
    {"horizontal": 0.2},
    {"horizontal": -0.15},
    {"vertical": 0.25},
    {"vertical": -0.1},
    {"dolly": 0.3},
    {"dolly": -0.3},
    {"pan": 12.0},
    {"pan": -25.0},
    {"tilt": 9.0},
    {"tilt": -14.0},
    {"zoom": 1.4},
    {"zoom": 0.7},
    {"roll": 17.0},
    {"roll": -40.0},
    {"pan": 10.0, "tilt": -7.0, "roll": 12.0, "zoom": 1.2, "horizontal": 0.1, "vertical": -0.1, "dolly": 0.1},
]
PATHS: list[dict[str, float]] = [
    {"horizontal": 0.3},
    {"vertical": 0.2},
    {"zoom": 1.5},
    {"zoom": 0.6},
    {"roll": 50.0},
    {"horizontal": -0.2, "vertical": 0.1, "zoom": 1.2, "roll": -30.0},
]


def ramps(size: tuple[int, int] = SIZE) -> torch.Tensor:
    """A picture [3, H, W] whose red and green tell a pixel's own place."""
    width, height = size
    x = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    y = (torch.arange(height, dtype=torch.float64) + 0.5) / height
    across, down = x.expand(height, width), y[:, None].expand(height, width)
    return torch.stack([across, down, torch.zeros_like(across)]).float()


def mask() -> torch.Tensor:
    drawn = torch.zeros(SIZE[1], SIZE[0])
    left, top, right, bottom = (int(v) for v in BOX)
    drawn[top:bottom, left:right] = 1
    return drawn


def renderer(plan: Plan, masks: tuple[Any, ...] = (), frames: int = 9, view: View | None = None) -> Renderer:
    return Renderer(cut(ramps(), Motion(plan, masks), view).filled(), Moments(plan, frames, 2.0), view)


def told(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """The places that a frame of `ramps` shows, in pixels."""
    red, green = frame.picture[:2].double().numpy()
    return red * SIZE[0], green * SIZE[1]


def shares(plan: Plan, frames: int = 9) -> list[float]:
    """Of the move, at each frame around a keyframe in the middle."""
    e = {Ease.LINEAR: lambda u: u, Ease.EASE_IN_OUT: lambda u: 3 * u**2 - 2 * u**3}[plan.ease]
    return [e(i / (frames - 1)) - e(0.5) for i in range(frames)]


def furthest(frame: Frame, place: tuple[np.ndarray, np.ndarray], clear: np.ndarray) -> float:
    x, y = told(frame)
    return max(float(np.abs(x - place[0])[clear].max()), float(np.abs(y - place[1])[clear].max()))


def shrunk(area: np.ndarray, by: int = 1) -> np.ndarray:
    """Without what is within so many pixels of its border."""
    grown = torch.nn.functional.max_pool2d(torch.from_numpy(~area)[None].float(), 2 * by + 1, 1, by)[0] > 0
    return ~grown.numpy()


@pytest.mark.parametrize("dials", MOVES, ids=str)
def test_a_camera_move_is_where_rays_put_it(dials: dict[str, float]) -> None:
    """Within 0.01 pixel where the keyframe is seen, and at most a pixel beside the border of what is unknown."""
    plan = Plan(Camera(**dials), ease=Ease.LINEAR)
    check_against_rays(renderer(plan), 1.0, dials)


@pytest.mark.parametrize("dials", [MOVES[0], MOVES[4], MOVES[-1]], ids=str)
def test_a_plane_at_another_distance_is_where_rays_put_it(dials: dict[str, float]) -> None:
    """A region as large as the picture."""
    plan = Plan(Camera(**dials), (Region(distance=1.7),), ease=Ease.LINEAR)
    check_against_rays(renderer(plan, (torch.ones(SIZE[1], SIZE[0]),)), 1.7, dials)


def check_against_rays(made: Renderer, distance: float, dials: dict[str, float]) -> None:
    for index in (0, 6):
        place = landing(SIZE, shares(made.scene.plan)[index], distance=distance, **dials)
        known = within(place, (0, 0, *SIZE))
        frame = made[index]
        clear = shrunk(within(place, CLEAR))
        assert clear.sum() > 20_000
        assert furthest(frame, place, clear) < 0.01
        unknown = frame.unknown[0].numpy() > 0.5
        assert not (unknown & shrunk(known)).any()
        assert not (~unknown & shrunk(~known)).any()


@pytest.mark.parametrize("dials", PATHS, ids=str)
@pytest.mark.parametrize("camera", [{}, {"pan": 8.0, "zoom": 1.1}], ids=["still", "moving"])
def test_a_regions_path_is_where_rays_put_it(dials: dict[str, float], camera: dict[str, float]) -> None:
    pivot = (PIVOT[0] / SIZE[0], PIVOT[1] / SIZE[1])
    plan = Plan(Camera(**camera), (Region(**dials, distance=0.9, pivot=pivot),), ease=Ease.LINEAR)
    made = renderer(plan, (mask(),))
    for index in (0, 6):
        share = shares(plan)[index]
        on_plane = landing(SIZE, share, distance=0.9, **camera)
        place = walked_back(on_plane, SIZE, share, PIVOT, **dials)
        region = within(place, BOX)
        assert region.sum() > 5_000
        assert furthest(made[index], place, shrunk(region, 12)) < 0.01
        behind = landing(SIZE, share, **camera)
        uncovered = (within(behind, HOLE) | ~within(behind, (0, 0, *SIZE))) & ~region
        unknown = made[index].unknown[0].numpy() > 0.5
        near = 2 if camera else 1  # a pixel of the picture that the lens enlarges
        assert not (unknown & shrunk(~uncovered, near)).any()
        assert not (~unknown & shrunk(uncovered, near)).any()


@pytest.mark.parametrize(
    ("dial", "value", "goes"),
    [
        ("horizontal", 0.1, (-1, 0)),
        ("vertical", 0.1, (0, 1)),
        ("pan", 5.0, (-1, 0)),
        ("tilt", 5.0, (0, 1)),
    ],
)
def test_what_the_camera_sees_goes_the_other_way(dial: str, value: float, goes: tuple[int, int]) -> None:
    """Content goes left as the camera goes or turns right, and down as it goes or turns up."""
    moved = _step(Plan(Camera(**{dial: value}), keyframe_at=0.0), (256.0, 192.0))
    assert np.array_equal(np.sign(np.round(moved)), goes)


@pytest.mark.parametrize(
    ("dial", "value", "goes"),
    [("dolly", 0.3, (1, 0)), ("zoom", 1.3, (1, 0)), ("roll", 20.0, (0, -1))],
)
def test_what_is_right_of_the_middle(dial: str, value: float, goes: tuple[int, int]) -> None:
    """Goes out as the camera comes nearer, and up as it rolls clockwise."""
    moved = _step(Plan(Camera(**{dial: value}), keyframe_at=0.0), (356.0, 192.0))
    assert np.array_equal(np.sign(np.where(np.abs(moved) > 8, moved, 0)), goes)


@pytest.mark.parametrize(
    ("dial", "value", "start", "goes"),
    [
        ("horizontal", 0.1, (240.0, 200.0), (1, 0)),
        ("vertical", 0.1, (240.0, 200.0), (0, -1)),
        ("zoom", 1.5, (300.0, 200.0), (1, 0)),
        ("roll", 20.0, (300.0, 200.0), (0, 1)),
    ],
)
def test_a_regions_dials_move_the_region(
    dial: str, value: float, start: tuple[float, float], goes: tuple[int, int]
) -> None:
    """Right, up, larger, clockwise."""
    moved = _step(Plan(regions=(Region(**{dial: value}),), keyframe_at=0.0), start, (mask(),))
    assert np.array_equal(np.sign(np.where(np.abs(moved) > 8, moved, 0)), goes)


def _step(plan: Plan, start: tuple[float, float], masks: tuple[Any, ...] = ()) -> np.ndarray:
    """How far a point of the keyframe is seen to go, in pixels; the frames themselves agree with the track."""
    made = renderer(plan, masks, 2)
    ends = tracked(made, torch.tensor([start])).places[:, 0].numpy()
    x, y = told(made[1])
    column, row = (int(v) for v in ends[1])
    assert abs(x[row, column] - start[0]) < 2
    assert abs(y[row, column] - start[1]) < 2
    return ends[1] - ends[0]


def test_parallax_is_by_distance() -> None:
    """Twice as far, half as much."""
    plan = Plan(Camera(horizontal=0.2), (Region(distance=2.0),), keyframe_at=0.0)
    points = torch.tensor([[240.0, 200.0], [40.0, 40.0]])
    near_and_far = tracked(renderer(plan, (mask(),), 2), points).places
    gone = (near_and_far[1] - near_and_far[0])[:, 0]
    assert gone.tolist() == pytest.approx([-0.1 * SIZE[0], -0.2 * SIZE[0]], abs=1e-3)


def test_the_keyframe_is_the_picture_bit_for_bit() -> None:
    picture = torch.rand((3, 60, 90), generator=torch.Generator().manual_seed(0))
    moving = Plan(Camera(pan=9, zoom=1.3, shake=1.0), (Region(horizontal=0.2),))
    still = Plan(Camera(), (Region(), Region(distance=0.5)))
    half = torch.rand((60, 90), generator=torch.Generator().manual_seed(1))
    for plan, masks, where in ((moving, (half,), [4]), (still, (half, half), range(9))):
        made = Renderer(cut(picture, Motion(plan, masks)).filled(), Moments(plan, 9, 2.0))
        assert made.moments.keyframe == 4
        for index in where:
            assert torch.equal(made[index].picture, picture)
            assert not made[index].unknown.any()


def test_a_frame_of_any_count_and_rate_is_the_same() -> None:
    plan = Plan(Camera(pan=9, shake=0.5), duration=4.0, seed=3)
    scene = cut(ramps(), Motion(plan)).filled()
    few, many = (Renderer(scene, Moments(plan, *count)) for count in ((9, 2.0), (129, 32.0)))
    for index in (0, 3, 8):
        assert torch.equal(few[index].picture, many[16 * index].picture)


def test_a_million_frames_answer_at_any_time() -> None:
    plan = Plan(Camera(horizontal=0.2), keyframe_at=0.0, ease=Ease.LINEAR)
    moments = Moments(plan, 10_000_000, 60.0)
    assert moments[9_999_999].u == 1.0
    assert moments[5_000_000].u == pytest.approx(0.5, abs=1e-6)
    made = Renderer(cut(ramps(), Motion(plan)).filled(), moments)
    place = landing(SIZE, 0.5, horizontal=0.2)
    assert furthest(made[5_000_000], place, shrunk(within(place, CLEAR))) < 0.02


def test_a_loop_comes_back_without_a_jump() -> None:
    plan = Plan(Camera(horizontal=0.3))
    moments = Moments(plan, 64, 32.0, loop=True)
    steps = [abs(plan.done(moments[(i + 1) % 64].u) - plan.done(moments[i].u)) for i in range(64)]
    assert steps[63] <= max(steps[:63])
    assert steps[63] < 0.01
    assert moments[moments.keyframe].u == moments[0].key


@pytest.mark.parametrize("size", [(256, 192), (300, 300), (200, 384), (1024, 768)])
def test_frames_of_another_size_are_cut_out_of_the_middle(size: tuple[int, int]) -> None:
    """The same view at every size: a pixel's place is that of the frame cut out of the picture and scaled."""
    plan = Plan(Camera(pan=6, horizontal=0.05), ease=Ease.LINEAR, keyframe_at=0.0)
    view = View.covering(*size, SIZE)
    made = renderer(plan, (), 2, view)
    scale = min(SIZE[0] / size[0], SIZE[1] / size[1])
    x, y = landing(size, 1.0, pan=6, horizontal=0.05)
    place = ((x - size[0] / 2) * scale + SIZE[0] / 2, (y - size[1] / 2) * scale + SIZE[1] / 2)
    clear = shrunk(within(place, CLEAR))
    assert clear.mean() > 0.5
    assert furthest(made[1], place, clear) < 0.02  # of the picture's pixels
    assert not made[0].unknown.any()


def test_the_whole_picture_in_a_frame_of_another_shape() -> None:
    made = renderer(Plan(), (), 2, View.around(512, 512, SIZE))[0]
    assert torch.equal(made.unknown[0, :64], torch.ones(64, 512))
    assert not made.unknown[0, 64:-64].any()
    assert torch.equal(made.picture[:, 64:-64], ramps())
    assert made.picture[:, :60].std() > 0


def test_what_is_in_front() -> None:
    """The higher order, then the nearer, then the later."""
    whole = torch.ones(SIZE[1], SIZE[0])
    regions = [Region(distance=2.0, order=1), Region(distance=0.5), Region(distance=0.9), Region(distance=0.9)]
    plan = Plan(regions=tuple(regions))
    drawn = [layer.plate.region for layer in renderer(plan, (whole,) * 4).layers]
    assert [plan.regions.index(region) if region else None for region in drawn] == [None, 2, 2, 1, 0]
    later = replace(regions[3], horizontal=0.1)
    drawn = [layer.plate.region for layer in renderer(Plan(regions=(*regions[:3], later)), (whole,) * 4).layers]
    assert drawn[1:3] == [regions[2], later]


def test_what_is_filled_stands_still_under_a_still_camera() -> None:
    """The hole that a region leaves and the strip beyond the edge are filled once, so no frame changes them."""
    noise = torch.rand((3, SIZE[1], SIZE[0]), generator=torch.Generator().manual_seed(0))
    plan = Plan(regions=(Region(horizontal=0.3),), ease=Ease.LINEAR, keyframe_at=0.0)
    view = View.around(SIZE[0], SIZE[0], SIZE)
    made = Renderer(cut(noise, Motion(plan, (mask(),)), view).filled(), Moments(plan, 9, 2.0), view)
    last, before = made[8], made[7]
    both = (last.unknown == 1) & (before.unknown == 1)
    assert both[:, 64:-64].sum() > 10_000
    assert both[:, :64].all()
    assert torch.equal(last.picture[:, both[0]], before.picture[:, both[0]])
