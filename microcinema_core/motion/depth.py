"""A depth picture becomes soft planes: two sheets, each plane a band of their disparity.

Disparity is one over distance, 1 at the keyframe's plane. The front sheet is the picture, the back sheet what lies
behind the near sides of its depth edges. A plane is no picture of its own: its alpha follows from the disparity that is
resampled with the colour, so that any number of planes takes the memory of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError
from .fill import fill
from .plan import DepthKind

EDGE = 0.1  # a larger range of disparity within a blurred edge's width is an edge, a smaller one a slope
EDGES_PER_SIDE = 128  # a blurred edge's half width is the longer side divided by this: depth networks have one size
STEP = 0.05  # between neighbours of a sharpened disparity: an edge
OWN = 0.1  # of an edge's height: so near to one side, a pixel belongs there as it is
SUPPORT = 2  # pixels that a resample's kernel reaches
OVERLAP = 0.25  # of the gap between two planes: how far the farther goes on under the nearer
BINS = 1024  # of the histogram from which planes are chosen
ROUNDS = 50  # of Lloyd's algorithm


def disparity(depth: Tensor, kind: DepthKind, farthest: float) -> Tensor:
    """A depth picture [1, H, W] of any scale as disparity [1, H, W] in 1/farthest..1.

    The ends are what fills three pixels somewhere, not percentiles: a small near thing counts, a speck does not. Raises
    InputError for an empty or constant picture and for values that are no numbers.
    """
    if depth.numel() == 0 or not depth.isfinite().all():
        what = "is empty" if depth.numel() == 0 else "holds values that are no numbers"
        raise InputError(f"the depth picture {what}; give a grey picture, bright where it is near")
    depth = depth.to(torch.promote_types(depth.dtype, torch.float32))
    least, most = highest(depth, 1).min(), _lowest(depth, 1).max()
    if least >= most:
        least, most = depth.min(), depth.max()
    if least == most:
        raise InputError("the depth picture is one grey all over: nothing is nearer than the rest; leave it out")
    share = ((depth - least) / (most - least)).clamp(0, 1)
    if kind == DepthKind.DISTANCE:
        return 1 / torch.lerp(torch.ones_like(share), torch.full_like(share, farthest), share)
    return torch.lerp(torch.full_like(share, 1 / farthest), torch.ones_like(share), share)


def sharpened(disparity: Tensor) -> Tensor:
    """Soft edges of [1, H, W] snapped to their near or their far side; slopes stay as they are."""
    width = max(1, round(max(disparity.shape[-2:]) / EDGES_PER_SIDE))
    for _ in range(3):  # an edge wider than the window becomes steeper at first
        far, near = _lowest(disparity, width), highest(disparity, width)
        height = near - far
        snapped = torch.where(disparity - far > near - disparity, near, far)
        soft = (height > EDGE) & ((disparity - snapped).abs() > OWN * height)
        disparity = torch.where(soft, snapped, disparity)
    return disparity


def levels(disparity: Tensor, count: int) -> list[float]:
    """At most `count` disparities of planes, far to near: means of the groups nearest to them (Lloyd).

    Where there are no more values than planes, these values.
    """
    flat = disparity.detach().flatten().double().cpu()
    least, most = flat.min(), flat.max()
    if least == most:
        return [least.item()]
    bins = ((flat - least) / (most - least) * (BINS - 1)).round().long()
    pixels = torch.bincount(bins, minlength=BINS).double()
    sums = torch.bincount(bins, flat, minlength=BINS)
    pixels, sums = pixels[pixels > 0], sums[pixels > 0]
    means = sums / pixels
    if len(means) <= count:
        return means.to(disparity.dtype).tolist()
    centres = torch.linspace(least.item(), most.item(), count, dtype=torch.float64)
    for _ in range(ROUNDS):
        nearest = torch.bucketize(means, (centres[1:] + centres[:-1]) / 2)
        held = torch.bincount(nearest, pixels, minlength=len(centres))
        centres = (torch.bincount(nearest, sums, minlength=len(centres)) / held)[held > 0]
    return centres.to(disparity.dtype).tolist()


@dataclass(frozen=True, slots=True)
class Band:
    """The disparities of one plane: nothing up to `start`, all from `full` to `last`, nothing from `end`."""

    level: float  # where the plane stands
    start: float = -math.inf
    full: float = -math.inf
    last: float = math.inf
    end: float = math.inf

    @property
    def whole(self) -> bool:
        """Whether it shows everything."""
        return self.start == -math.inf and self.end == math.inf

    def alpha(self, disparity: Tensor) -> Tensor:
        """How much of a pixel of this disparity the plane shows: [...] -> [...], 0..1."""
        alpha = torch.ones_like(disparity)
        if self.start > -math.inf:
            alpha = ((disparity - self.start) / (self.full - self.start)).clamp(0, 1)
        if self.end < math.inf:
            alpha = alpha * ((self.end - disparity) / (self.end - self.last)).clamp(0, 1)
        return alpha


def bands(levels: list[float], *, behind: bool = False) -> list[Band]:
    """The planes of the front sheet or, `behind`, of the back sheet, far to near.

    Each disparity is wholly on one plane, and a plane goes on a little under the next, so that a slope does not tear.
    Those of the back sheet go on for ever: what would show beside its near parts is hidden by the front. They begin
    where those of the front sheet are whole: of two pixels as near as each other the front sheet's is seen.
    """
    made = [Band(level) for level in levels]
    for k, (far, near) in enumerate(pairwise(levels)):
        middle, part = (far + near) / 2, OVERLAP * (near - far)
        if behind:
            made[k + 1] = replace(made[k + 1], start=middle, full=middle + part)
        else:
            made[k + 1] = replace(made[k + 1], start=middle - part, full=middle)
            made[k] = replace(made[k], last=middle + part, end=near)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Sheets:
    """A picture with its depth.

    front: [5, H, W], colour, disparity, matte (0 beside a near edge, where the back sheet shows the same pixel).
    back: [5, H, W], colour, disparity, known (0 where it is filled). levels: disparities of the planes, far to near.
    """

    front: Tensor
    back: Tensor
    levels: list[float]


def sheets(picture: Tensor, disparity: Tensor, reach: int, planes: int) -> Sheets:
    """The two sheets of a picture [3, H, W] and its disparity [1, H, W].

    reach: how far two planes move against each other at most, in pixels: so far behind its near edges the back sheet is
    filled, from the far side alone.
    """
    sharp = sharpened(disparity.to(picture))
    near = highest(sharp, 1)
    edge = torch.where(near - sharp > STEP, (near + sharp) / 2, math.inf)  # halfway up, at the far side
    rim, beside = (highest(sharp, wide) - sharp > STEP for wide in (SUPPORT, 2 * SUPPORT))
    # More than is ever seen, as what is further inside would be a source; what an edge stands before is behind it.
    hidden = (sharp > _lowest(edge, 3 * reach + 1)) & ~beside
    source = (~hidden & ~rim).to(picture)  # a picture's edges are soft too: the rim has some of the near side's colour
    colour = torch.where(hidden, fill(picture, source), picture)
    depth = torch.where(hidden, fill(sharp, source, texture=0).minimum(sharp), sharp)
    # The front sheet's edges are its matte's alone: where that is not 0 in a kernel's reach, disparity is one side's.
    front = torch.where(rim, highest(sharp, SUPPORT), sharp)
    return Sheets(
        torch.cat([picture, front, (~beside).to(picture)]),
        torch.cat([colour, depth, (~hidden).to(picture)]),
        levels(sharp, planes),
    )


def highest(values: Tensor, reach: int) -> Tensor:
    """The most within `reach` pixels, in a square: [1, H, W] -> same, at a cost that hardly grows with reach."""
    for dim in (-1, -2):
        values = _highest_along(values, min(reach, values.shape[dim] - 1), dim)
    return values


def _lowest(values: Tensor, reach: int) -> Tensor:
    return -highest(-values, reach)


def _highest_along(values: Tensor, reach: int, dim: int) -> Tensor:
    """Of windows of one, two, four and so on, then of two that overlap."""
    pad = (reach, reach) if dim == -1 else (0, 0, reach, reach)
    length = values.shape[dim]
    most, size = F.pad(values, pad, value=-math.inf), 1
    while size < 2 * reach + 1:
        step = min(size, 2 * reach + 1 - size)
        kept = most.shape[dim] - step
        most = torch.maximum(most.narrow(dim, 0, kept), most.narrow(dim, step, kept))
        size += step
    return most.narrow(dim, 0, length)
