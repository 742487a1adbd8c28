"""Breath: what a mask holds grows from the keyframe's size and comes back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..moments import Moment
from .patch import Patch
from .repeats import cycles
from .swaying import inner

RATE, GROWN = 0.25, 0.02  # times a second; of its size, for amount 1
STEP = 1 / 120  # of the lattice, in heights
WIDE = 0.07  # heights from the border of what breathes to where it is free
MARGIN = 0.02  # heights by which it moves anything at most, for amount 1


class Breathe:
    """What a mask holds grows about the middle of its lower edge, or where the layer is; its border stays."""

    def __init__(self, patch: Patch, width: int) -> None:
        """width: of the picture, in pixels."""
        self.layer, self.patch = patch.layer, patch
        self.lattice = patch.lattice(STEP, STEP)
        x, y = self.lattice.points(patch.mask)
        left, _, right, bottom = patch.bounds
        middle = ((left + right) / 2, float(bottom))
        if self.layer.at is not None:
            middle = (self.layer.at[0] * width, self.layer.at[1] * patch.height)
        size = (self.lattice.rows, self.lattice.columns)
        away = torch.stack([(x - middle[0]).expand(size), (y - middle[1]).expand(size)])
        self.away = away * inner(patch, self.lattice, WIDE)

    @property
    def reach(self) -> float:
        """Heights that it moves anything at most."""
        return MARGIN * self.layer.amount

    def displaced(self, moment: Moment) -> Tensor:
        """[2, rows, columns]: where each point's colour is read, right and down in pixels of the picture."""
        # It never shrinks: what the picture's edge cuts off would be missed.
        grown = GROWN * self.layer.strength(moment.u) * math.sin(math.pi * cycles(self.layer, moment, RATE)) ** 2
        return self.away * (1 / (1 + grown) - 1)
