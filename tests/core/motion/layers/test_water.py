"""Waves in perspective, shores that hold, and water that falls."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.layers.water import LENGTHS, RATE, Waves, horizon
from microcinema_core.motion.moments import Moment

from .surfaced import below, motion_of, rendered

SIZE = (480, 270)


def waves(mask: Tensor | None, **settings: float) -> Waves:
    picture = torch.full((3, SIZE[1], SIZE[0]), 0.5)
    surfaces = rendered(picture, motion_of((Layer(LayerKind.WAVES, **settings), mask))).surfaces
    assert surfaces is not None
    found = surfaces.skins[0]
    assert isinstance(found, Waves)
    return found


def test_wave_lengths_follow_perspective() -> None:
    """Crests of a train that comes at us: k (1 / d1 - 1 / d2) / 2 pi of them between depths d1 and d2."""
    sea = waves(below(110, SIZE))
    _, y = sea.lattice.points(sea.patch.mask)
    depth = y[:, 0] / SIZE[1] - sea.horizon
    assert sea.horizon == pytest.approx(horizon(sea.patch))
    for train, length in enumerate(LENGTHS[:6]):
        pair = sea.height.view(len(LENGTHS), 2, sea.lattice.rows, sea.lattice.columns)[train]
        seen = (pair.square().sum(0) > 0).all(dim=1)
        phase = torch.atan2(pair[0], -pair[1])
        steps = (phase.diff(dim=0) + math.pi) % (2 * math.pi) - math.pi
        low, high = int(seen.nonzero()[0]) + 2, len(depth) - 1
        crests = steps[low:high].sum(0).mean().abs() / (2 * math.pi)  # noise bends crests, not their number
        ahead = math.sqrt(max(0.0, 1 - (sea.sides[train] / 0.5) ** 2))  # of a course (cos, sin)
        wanted = ahead * (1 / depth[low] - 1 / depth[high]) / (sea.length * length)
        assert crests == pytest.approx(wanted.item(), rel=0.05, abs=0.1)


def test_longer_waves_are_faster_by_deep_water_dispersion() -> None:
    sea = waves(below(110, SIZE))
    basis = sea.height.double().T
    angles = []
    for seconds in (0.0, 0.1):
        down = sea.field(Moment(0.5, 0.5, seconds=seconds))[1].flatten().double() / SIZE[1]
        cosines, sines = torch.linalg.lstsq(basis, down[:, None]).solution.view(-1, 2).T
        angles.append(torch.atan2(sines, cosines))
    rates = (angles[1] - angles[0]) / (2 * math.pi * 0.1)
    wanted = RATE / torch.tensor(LENGTHS, dtype=torch.float64).sqrt()
    assert torch.allclose(rates, wanted, rtol=0.02)


def test_waves_grow_towards_the_viewer_and_are_higher_than_wide() -> None:
    sea = waves(below(110, SIZE))
    fields = torch.stack([sea.field(Moment(0.5, 0.5, seconds=0.37 * i)) for i in range(12)])
    right, down = fields[:, :2].square().mean(dim=(0, 3)).sqrt()
    rows = len(down)
    assert down[: rows // 8].mean() < 0.1 * down[-rows // 8 :].mean()
    assert 0.002 * SIZE[1] < down[-rows // 8 :].mean() < 0.008 * SIZE[1]
    assert right.mean() < 0.6 * down.mean()


def test_slopes_do_not_fold_the_picture() -> None:
    for mask in (below(110, SIZE), None):
        sea = waves(mask)
        fields = torch.stack([sea.field(Moment(0.5, 0.5, seconds=0.37 * i))[1] for i in range(12)])
        slopes = fields.diff(dim=1) / sea.lattice.down
        assert (slopes < -1).float().mean() < 0.01


@pytest.mark.parametrize("shape", ["sea", "pond", "everything"])
def test_no_land_comes_into_the_water(shape: str) -> None:
    """Two colours: red land and blue water, that rise and fall by several pixels."""
    mask = below(110, SIZE)
    if shape == "pond":
        mask = torch.zeros(SIZE[1], SIZE[0])
        x, y = torch.arange(SIZE[0])[None], torch.arange(SIZE[1])[:, None]
        mask[((x - 200) / 90) ** 2 + ((y - 190) / 30) ** 2 < 1] = 1
    if shape == "everything":
        mask = torch.ones(SIZE[1], SIZE[0])
    picture = torch.zeros(3, SIZE[1], SIZE[0])
    picture[0], picture[2] = 0.8 * (1 - mask), 0.6 * mask
    frames = rendered(picture, motion_of((Layer(LayerKind.WAVES, amount=3.0), mask)))
    wet = -F.max_pool2d(-mask[None], 3, 1, 1)[0] > 0
    for i in (3, 17, 40):
        frame = frames[i].picture
        assert frame[0][wet].max() < 1 / 255
        assert frame[2][wet].min() > 0.4
        assert torch.equal(frame[:, mask == 0], picture[:, mask == 0])


def test_glints_are_light_on_bright_water_and_never_clip() -> None:
    mask = below(110, SIZE)
    brighter = []
    for grey in (0.1, 0.7, 0.98):
        picture = torch.full((3, SIZE[1], SIZE[0]), grey)
        frame = rendered(picture, motion_of((Layer(LayerKind.WAVES, amount=2.0), mask)))[5].picture
        brighter.append((frame - picture).max().item())
        assert frame.max() < 1
    assert brighter[1] > 0.05
    assert brighter[1] > 5 * brighter[0]


def test_water_falls_along_its_heading_and_stays_in_its_mask() -> None:
    """Stripes across the fall go down at its speed, and keep their contrast while copies fade into each other."""
    mask = torch.zeros(SIZE[1], SIZE[0])
    mask[40:230, 150:330] = 1
    y = torch.arange(SIZE[1], dtype=torch.float32)[:, None].expand(SIZE[1], SIZE[0])
    picture = (0.5 + 0.2 * torch.sin(2 * math.pi * y / 9))[None].repeat(3, 1, 1)
    frames = rendered(picture, motion_of((Layer(LayerKind.FALLS), mask)), 49, 48)
    clip = torch.stack([frames[i].picture[0, 80:180, 240] for i in range(40)])
    assert clip.std(dim=1).min() > 0.5 * picture[0, 80:180, 240].std()
    for before, after in itertools.pairwise(clip[:7]):
        shift = [(before[20:-20] - after[20 + k : 80 + k]).square().mean().item() for k in (-2, -1, 0, 1, 2)]
        assert shift.index(min(shift)) == 3  # 0.16 heights a second: a pixel down
    assert torch.equal(frames[7].picture[:, mask == 0], picture[:, mask == 0])
