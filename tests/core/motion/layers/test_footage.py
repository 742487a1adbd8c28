"""A taught motion on a picture: as far and as often as it was learnt, where the mask is, and the same at any size."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from microcinema_core.errors import InputError
from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.layers.footage import Footage
from microcinema_core.motion.moments import Moment
from microcinema_core.motion.plan import Plan
from microcinema_core.motion.taught import Taught

from .surfaced import motion_of, rendered, smooth

SIZE = (192, 128)
# To the right, up and down; the free side is the right one.
FLAG = Taught(0.03, ((1.25, 1.5, 0.0, 0.1, 1.0, 0.5), (2.5, 2.5, 0.3, 0.0, 0.2, 0.0)), ((0.2, 0.8, 1.6),))
RATE = 1.25


def part(size: tuple[int, int] = SIZE) -> torch.Tensor:
    width, height = size
    mask = torch.zeros(height, width)
    mask[height // 8 : -height // 8, width // 8 : -width // 8] = 1
    return mask


def layer(**settings: Any) -> Layer:
    return Layer(LayerKind.TAUGHT, taught=FLAG, **settings)


def moving(**settings: Any) -> Footage:
    surfaces = rendered(smooth(SIZE), motion_of((layer(**settings), part()))).surfaces
    assert surfaces is not None
    found = surfaces.warps[0]
    assert isinstance(found, Footage)
    return found


def fields(of: Footage, seconds: float = 8.0, count: int = 160) -> torch.Tensor:
    """Displacements [T, 2, rows, columns]: of what is seen, not of where it is read."""
    return torch.stack([-of.displaced(Moment(0.5, 0.5, seconds=seconds * i / count)) for i in range(count)])


@pytest.mark.parametrize("seed", range(3))
def test_it_moves_as_far_as_it_was_learnt_whatever_the_seed(seed: int) -> None:
    of = moving(seed=seed)
    mask = part()
    inside = F.grid_sample(fields(of).flatten(0, 1)[:, None], _grid(of, mask), align_corners=True).view(
        160, 2, *mask.shape
    )[..., mask > 0]
    size = inside.square().sum(1).mean().sqrt() / math.sqrt(float(mask.sum()))
    assert size == pytest.approx(FLAG.size, rel=0.05)  # the lattice's edge is not the mask's


def _grid(of: Footage, mask: torch.Tensor) -> torch.Tensor:
    """Where the picture's pixels are on the lattice, for each of its fields."""
    lattice = of.lattice
    x = (torch.arange(mask.shape[1]) + 0.5 - lattice.left) / lattice.across / (lattice.columns - 1) * 2 - 1
    y = (torch.arange(mask.shape[0]) + 0.5 - lattice.top) / lattice.down / (lattice.rows - 1) * 2 - 1
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(320, -1, -1, -1)


def test_its_rate_and_its_speed() -> None:
    for speed in (1.0, 2.0):
        path = fields(moving(speed=speed))[:, 1, 30, 50]
        t = torch.arange(len(path)) * 8.0 / len(path)
        rates = torch.arange(0.2, 6, 0.05)
        energy = (path @ torch.stack([f(2 * math.pi * t[:, None] * rates) for f in (torch.cos, torch.sin)])).norm(dim=0)
        assert float(rates[energy.argmax()]) == pytest.approx(RATE * speed, abs=0.03)


@pytest.mark.parametrize(("direction", "goes"), [(None, 1), (0.0, 1), (180.0, -1)])
def test_waves_go_where_they_did_or_where_they_are_told(direction: float | None, goes: int) -> None:
    path = fields(moving(direction=direction), 0.4, 5)
    before, after = path[0, 1, 30], path[1, 1, 30]  # a tenth of a turn later
    shifts = range(-8, 9)
    alike = [float((before * after.roll(-shift)).sum()) for shift in shifts]
    assert math.copysign(1, shifts[max(range(17), key=alike.__getitem__)]) == goes
    free = path.square().mean(dim=(0, 1, 2))
    left, right = free[: len(free) // 3].mean(), free[-len(free) // 3 :].mean()
    assert (right > 2 * left) == (goes > 0)


def test_its_border_stays_and_nothing_folds() -> None:
    of = moving(amount=1.5)
    seen = fields(of, 2, 20)
    assert seen[..., 0].abs().max() < 0.2  # pixels
    assert seen[..., 0, :].abs().max() < 0.2
    across, down = (seen[:, axis].diff(dim=2 - axis).abs().max() / of.lattice.across for axis in (0, 1))
    assert max(across, down) < 1  # or what is right would be read left of what is left


def test_nothing_outside_its_mask_and_nothing_of_amount_0() -> None:
    picture, mask = smooth(SIZE), part()
    frame = rendered(picture, motion_of((layer(), mask)))[7].picture
    assert (frame - picture).abs().max() > 0.01
    assert torch.equal(frame[:, mask == 0], picture[:, mask == 0])
    assert torch.equal(rendered(picture, motion_of((layer(amount=0.0), mask)))[7].picture, picture)


def test_a_frame_alone_a_seed_and_a_loop() -> None:
    picture, mask = smooth(SIZE), part()
    motion = motion_of((layer(), mask))
    clip = [frame.picture for frame in rendered(picture, motion, 16, 8, loop=True)]
    assert torch.equal(rendered(picture, motion, 16, 8, loop=True)[5].picture, clip[5])
    steps = [float((b - a).abs().mean()) for a, b in zip(clip, [*clip[1:], clip[0]], strict=True)]
    assert 0 < steps[-1] <= 1.05 * max(steps[:-1])
    other = rendered(picture, motion_of((layer(seed=1), mask)), 16, 8, loop=True)[5].picture
    assert (other - clip[5]).abs().max() > 0.01


def test_twice_the_size_is_the_same_motion() -> None:
    double = (2 * SIZE[0], 2 * SIZE[1])
    one = rendered(smooth(SIZE), motion_of((layer(), part())))[9].picture
    two = F.avg_pool2d(rendered(smooth(double), motion_of((layer(), part(double))))[9].picture, 2)
    moved = (one - smooth(SIZE)).abs()[:, part() > 0].mean()
    assert (one - two).abs()[:, part() > 0].mean() < 0.15 * moved


@pytest.mark.parametrize("size", [(24, 16), (1, 1), (3, 40)])
def test_any_picture(size: tuple[int, int]) -> None:
    assert rendered(smooth(size), motion_of((layer(amount=10.0), None)), 5, 2)[3].picture.isfinite().all()


def test_the_kind_and_its_motion_go_together() -> None:
    with pytest.raises(InputError, match="a taught layer needs its motion: give a file of `microcinema teach`"):
        Layer(LayerKind.TAUGHT)
    with pytest.raises(InputError, match="snow takes no taught motion"):
        Layer(LayerKind.SNOW, taught=FLAG)


def test_a_plan_carries_it_whole() -> None:
    plan = Plan(layers=(layer(amount=0.5),))
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("covered", [slice(0, 60), slice(60, None), slice(8, -8), slice(None)])
def test_what_a_region_hides_of_it_changes_nothing_of_its_size(covered: slice) -> None:
    """Of the mask that the ground shows little may be left, or nothing."""
    region = torch.zeros(SIZE[1], SIZE[0])
    region[:, covered] = 1
    motion = motion_of((layer(), part()), region=region)
    assert rendered(smooth(SIZE), motion, 5, 2)[3].picture.isfinite().all()
    surfaces, open_ = rendered(smooth(SIZE), motion, 5, 2).surfaces, moving()
    if surfaces is not None and surfaces.warps:
        assert surfaces.warps[0].patch.area == open_.patch.area
