"""How a move spreads over its time."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from enum import StrEnum

Points = Sequence[Sequence[float]]


class Ease(StrEnum):
    """The share of a move that is done at a share of its time, as the host's own motion nodes name it."""

    LINEAR = "linear"
    EASE_IN = "ease_in"
    EASE_OUT = "ease_out"
    EASE_IN_OUT = "ease_in_out"
    CONSTANT = "constant"  # nothing moves


def eased(ease: Ease, u: float) -> float:
    """Share of the move done at u, both in 0..1."""
    match ease:
        case Ease.LINEAR:
            return u
        case Ease.EASE_IN:
            return u * u
        case Ease.EASE_OUT:
            return 1 - (1 - u) ** 2
        case Ease.EASE_IN_OUT:
            return u * u * (3 - 2 * u)
        case Ease.CONSTANT:
            return 0.0


def along(points: Points, u: float) -> float:
    """A curve's height at u: a monotone cubic through points (x, y) whose x rise, level beyond its ends."""
    xs = [x for x, _ in points]
    after = bisect.bisect_right(xs, u)
    if after == 0:
        return points[0][1]
    if after == len(xs):
        return points[-1][1]
    (x0, y0), (x1, y1) = points[after - 1], points[after]
    width, t = x1 - x0, (u - x0) / (x1 - x0)
    m0, m1 = _slope(points, after - 1) * width, _slope(points, after) * width
    return y0 * (1 + 2 * t) * (1 - t) ** 2 + m0 * t * (1 - t) ** 2 + y1 * t * t * (3 - 2 * t) + m1 * t * t * (t - 1)


def _slope(points: Points, i: int) -> float:
    """The harmonic mean of the slopes on both sides, which never overshoots; zero at a peak."""
    steps = [
        ((points[j + 1][1] - points[j][1]) / (points[j + 1][0] - points[j][0]))
        for j in (i - 1, i)
        if 0 <= j < len(points) - 1
    ]
    if len(steps) == 1:
        return steps[0]
    before, after = steps
    return 0.0 if before * after <= 0 else 2 * before * after / (before + after)
