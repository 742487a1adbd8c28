"""Smooth random fields that repeat in both directions, the same for a seed on every device and at every size."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 256  # samples of a tile's side
OCTAVES = 5


def seeds(seed: int, number: int, count: int) -> list[int]:
    """So many seeds of fields that have nothing in common, for one seed. number: of what they are for."""
    return [int(drawn) for drawn in np.random.default_rng([seed, number]).integers(2**63, size=count)]


def tile(seed: int, cells: int = 4, octaves: int = OCTAVES, side: int = SIDE) -> Tensor:
    """A field [1, side, side] of mean 0 and deviation 1, on the CPU: `cells` swells on a side, and finer ones."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, side, side)
    for octave in range(octaves):
        count = cells * 2**octave
        if count > side:
            break
        lattice = torch.randn((1, 1, count, count), generator=generator)
        total += 0.5**octave * _smooth(lattice, side)
    return (total - total.mean()) / total.std()


def _smooth(lattice: Tensor, side: int) -> Tensor:
    """A periodic lattice [1, 1, n, n] -> [1, side, side], by bicubic interpolation."""
    margin = 3
    count = lattice.shape[-1]
    wide = F.pad(lattice, (margin,) * 4, mode="circular") if count >= margin else lattice.repeat(1, 1, 7, 7)
    extra = (wide.shape[-1] - count) // 2
    fine = F.interpolate(wide, scale_factor=side / count, mode="bicubic", align_corners=False)
    start = round(extra * side / count)
    return fine[0, :, start : start + side, start : start + side]


def sampled(tile: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The field at x, y of any equal shape, in sides of the tile, which repeats for ever: the same shape."""
    wide = F.pad(tile[None], (0, 1, 0, 1), mode="circular")
    # Of n samples, k lies at k / n; grid_sample's -1 and 1 are the first and the last of n + 1.
    grid = torch.stack([2 * (x - x.floor()) - 1, 2 * (y - y.floor()) - 1], dim=-1)
    flat = F.grid_sample(wide.to(grid), grid.reshape(1, 1, -1, 2), align_corners=True)
    return flat.reshape(x.shape)
