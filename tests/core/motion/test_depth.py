"""Depth: what is near moves further, nothing stretches between, nothing tears, and standing still changes nothing."""

import math
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from microcinema_core.errors import InputError
from microcinema_core.motion.depth import bands, disparity, levels, sharpened, sheets
from microcinema_core.motion.plan import DepthKind, Relief

from .compositor import composed, rubber, stretched

SIDE = 128
RANGE, PLANES = Relief().range, 8


def noise(height: int = SIDE, width: int = SIDE) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


def box(far: float = 0.25, near: float = 1.0) -> Tensor:
    """A near square in front of a far wall, [1, H, W]."""
    depth = torch.full((1, SIDE, SIDE), far)
    depth[:, 40:80, 50:90] = near
    return depth


def scene(softness: int) -> Tensor:
    """Two things on a floor that comes nearer, edges blurred by so many pixels, [1, H, W]."""
    y = torch.linspace(0, 1, SIDE).view(1, -1, 1).expand(1, SIDE, SIDE)
    depth = 0.25 + 0.4 * (y - 0.3).clamp_min(0)
    depth[:, 30:100, 70:95] = 0.7
    depth[:, 60:110, 20:50] = 1.0
    kernel = 2 * softness + 1
    return F.avg_pool2d(F.pad(depth, (softness,) * 4, mode="replicate"), kernel, 1)


@pytest.mark.parametrize("kind", DepthKind)
def test_two_greys_become_the_nearest_and_the_farthest(kind: DepthKind) -> None:
    depth = box(0.4, 0.6)
    far, near = (0.4, 0.6) if kind == DepthKind.DISPARITY else (0.6, 0.4)
    made = disparity(depth, kind, RANGE)
    assert (made[depth == near] == 1).all()
    assert (made[depth == far] == 1 / RANGE).all()


def test_distance_is_the_inverse_of_disparity() -> None:
    ramp = torch.linspace(0, 1, 65).view(1, 1, -1).expand(1, 9, -1)
    made = disparity(ramp, DepthKind.DISTANCE, farthest=3)
    distance = (1 / made)[0, 4, 1:-1]  # the very ends count from the third pixel
    assert torch.allclose(distance.diff(), distance.diff().mean(), atol=1e-5)
    assert (distance.min(), distance.max()) == (pytest.approx(1, abs=1e-5), pytest.approx(3, abs=1e-5))


def test_a_speck_does_not_flatten_the_rest() -> None:
    depth = box(0.4, 0.6)
    depth[:, 5, 5] = 1
    assert (disparity(depth, DepthKind.DISPARITY, RANGE)[:, 40:80, 50:90] == 1).all()


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (torch.full((1, 8, 8), 0.5), "one grey"),
        (torch.full((1, 8, 8), math.nan), "no numbers"),
        (torch.zeros(1, 0, 8), "empty"),
    ],
)
def test_a_depth_picture_without_depth_is_refused(depth: Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        disparity(depth, DepthKind.DISPARITY, RANGE)


@pytest.mark.parametrize("softness", [1, 2, 4])
def test_soft_edges_become_sharp_and_slopes_stay(softness: int) -> None:
    hard = box().repeat_interleave(4, 1).repeat_interleave(4, 2)
    soft = F.avg_pool2d(F.pad(hard, (softness,) * 4, mode="replicate"), 2 * softness + 1, 1)
    sharp = sharpened(soft)
    skirt = 0.1 * 0.75  # of an edge, which may keep its own value
    assert not ((sharp > 0.25 + skirt) & (sharp < 1 - skirt)).any()
    assert ((sharp > 0.6) == (hard > 0.6)).float().mean() > 0.995
    slope = torch.linspace(0.25, 1, 512).view(1, 1, -1).expand(1, 64, -1)
    assert torch.equal(sharpened(slope), slope)


def test_planes_stand_where_the_picture_is() -> None:
    assert levels(box(), 8) == [0.25, 1.0]
    assert levels(box(0.25, 0.375), 8) == [0.25, 0.375]
    ramp = torch.linspace(0.25, 1, 4096).view(1, 64, 64)
    made = torch.tensor(levels(ramp, 6))
    assert torch.allclose(made.diff(), torch.full((5,), 0.75 / 6), rtol=0.03)
    assert levels(torch.full((1, 4, 4), 0.5), 4) == [0.5]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_disparity_is_wholly_on_one_plane(count: int) -> None:
    stood = torch.linspace(0.25, 1, count).tolist()
    values = torch.linspace(0.2, 1.1, 2001)
    for behind in (False, True):
        planes = bands(stood, behind=behind)
        shown = torch.stack([band.alpha(values) for band in planes])
        assert (shown.amax(0) == 1).all()
        assert (shown >= 0).all()
    front = [band.alpha(torch.tensor(stood)) for band in bands(stood)]
    assert torch.equal(torch.stack(front), torch.eye(count))


@pytest.mark.parametrize("softness", [0, 1, 3])
def test_standing_still_is_the_picture_bit_for_bit(softness: int) -> None:
    picture, depth = noise(), scene(softness)
    assert torch.equal(composed(sheets(picture, depth, 24, PLANES), 0.0)["picture"], picture)


def test_two_planes_shift_by_whole_pixels_and_nothing_lies_between() -> None:
    """Levels 1/4 and 1: twelve pixels move the wall by three and the square by twelve."""
    picture = noise()
    seen = composed(sheets(picture, box(), 12, PLANES), 12.0)
    assert torch.equal(seen["picture"][:, 40:80, 62:102], picture[:, 40:80, 50:90])
    wall = torch.ones(SIDE, SIDE, dtype=torch.bool)
    wall[:, :3] = False
    wall[40:80, 53:102] = False  # the square, where it was and where it is
    assert torch.equal(seen["picture"][:, wall], picture.roll(3, 2)[:, wall])
    shift = torch.arange(SIDE) - seen["source"][0]
    assert set(shift[:, 12:].unique().tolist()) == {3.0, 12.0}


def test_what_was_hidden_is_filled_from_behind_alone() -> None:
    wall, square = torch.tensor([0.2, 0.4, 0.6]), torch.tensor([0.9, 0.1, 0.1])
    picture = torch.where(box() == 1, square.view(3, 1, 1), wall.view(3, 1, 1))
    seen = composed(sheets(picture, box(), 9, PLANES), 12.0)["picture"]
    torch.testing.assert_close(seen[:, 40:80, 53:62], wall.view(3, 1, 1).expand(3, 40, 9), atol=0.01, rtol=0)


@pytest.mark.parametrize("softness", [1, 2, 3])
def test_no_rubber_sheet(softness: int) -> None:
    """A mesh over the same depth draws more than one pixel in a hundred out or together more than three times."""
    picture, depth = noise(), scene(softness)
    seen = composed(sheets(picture, depth, 20, PLANES), 20.37)
    assert rubber(seen["source"][..., 22:], seen["owner"][:, 22:]) < 1e-3
    assert rubber(stretched(picture, depth, 20.37)[1][..., 22:]) > 0.01


@pytest.mark.parametrize("planes", [8, 16])
@pytest.mark.parametrize("right", [-30.0, 17.3, 40.0])
def test_a_slope_does_not_tear(planes: int, right: float) -> None:
    ramp = torch.linspace(0.25, 1, 512).view(1, 1, -1).expand(1, 32, -1)
    seen = composed(sheets(noise(32, 512), ramp, 30, planes), right)
    inside = seen["covered"][..., 40:-40]
    assert (inside < 1).float().mean() == 0


def peak(planes: int) -> int:
    """Most bytes of tensors alive at once while a frame is composed of so many planes."""

    class Ledger(TorchDispatchMode):
        alive, most = 0, 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and not out._is_view():
                storage = out.untyped_storage()
                self.alive += storage.nbytes()
                weakref.finalize(out, self.freed, storage.nbytes())
                self.most = max(self.most, self.alive)
            return out

        def freed(self, size: int) -> None:
            self.alive -= size

    made = sheets(noise(), scene(2), 20, planes)
    with Ledger() as ledger:
        composed(made, 10.0)
    return ledger.most


def test_memory_is_constant_in_the_number_of_planes() -> None:
    assert peak(32) <= 1.05 * peak(4)
