"""Soft ellipses drawn into a picture of optical depth: antialiased, moved by parts of a pixel, all at once.

A stamp is exp(-(q' C^-1 q)^k), q from its middle: C holds its own shape, its way while the shutter is open and a
pixel's width, so that what is thinner than a pixel or fast becomes fainter and keeps its sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

FAINTEST = 1 / 512  # of its middle: where a stamp ends
PIXEL = 0.3  # variance of a pixel, in its squares: a sum over pixels is then right to half a hundredth
TINY = (0.8, 2.0)  # pixels: a radius up to which a stamp is Gaussian, and from which it is as hard as it should be
SIDES = np.array([3, 5, 7, 9, 11, 13, 17, 21, 27, 35, 45, 59, 77, 101, 131, 171, 223, 289, 377, 491, 639, 831, 1081])
AT_ONCE = 1_000_000  # pixels of stamps


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """N ellipses. All lengths are pixels of the frame.

    middle: [N, 2], x and y in continuous coordinates. radius, narrow: [N], half their length, and the share of it that
    is half their width. angle: [N], radians of the length, clockwise from the right. way: [N, 2], where they go while
    the shutter is open. depth: [N], optical depth in the middle of one at rest. shade: [N], 0..1, of their two colours.
    """

    middle: Floats
    radius: Floats
    narrow: Floats
    angle: Floats
    way: Floats
    depth: Floats
    shade: Floats

    def at(self, chosen: NDArray[np.bool_]) -> Stamps:
        return Stamps(*(getattr(self, name)[chosen] for name in self.__slots__))


def spread(hard: float) -> float:
    """Variance along an axis of a stamp of radius 1 and an exponent `hard`."""
    return math.gamma(2 / hard) / (2 * math.gamma(1 / hard))


def stamp(total: Tensor, stamps: Stamps, hard: float, size: tuple[int, int]) -> None:
    """Add optical depth, and optical depth times shade, to `total` [1 or 2, height * width] of a frame.

    hard: 1 is Gaussian, more is flatter with an edge. size: width, height.
    """
    width, height = size
    power = 1 + (hard - 1) * np.clip((stamps.radius - TINY[0]) / (TINY[1] - TINY[0]), 0, 1)
    shape, peak = _shapes(stamps, power, hard)
    reach = np.log(1 / FAINTEST) ** (0.5 / power[:, None]) * np.sqrt(shape[:, [0, 2]])
    x, y = stamps.middle.T
    seen = (x + reach[:, 0] > 0) & (x - reach[:, 0] < width) & (y + reach[:, 1] > 0) & (y - reach[:, 1] < height)
    seen &= peak > FAINTEST / 4
    sides = SIDES[np.minimum(np.searchsorted(SIDES, 2 * np.minimum(reach, SIDES[-1] / 2) + 1), len(SIDES) - 1)]
    inverse = shape[:, [2, 1, 0]] * (1.0, -1.0, 1.0) / (shape[:, 0] * shape[:, 2] - shape[:, 1] ** 2)[:, None]
    facts = np.column_stack([stamps.middle, inverse, peak, stamps.shade, power])
    patches = np.where(seen, sides[:, 0] * SIDES[-1] * 2 + sides[:, 1], 0)
    for patch in np.unique(patches[seen]):
        group = facts[patches == patch]
        wide, tall = divmod(int(patch), int(SIDES[-1]) * 2)
        for part in np.array_split(group, math.ceil(len(group) * wide * tall / AT_ONCE)):
            _add(total, part, (wide, tall), size)


def _shapes(stamps: Stamps, power: Floats, hard: float) -> tuple[Floats, Floats]:
    """Of each stamp: xx, xy and yy of its C, [N, 3], and its depth in the middle, [N]. power: [N], its exponent."""
    c, s = np.cos(stamps.angle), np.sin(stamps.angle)
    long, wide = stamps.radius**2, (stamps.radius * stamps.narrow) ** 2
    dx, dy = stamps.way.T
    one, sums = _table(power)
    xx = long * c * c + wide * s * s + (dx * dx / 12 + PIXEL) / one
    yy = long * s * s + wide * c * c + (dy * dy / 12 + PIXEL) / one
    same = math.gamma(1 + 1 / hard) / sums
    xy = (long - wide) * c * s + dx * dy / 12 / one
    return np.column_stack([xx, xy, yy]), stamps.depth * same * np.sqrt(long * wide / (xx * yy - xy * xy))


@lru_cache(maxsize=1)
def _known() -> tuple[Floats, Floats, Floats]:
    """Exponents, and for each as `_table`."""
    known = np.linspace(1, 4, 301)
    one, sums = np.array([(spread(k), math.gamma(1 + 1 / k)) for k in known.tolist()]).T
    return known, one, sums


def _table(power: Floats) -> tuple[Floats, Floats]:
    """For exponents [N]: variances of stamps of radius 1, and their sums over pi."""
    known, one, sums = _known()
    return np.interp(power, known, one), np.interp(power, known, sums)


def _add(total: Tensor, facts: Floats, patch: tuple[int, int], size: tuple[int, int]) -> None:
    """Add n stamps of one patch size. facts: [n, 8], middle, inverse of C, depth, shade and exponent."""
    (wide, tall), (width, height) = patch, size
    corner = np.floor(facts[:, :2]) - (wide // 2, tall // 2)
    offset = torch.from_numpy(corner + 0.5 - facts[:, :2]).to(total)[:, :, None]
    left, top = torch.from_numpy(corner.astype(np.int64)).to(total.device).T
    xx, xy, yy, peak, shade, power = torch.from_numpy(facts[:, 2:]).to(total).T[:, :, None, None]
    across, down = torch.arange(wide, device=total.device), torch.arange(tall, device=total.device)
    x, y = (offset[:, 0] + across)[:, None], (offset[:, 1] + down)[:, :, None]
    square = (xx * x * x + yy * y * y).addcmul_(2 * xy * x, y).clamp_(min=0)
    square = square if bool((facts[:, -1] == 1).all()) else square.pow_(power)
    values = square.neg_().exp_().mul_(peak)
    columns, rows = left[:, None] + across, top[:, None] + down
    values *= ((columns >= 0) & (columns < width))[:, None]
    values *= ((rows >= 0) & (rows < height))[:, :, None]
    place = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    # index_put_ adds in a fixed order on every device, which index_add_ does not.
    place = place.flatten()
    total[0].index_put_((place,), values.flatten(), accumulate=True)
    if len(total) > 1:
        total[1].index_put_((place,), (values * shade).flatten(), accumulate=True)
