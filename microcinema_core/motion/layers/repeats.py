"""Parts that repeat: what swings, spins or bobs is cut out and moved; all are as given at the keyframe's time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..camera import Matrix
from ..layer import Layer, LayerKind
from ..moments import Moment
from .clock import Clock
from .course import heading

CUT = (LayerKind.SWING, LayerKind.SPIN, LayerKind.BOB)  # those that are plates of their own
SWING_RATE, SWING = 0.45, 10.0  # times a second; degrees each way
SPIN_RATE = 0.25
BOB_RATE, BOB = 0.35, 0.02  # heights each way
RATES = {LayerKind.SWING: SWING_RATE, LayerKind.SPIN: SPIN_RATE, LayerKind.BOB: BOB_RATE}


def moved(layer: Layer, moment: Moment, pivot: tuple[float, float], height: float) -> Matrix:
    """Where a part is [3, 3], in any unit in which the picture is `height` high; the same as `pivot`'s, y down."""
    if layer.kind == LayerKind.SPIN:
        # What turns does not begin or end within a fade: there would be no whole turns.
        return turned(2 * math.pi * cycles(layer, moment, SPIN_RATE * layer.amount), pivot)
    amount = layer.strength(moment.u) * math.sin(2 * math.pi * cycles(layer, moment, RATES[layer.kind]))
    if layer.kind == LayerKind.SWING:
        return turned(math.radians(SWING) * amount, pivot)
    right, down = heading(layer)
    far = amount * BOB * height
    return np.array([[1, 0, far * right], [0, 1, far * down], [0, 0, 1.0]])


def extremes_of(layer: Layer, moment: Moment) -> list[Moment]:
    """Moments at whose camera a part is everywhere where it may be, for one of the camera's."""
    spins = layer.kind == LayerKind.SPIN
    rate = layer.speed * (SPIN_RATE * layer.amount if spins else RATES[layer.kind])
    if rate == 0:
        return [moment]
    shares = [k / 8 for k in range(8)] if spins else [0.25, 0.75]
    return [replace(moment, seconds=share / rate, key_seconds=0.0, period=None) for share in shares]


def cycles(layer: Layer, moment: Moment, rate: float) -> float:
    """How often a part has repeated since the keyframe, so many times a second at the layer's usual speed."""
    return Clock.of(layer, moment).rate(rate) * (moment.seconds - moment.key_seconds)


def turned(angle: float, pivot: tuple[float, float]) -> Matrix:
    """Clockwise about a pivot, by radians."""
    (x, y), c, s = pivot, math.cos(angle), math.sin(angle)
    return np.array([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y], [0, 0, 1.0]])


def pivot_of(layer: Layer, mask: Tensor) -> tuple[float, float]:
    """What a part turns about, in pixels: where the layer says, or the middle of its mask [1, H, W], or its top's."""
    height, width = mask.shape[1:]
    if layer.at is not None:
        return layer.at[0] * width, layer.at[1] * height
    there = mask[0] > 0.5
    rows, columns = (there.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    middle = (int(columns[0]) + int(columns[-1]) + 1) / 2
    if layer.kind == LayerKind.SWING:
        return middle, float(rows[0])
    x, y = torch.arange(width).to(mask) + 0.5, torch.arange(height).to(mask) + 0.5
    return float((mask[0].sum(dim=0) @ x) / mask.sum()), float((mask[0].sum(dim=1) @ y) / mask.sum())
