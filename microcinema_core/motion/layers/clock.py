"""The time of a layer. What repeats does so a whole number of times in a clip that loops, so that its ends meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..layer import Layer
from ..moments import Moment

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clock:
    """seconds: of the clip. period: after which the clip begins again, or None. speed: the layer's."""

    seconds: float
    period: float | None = None
    speed: float = 1.0

    @classmethod
    def of(cls, layer: Layer, moment: Moment) -> Clock:
        return cls(moment.seconds, moment.period, layer.speed)

    def rate(self, rate: float) -> float:
        """Times a second that something repeats which would do so `rate` times at the layer's usual speed.

        Where the clip loops: the nearest rate that fits it, once at least, unless it stands still.
        """
        return float(self.rates(np.array(rate)))

    def rates(self, rates: Floats) -> Floats:
        """`rate`, of many."""
        wanted = rates * self.speed
        if self.period is None:
            return wanted
        whole = np.copysign(np.maximum(1, np.rint(np.abs(wanted) * self.period)), wanted) / self.period
        return np.where(wanted == 0, wanted, whole)

    def turns(self, rate: float) -> float:
        """How often it has repeated since the clip began."""
        return self.rate(rate) * self.seconds

    def wave(self, rate: float, phase: float = 0.0) -> float:
        """A sine of so many cycles a second; phase in cycles."""
        return math.sin(2 * math.pi * (self.turns(rate) + phase))
