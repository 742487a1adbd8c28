"""A scene with a depth picture: its planes go their own ways, and standing still changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from microcinema_core.errors import InputError
from microcinema_core.motion.easing import Ease
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, DepthKind, Plan, Region, Relief
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut
from microcinema_core.motion.tracks import tracked

WIDTH, HEIGHT = 160, 120
NEAR = (slice(None), slice(40, 80), slice(60, 100))


def noise() -> Tensor:
    return torch.rand((3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))


def square() -> Tensor:
    """A near square before a far wall."""
    depth = torch.zeros(1, HEIGHT, WIDTH)
    depth[NEAR] = 1
    return depth


def made(picture: Tensor, depth: Tensor, camera: Camera, planes: int = 8, regions: tuple[Region, ...] = ()) -> Renderer:
    plan = Plan(camera, regions, relief=Relief(planes=planes), ease=Ease.LINEAR, keyframe_at=0.0)
    masks = (None,) * len(regions)
    return Renderer(cut(picture, Motion(plan, masks, depth)).filled(), Moments(plan, 2, 1.0))


def test_two_planes_shift_by_whole_pixels_exactly() -> None:
    """The near one by 16 pixels, the far one, four times as far, by 4; bit for bit."""
    picture = noise()
    frame = made(picture, square(), Camera(horizontal=16 / WIDTH))[1]
    assert torch.equal(frame.picture[:, 40:80, 44:84], picture[NEAR])
    far = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    far[36:84, 40:104] = False  # the near square, before and after, and what it hid
    far[:, WIDTH - 8 :] = False
    shifted = torch.zeros_like(picture)
    shifted[:, :, : WIDTH - 4] = picture[:, :, 4:]
    assert torch.equal(frame.picture[:, far], shifted[:, far])
    assert bool((frame.unknown[0, 44:76, 86:94] == 1).all())  # behind the square
    assert float(frame.unknown[0, :, : WIDTH // 4].max()) == 0


def test_standing_still_is_the_picture_bit_for_bit() -> None:
    picture, slope = noise(), torch.linspace(0, 1, WIDTH).expand(1, HEIGHT, WIDTH)
    renderer = made(picture, slope, Camera(horizontal=0.1))
    assert torch.equal(renderer[0].picture, picture)
    assert not renderer[0].unknown.any()
    near_still = made(picture, slope, Camera(horizontal=1e-7))[1]
    assert float((near_still.picture - picture).abs().max()) < 1e-4


def test_any_number_of_planes_takes_the_memory_of_one() -> None:
    slope = torch.linspace(0, 1, WIDTH).expand(1, HEIGHT, WIDTH)
    few, many = (made(noise(), slope, Camera(horizontal=0.1), planes) for planes in (4, 32))
    textures = [{id(layer.texture) for layer in renderer.layers} for renderer in (few, many)]
    assert [len(held) for held in textures] == [2, 2]
    assert [len(renderer.layers) for renderer in (few, many)] == [8, 64]


def test_brightness_may_mean_distance() -> None:
    camera = Camera(horizontal=16 / WIDTH)
    plan = Plan(camera, relief=Relief(kind=DepthKind.DISTANCE), ease=Ease.LINEAR, keyframe_at=0.0)
    scene = cut(noise(), Motion(plan, depth=1 - square())).filled()
    frame = Renderer(scene, Moments(plan, 2, 1.0))[1]
    assert torch.equal(frame.picture, made(noise(), square(), camera)[1].picture)


def test_a_region_stands_where_its_depth_is() -> None:
    polygon = ((0.4, 0.35), (0.6, 0.35), (0.6, 0.65), (0.4, 0.65))
    renderer = made(noise(), square(), Camera(horizontal=0.1), regions=(Region(polygon=polygon),))
    (region,) = (layer.plate for layer in renderer.layers if layer.plate.region is not None)
    assert region.distance == pytest.approx(1.0, abs=0.05)


def test_points_go_with_their_planes() -> None:
    renderer = made(noise(), square(), Camera(horizontal=16 / WIDTH))
    tracks = tracked(renderer, torch.tensor([[80.0, 60.0], [20.0, 20.0], [56.0, 60.0]]))
    gone = (tracks.places[1] - tracks.places[0])[:, 0].tolist()
    assert gone == pytest.approx([-16, -4, -4], abs=1e-4)
    assert tracks.visible.tolist() == [[True] * 3, [True, True, False]]  # the square comes before the third


def test_a_depth_picture_of_another_size_is_scaled() -> None:
    small = torch.nn.functional.interpolate(square()[None], scale_factor=0.5, mode="area")[0]
    frame = made(noise(), small, Camera(horizontal=16 / WIDTH))[1]
    assert torch.equal(frame.picture[:, 44:76, 48:80], noise()[:, 44:76, 64:96])


@pytest.mark.parametrize(
    ("depth", "says"),
    [
        (torch.full((1, HEIGHT, WIDTH), 0.5), "one grey"),
        (torch.full((1, HEIGHT, WIDTH), torch.nan), "no numbers"),
        (torch.zeros(1, 0, 5), "must be grey"),
        (torch.zeros(3, 5, 5), "must be grey"),
    ],
)
def test_a_depth_picture_that_says_nothing_is_refused(depth: Tensor, says: str) -> None:
    with pytest.raises(InputError, match=says):
        made(noise(), depth, Camera(horizontal=0.1))


def test_a_camera_that_runs_into_the_nearest_plane_is_refused() -> None:
    plan = Plan(Camera(dolly=0.9), keyframe_at=0.0)
    near = Plan(Camera(dolly=0.9), (Region(distance=0.5),), keyframe_at=0.0)
    cut(noise(), Motion(plan))
    with pytest.raises(InputError, match=r"runs into a region at distance 0\.5"):
        cut(noise(), Motion(near, (torch.ones(HEIGHT, WIDTH),)))
