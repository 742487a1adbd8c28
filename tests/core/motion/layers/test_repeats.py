"""Parts that swing, spin, bob and breathe: as given at the keyframe, and where the formula says in between."""

import math

import pytest
import torch

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.layers.breathe import GROWN, Breathe
from microcinema_core.motion.layers.breathe import RATE as BREATH
from microcinema_core.motion.layers.repeats import BOB, BOB_RATE, SPIN_RATE, SWING, SWING_RATE
from microcinema_core.motion.leaving import leaving
from microcinema_core.motion.moments import Moment
from microcinema_core.motion.tracks import tracked

from .surfaced import motion_of, rendered, smooth

SIZE = (240, 160)
BOX = (100, 60, 140, 110)  # left, top, right, bottom
MIDDLE = (120.0, 85.0)


def part() -> torch.Tensor:
    mask = torch.zeros(SIZE[1], SIZE[0])
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    return mask


@pytest.mark.parametrize("kind", [LayerKind.SWING, LayerKind.SPIN, LayerKind.BOB, LayerKind.BREATHE])
def test_the_keyframe_is_as_given(kind: LayerKind) -> None:
    frames = rendered(smooth(SIZE), motion_of((Layer(kind), part())))
    assert torch.equal(frames[24].picture, smooth(SIZE))


@pytest.mark.parametrize(
    ("kind", "rate", "degrees", "pivot"),
    [
        (LayerKind.SWING, SWING_RATE, SWING, (120.0, 60.0)),
        (LayerKind.SPIN, SPIN_RATE, 90.0, MIDDLE),
    ],
)
def test_parts_turn_about_their_pivot(kind: LayerKind, rate: float, degrees: float, pivot: tuple[float, float]) -> None:
    """A quarter of a cycle after the keyframe."""
    fps = 4 * rate * 10
    frames = rendered(smooth(SIZE), motion_of((Layer(kind), part())), 41, fps)
    point = (110.0, 100.0)
    places = tracked(frames, torch.tensor([point, (20.0, 20.0)])).places
    angle = math.radians(degrees)
    x, y = point[0] - pivot[0], point[1] - pivot[1]
    wanted = (
        pivot[0] + x * math.cos(angle) - y * math.sin(angle),
        pivot[1] + x * math.sin(angle) + y * math.cos(angle),
    )
    assert torch.allclose(places[30, 0], torch.tensor(wanted), atol=0.01)
    assert torch.allclose(places[:, 1], torch.tensor([20.0, 20.0]), atol=1e-3)
    assert leaving(frames) == ""


def test_bobbing_goes_along_its_heading_and_shows_what_is_behind() -> None:
    picture = smooth(SIZE)
    picture[:, part() > 0] = 1.0
    layer = Layer(LayerKind.BOB, amount=4.0, direction=0.0)
    frames = rendered(picture, motion_of((layer, part())), 41, 4 * BOB_RATE * 10)
    far = 4 * BOB * SIZE[1]
    places = tracked(frames, torch.tensor([MIDDLE])).places[:, 0]
    assert torch.allclose(places[30] - places[20], torch.tensor([far, 0.0]), atol=0.01)
    after = frames[30].picture
    assert after[:, 70:100, BOX[2] + 2 : BOX[2] + int(far) - 2].min() > 0.99
    assert after[:, 70:100, BOX[0] + 2 : BOX[0] + int(far) - 2].max() < 0.9
    assert frames[30].unknown[0, 85, BOX[0] + 5] == 1


def test_one_part_may_bob_and_swing_and_go_away() -> None:
    """The same mask is the same part, of a region too."""
    mask = part()
    layers = [(Layer(LayerKind.BOB), mask), (Layer(LayerKind.SWING), mask.clone())]
    frames = rendered(smooth(SIZE), motion_of(*layers, region=mask))
    assert [len(plate.repeats) for plate in frames.scene.plates] == [0, 2]
    place = tracked(frames, torch.tensor([[120.0, 60.0]])).places[48, 0]  # the pivot
    wave = math.sin(2 * math.pi * BOB_RATE)
    assert torch.allclose(place, torch.tensor([120 + 0.1 * SIZE[0], 60 - BOB * SIZE[1] * wave]), atol=0.01)


def test_what_spins_at_the_edge_reaches_beyond_it() -> None:
    mask = torch.zeros(SIZE[1], SIZE[0])
    mask[40:120, :30] = 1
    frames = rendered(smooth(SIZE), motion_of((Layer(LayerKind.SPIN), mask)))
    left, top, right, bottom = frames.scene.box
    assert left < 0
    assert (top, right, bottom) == (0, *SIZE) or right >= SIZE[0]
    assert frames[3].picture.isfinite().all()


def test_breath_grows_from_below_and_leaves_the_border() -> None:
    mask = torch.zeros(SIZE[1], SIZE[0])
    mask[20:160, 60:180] = 1
    frames = rendered(smooth(SIZE), motion_of((Layer(LayerKind.BREATHE), mask)))
    assert frames.surfaces is not None
    breath = frames.surfaces.warps[0]
    assert isinstance(breath, Breathe)
    field = breath.displaced(Moment(0.5, 0.5, seconds=0.5 / BREATH))  # the most
    x, y = breath.lattice.points(field)
    row, column = int((y[:, 0] - 80).abs().argmin()), int((x[0] - 120).abs().argmin())
    assert field[1, row, column] == pytest.approx((160 - y[row, 0].item()) * GROWN / (1 + GROWN), rel=0.02)
    assert field[0, row, column].abs() < 0.02
    for i in (0, 40):
        frame = frames[i].picture
        assert torch.equal(frame[:, mask == 0], smooth(SIZE)[:, mask == 0])
        assert (frame - smooth(SIZE)).abs().max() > 0.001
