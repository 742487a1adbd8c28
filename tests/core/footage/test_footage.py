"""Motion read off clips whose motion is known: how far, how often, where to, where, and what is no such motion."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.errors import InputError
from microcinema_core.footage.clips import Clip
from microcinema_core.footage.flow import flow_of, warped
from microcinema_core.footage.learning import learnt_from
from microcinema_core.footage.moving import Moving, moving_in
from microcinema_core.footage.sheet import sheet
from microcinema_core.footage.teaching import Lesson

HIGH, WIDE, FPS, FRAMES = 80, 96, 16.0, 48
RATE, FAR, LONG = 1.4, 1.8, 48.0  # times a second; pixels up and down; pixels of a wave


def texture(seed: int = 0) -> Tensor:
    """[1, 1, h, w], 0..1, detail of a few pixels."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand((1, 1, HIGH // 3, WIDE // 3), generator=generator)
    return F.interpolate(small, (HIGH, WIDE), mode="bicubic").clamp(0, 1)


def clip(moved: Tensor, mask: Tensor | None = None, seed: int = 0) -> Clip:
    """A texture that moves by [T, 2, h, w]: the inverse is near enough, as it is small."""
    frames = warped(texture(seed).expand(len(moved), -1, -1, -1), -moved)
    return Clip("a.mp4", frames, FPS, mask, np.zeros((HIGH, WIDE, 3), np.uint8))


def waving(far: float = FAR) -> Tensor:
    """Waves to the right in the middle of the picture, [T, 2, h, w]."""
    t = torch.arange(FRAMES).view(-1, 1, 1) / FPS
    x, y = torch.arange(WIDE).view(1, 1, -1), torch.arange(HIGH).view(1, -1, 1)
    there = ((x > 11) & (x < 84) & (y > 9) & (y < 70)).float()
    there = F.avg_pool2d(there[None], 5, 1, 2)[0]
    down = far * there * torch.sin(2 * math.pi * (RATE * t - x / LONG))
    return torch.stack([torch.zeros_like(down), down], dim=1)


@cache
def waves() -> Moving:
    return moving_in(clip(waving()))


def test_flow_is_how_far_each_place_goes() -> None:
    moved = waving()
    found = flow_of(clip(moved).frames).moved[:, :, 16:64, 20:76]
    true = moved.diff(dim=0)[:, :, 16:64, 20:76]
    assert (found - true).square().mean().sqrt() < 0.25 * true.square().mean().sqrt()


def test_the_region_is_where_it_moves() -> None:
    left, top, right, bottom = waves().box
    assert 6 <= left <= 18
    assert 4 <= top <= 16
    assert 78 <= right <= 90
    assert 64 <= bottom <= 76
    assert not waves().camera


def test_what_is_learnt_is_what_it_did() -> None:
    learnt = learnt_from([waves()])
    taught = learnt.taught
    left, top, right, bottom = waves().box
    true = waving()[:, :, top:bottom, left:right]
    size = math.sqrt(true[0, 0].numel())  # pixels
    assert taught.rates[0] == pytest.approx(RATE, abs=0.06)
    assert taught.size == pytest.approx(float(true.square().sum(1).mean().sqrt()) / size, rel=0.15)
    _, across, down, sideways, upright, _ = taught.waves[0]
    assert across == pytest.approx(size / LONG, abs=0.3)
    assert abs(down) < 0.3
    assert sideways < 0.3 * upright
    assert taught.travel[0] > 0.5


def test_a_camera_that_shakes_is_taken_out() -> None:
    t = torch.arange(FRAMES).view(-1, 1, 1, 1) / FPS
    shaken = waving() + torch.cat([3 * torch.sin(2 * math.pi * 0.7 * t), 0 * t], dim=1)
    mask = torch.zeros(1, HIGH, WIDE)
    mask[:, 9:70, 11:84] = 1
    found = moving_in(clip(shaken, mask))
    assert found.camera
    taught = learnt_from([found]).taught
    assert taught.rates[0] == pytest.approx(RATE, abs=0.1)
    assert taught.size == pytest.approx(waves().size, rel=0.3)


def test_a_mask_says_where() -> None:
    mask = torch.zeros(1, HIGH, WIDE)
    mask[:, 20:44, 24:60] = 1
    assert moving_in(clip(waving(), mask)).box == (24, 20, 60, 44)


def test_nothing_that_moves_and_what_flows_on_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.mp4: nothing moves in it that can be followed; film nearer, or paint"):
        moving_in(clip(waving(0.0)))
    t = torch.arange(FRAMES).view(-1, 1, 1, 1) / FPS
    away = torch.cat([0 * t, -9 * t], dim=1) * (waving().abs().amax(dim=(0, 1)) > 0.5)
    with pytest.raises(InputError, match=r"a\.mp4: what moves in it flows on and does not come back"):
        moving_in(clip(away))


def test_a_sheet_shows_it() -> None:
    lesson = Lesson(learnt_from([waves()]), (waves(),) * 5, (np.full((HIGH, WIDE, 3), 128, np.uint8),) * 5, ())
    made = sheet(lesson)
    assert made.dtype == np.uint8
    assert made.shape[2] == 3
    middle, corner = made[72, 90], made[8, 8]
    assert int(middle[0]) - int(middle[2]) > 60 > int(corner[0]) - int(corner[2])
