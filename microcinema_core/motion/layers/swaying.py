"""Where and how far a part of the picture may be displaced, so that nothing tears at its border."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..depth import highest
from .patch import Lattice, Patch

STEPS = 6  # at which the distance to the border is taken


def inner(patch: Patch, lattice: Lattice, wide: float) -> Tensor:
    """[1, rows, columns]: 0 outside the mask and at its border, growing to 1 at `wide` heights of the picture inside.

    What is narrower has as much as it is deep. Beyond the picture, all is as at its edge.
    """
    apart = wide * patch.height / STEPS
    soft = max(1, round(apart / 2))
    least = math.ceil(max(lattice.across, lattice.down)) + 1 + soft  # between points, a field is a mean of theirs
    total = sum(1 - highest(1 - patch.mask, least + round(apart * step)) for step in range(STEPS))
    assert isinstance(total, Tensor)
    wider = F.pad(total[None] / STEPS, (soft,) * 4, mode="replicate")
    return at_points(F.avg_pool2d(wider, 2 * soft + 1, 1)[0], lattice)


def rising(patch: Patch, lattice: Lattice, high: float, below: float) -> Tensor:
    """[1, rows, columns]: how high a point stands in its column of the mask, from 0 at the foot, never above 1.

    high: heights of the picture at which it is nearly 1. below: so much lower is the foot of what the picture's lower
    edge cuts off.
    """
    stands = patch.mask[0] > 0.5
    rows = torch.arange(stands.shape[0], device=stands.device)[:, None]
    # The first row below a point that is no longer of the mask.
    foot = torch.where(stands, stands.shape[0], rows).flip(0).cummin(dim=0).values.flip(0)
    up = (foot - rows).to(patch.mask) + torch.where(foot == stands.shape[0], below * patch.height, 0.0)
    share = -torch.expm1(-up.clamp(min=0) / (high * patch.height)) * stands
    return at_points(_even(share[None], round(0.02 * patch.height)), lattice)


def at_points(field: Tensor, lattice: Lattice) -> Tensor:
    """A field [C, h, w] of a patch's mask at a lattice over it: [C, rows, columns]."""
    x, y = lattice.points(field)
    height, width = field.shape[1:]
    grid = torch.stack(
        [
            (2 * (x - lattice.left) / width - 1).expand(lattice.rows, -1),
            (2 * (y - lattice.top) / height - 1).expand(-1, lattice.columns),
        ],
        dim=-1,
    )
    return F.grid_sample(field[None], grid[None], padding_mode="border", align_corners=False)[0]


def _even(field: Tensor, reach: int) -> Tensor:
    """Means of neighbours to the left and right: [1, h, w] -> same."""
    if reach < 1:
        return field
    wide = F.pad(field, (reach, reach), mode="replicate")
    return F.avg_pool2d(wide[None], (1, 2 * reach + 1), 1)[0]
