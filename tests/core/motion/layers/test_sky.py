"""Clouds drift by perspective before a land that stands; stars stay in the sky."""

import math

import pytest
import torch

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.layers.sky import SLOWEST, SPEED
from microcinema_core.motion.plan import Camera

from .surfaced import below, motion_of, rendered

SIZE = (320, 180)
LAND = 120  # row


def ramp() -> torch.Tensor:
    """A picture [3, H, W] whose red tells x and whose green tells y, in pixels by 1000; blue land."""
    picture = torch.zeros(3, SIZE[1], SIZE[0])
    picture[0] = (torch.arange(SIZE[0]) + 0.5) / 1000
    picture[1] = ((torch.arange(SIZE[1]) + 0.5) / 1000)[:, None]
    picture[:, LAND:] = torch.tensor([0.0, 0.0, 0.9])[:, None, None]
    return picture


@pytest.mark.parametrize("direction", [0.0, 180.0])
def test_clouds_drift_slower_towards_the_horizon(direction: float) -> None:
    sky = 1 - below(LAND, SIZE)
    frames = rendered(ramp(), motion_of((Layer(LayerKind.CLOUDS, direction=direction), sky)), 97, 24)
    seconds = (80 - 48) / 24
    frame = frames[80].picture
    for row in (5, 40, 80, 110):
        share = SLOWEST + (1 - SLOWEST) * (1 - (row + 0.5) / LAND)
        wanted = math.cos(math.radians(direction)) * SPEED * seconds * share * SIZE[1]
        found = (ramp()[0, row] - frame[0, row])[40:-40].mean() * 1000
        assert found == pytest.approx(wanted, abs=0.02)
    assert torch.equal(frames[48].picture, ramp()) or (frames[48].picture - ramp()).abs()[:, : LAND - 2].max() < 1e-4


def test_the_land_stands_bit_for_bit_and_none_of_it_comes_into_the_sky() -> None:
    sky = 1 - below(LAND, SIZE)
    frames = rendered(ramp(), motion_of((Layer(LayerKind.CLOUDS, amount=3.0, direction=70.0), sky)), 240, 10)
    for i in (0, 60, 100, 239):
        frame = frames[i].picture
        assert torch.equal(frame[:, LAND:], ramp()[:, LAND:])
        assert frame[2, :LAND].max() < 1 / 255


def test_two_copies_keep_the_contrast_of_one() -> None:
    picture = torch.rand(3, *SIZE[::-1], generator=torch.Generator().manual_seed(0))
    picture = 0.5 + 0.8 * (torch.nn.functional.avg_pool2d(picture, 3, 1, 1) - 0.5)
    frames = rendered(picture, motion_of((Layer(LayerKind.CLOUDS), None)), 49, 2)  # 24 s: a period
    contrast = [frames[i].picture[:, 10:-10, 10:-10].std().item() for i in range(0, 49, 6)]
    assert min(contrast) > 0.85 * max(contrast)


def night() -> torch.Tensor:
    return torch.full((3, SIZE[1], SIZE[0]), 0.05)


def test_stars_shine_where_the_sky_is_dark_alone() -> None:
    sky, picture = 1 - below(LAND, SIZE), night()
    picture[:, :, 160:] = 0.6
    frame = rendered(picture, motion_of((Layer(LayerKind.STARS), sky)))[5].picture
    changed = (frame - picture > 1 / 255).any(dim=0)
    assert 0.01 < changed[:LAND, :160].float().mean() < 0.3
    assert not changed[LAND:].any()
    assert not changed[:, 160:].any()
    assert (frame - picture).min() > -1e-6


def test_stars_twinkle_and_more_of_them_are_more() -> None:
    frames = rendered(night(), motion_of((Layer(LayerKind.STARS), None)))
    assert 0.05 < (frames[0].picture - frames[11].picture).abs().max() < 0.5
    light = [
        (rendered(night(), motion_of((Layer(LayerKind.STARS, amount=amount), None)))[5].picture - night()).sum()
        for amount in (0.5, 2.0)
    ]
    assert 2.5 < light[1] / light[0] < 6


def test_stars_go_with_the_picture() -> None:
    camera = Camera(horizontal=0.1)
    moving = rendered(night(), motion_of((Layer(LayerKind.STARS), None), camera=camera), 9, 4)
    still = rendered(night(), motion_of((Layer(LayerKind.STARS), None)), 9, 4)
    moved, given = moving[8].picture[0], still[8].picture[0]
    shift = round(0.05 * SIZE[0])
    assert torch.allclose(moved[:, 10 : -shift - 10], given[:, shift + 10 : -10], atol=1e-4)
