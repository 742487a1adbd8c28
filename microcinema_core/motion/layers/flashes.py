"""How light comes and goes: a flame's flicker, lightning, a slow pulse. Closed formulas of time."""

from __future__ import annotations

import math

import numpy as np

from ..layer import Layer
from .clock import Clock

FLAMES = ((0.9, 0.5), (2.3, 0.45), (4.7, 0.35), (7.9, 0.22), (11.3, 0.1))  # times a second, and how strong
PULSE = 0.45  # times a second
STORM = 3.2  # seconds from a flash to the next
STROKES = ((0.0, 0.6, 0.05), (0.16, 1.0, 0.13), (0.34, 0.35, 0.22))  # of a flash: when, how bright, how long
RISE = 0.012  # seconds
LASTING = 2.0  # seconds after which nothing of a flash is left


def flicker(layer: Layer, clock: Clock) -> float:
    """About -1..1: how much brighter a flame is than usual."""
    phases = np.random.default_rng([layer.seed, 3]).random(len(FLAMES))
    waves = (size * clock.wave(rate, float(phase)) for (rate, size), phase in zip(FLAMES, phases, strict=True))
    return sum(waves) / 1.1


def pulse(layer: Layer, clock: Clock) -> float:
    """-1..1, from the middle upwards."""
    return clock.wave(PULSE)


def lightning(layer: Layer, clock: Clock) -> float:
    """0..1: the light of the flashes at a time, one in each stretch of a storm, at a time of its own."""
    if clock.speed == 0:
        return 0.0
    rate = clock.rate(1 / STORM)
    now = rate * clock.seconds
    rounds = None if clock.period is None else round(rate * clock.period)
    total = 0.0
    for number in range(math.floor(now - LASTING * rate), math.floor(now) + 1):
        when, strong, second = _drawn(layer.seed, number if rounds is None else number % rounds)
        since = (now - number - 0.1 - 0.45 * when) / rate
        for wait, bright, lasting in STROKES:
            after = since - wait * (0.75 + 0.5 * second)
            if after > -RISE:
                total += (0.7 + 0.3 * strong) * bright * min(1.0, 1 + after / RISE) * math.exp(-max(after, 0) / lasting)
    return min(total, 1.0)


def _drawn(seed: int, number: int) -> tuple[float, float, float]:
    when, strong, second = np.random.default_rng([seed, 4, number % 2**32]).random(3)
    return float(when), float(strong), float(second)
