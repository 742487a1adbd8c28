"""A hand that holds the camera: closed formulas of time, the same for a seed at any rate and size."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

# Waves of a hand's tremor: cycles a second, and degrees at full strength.
WAVES = ((0.5, 0.9), (1.1, 0.5), (2.3, 0.22), (4.1, 0.08))
AXES = 3  # pan, tilt, roll
STEADY = (0.0, 0.0, 0.0)
MOST = tuple(share * 2 * sum(size for _, size in WAVES) for share in (1.0, 1.0, 0.5))  # degrees, of each axis


@lru_cache(maxsize=64)
def _phases(seed: int) -> tuple[tuple[float, ...], ...]:
    drawn = np.random.Generator(np.random.PCG64(seed)).random((AXES, len(WAVES)))
    return tuple(tuple(map(float, row)) for row in drawn)


def shaken(seed: int, seconds: float, key: float) -> tuple[float, float, float]:
    """Degrees of pan, tilt and roll at a time, at full strength; nothing at the keyframe's time."""
    if seconds == key:
        return STEADY
    pan, tilt, roll = (_wave(phases, seconds) - _wave(phases, key) for phases in _phases(seed))
    return pan, tilt, 0.5 * roll


def _wave(phases: tuple[float, ...], seconds: float) -> float:
    return sum(
        size * math.sin(2 * math.pi * (rate * seconds + phase))
        for (rate, size), phase in zip(WAVES, phases, strict=True)
    )
