"""Filling: what is known stays, what is not continues it."""

import pytest
import torch
from torch import Tensor

from microcinema_core.motion.fill import fill


def strip(height: int, width: int, unknown: int) -> Tensor:
    """All is known but the last columns, [1, H, W]."""
    known = torch.ones(1, height, width)
    known[..., width - unknown :] = 0
    return known


def waves(height: int, width: int) -> Tensor:
    """Slanted waves and a slope, [3, H, W]."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    wave = 0.5 + 0.2 * torch.sin(0.6 * y + 0.2 * x) + 0.2 * x / width
    return torch.stack([wave, wave.flip(0), wave * 0.5])


@pytest.mark.parametrize("size", [(1, 1), (1, 13), (13, 1), (2, 3), (31, 47), (64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_known_comes_back_bit_for_bit_at_any_size(size: tuple[int, int], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(4, *size, generator=generator).to(dtype)
    known = (torch.rand(1, *size, generator=generator) > 0.5).to(dtype)
    filled = fill(picture, known)
    assert filled.dtype == dtype
    assert torch.equal(filled[:, known[0] == 1], picture[:, known[0] == 1])
    assert filled.isfinite().all()


def test_everything_known_is_the_picture_and_nothing_known_is_black() -> None:
    picture = waves(37, 53)
    assert torch.equal(fill(picture, torch.ones(1, 37, 53)), picture)
    assert not fill(picture, torch.zeros(1, 37, 53)).any()


@pytest.mark.parametrize("texture", [0.0, 0.6])
def test_one_colour_is_continued_whatever_the_unknown_holds(texture: float) -> None:
    picture = torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1).expand(3, 61, 83).clone()
    known = torch.ones(1, 61, 83)
    known[:, 20:50, 30:] = 0
    known[:, :3] = 0
    truth = picture.clone()
    picture[:, known[0] == 0] = torch.nan
    torch.testing.assert_close(fill(picture, known, texture), truth)


def test_edges_go_on_in_their_direction() -> None:
    """A horizon runs on level beyond the edge, where a membrane would blur it into one grey."""
    picture = torch.zeros(3, 128, 128)
    picture[:, 64:] = 1
    known = strip(128, 128, 32)
    filled = fill(picture * known, known)
    assert (filled - picture)[..., -16:].abs().mean() < 0.05
    step = filled[0, 72:80, -8:].mean() - filled[0, 48:56, -8:].mean()
    assert step > 0.9  # a membrane leaves less than half of it


@pytest.mark.parametrize("axis", [0, 1])
def test_the_border_has_no_seam(axis: int) -> None:
    picture = waves(96, 160)
    known = strip(96, 160, 40)
    filled = fill(picture * known, known)
    if axis:  # what is true of columns is true of rows
        turned = fill((picture * known).transpose(1, 2), known.transpose(1, 2)).transpose(1, 2)
        filled = turned
    steps = filled.diff(dim=2).abs().mean((0, 1))
    assert steps[119] <= 1.3 * steps[103:119].mean()  # from column 119 to 120


def test_turning_the_picture_turns_the_filling() -> None:
    """No side is preferred: sides are even, so that cells of the pyramid turn with the picture."""
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    known = torch.ones(1, 64, 64)
    known[:, 20:41, 9:33] = 0
    filled = fill(picture * known, known)
    turned = fill((picture * known).rot90(dims=(1, 2)), known.rot90(dims=(1, 2)))
    torch.testing.assert_close(turned, filled.rot90(dims=(1, 2)), atol=1e-5, rtol=0)


def test_half_known_pixels_are_half_kept() -> None:
    picture = torch.full((1, 32, 32), 0.25)
    picture[:, 16, 16] = 1.0
    known = torch.ones(1, 32, 32)
    known[:, 16, 16] = 0.5
    kept = fill(picture, known)[0, 16, 16].item()
    assert kept == pytest.approx(0.625, abs=0.06)  # its cell's mean holds half of it too


def test_corners_without_a_known_row_or_column_are_filled() -> None:
    picture = waves(64, 64)
    known = torch.zeros(1, 64, 64)
    known[:, :40, :40] = 1
    filled = fill(picture * known, known)
    corner = filled[:, 44:, 44:]
    assert corner.std() > 0.02  # detail has come round the corner
    assert (corner.mean() - picture.mean()).abs() < 0.15
