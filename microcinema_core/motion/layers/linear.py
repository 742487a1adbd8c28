"""Pixels to light and back. Light is linear: twice as much of it is one stop more."""

from __future__ import annotations

from torch import Tensor

KNEE = 0.8  # of full white: highlights that are brought above it roll off
TOE, SLOPE = 0.04045, 12.92  # of sRGB's straight part


def to_light(pixels: Tensor) -> Tensor:
    """sRGB pixels 0..1 -> linear light 0..1, of the same shape."""
    # exp2(2.4 * log2(x)) is x ** 2.4 to the last bits, in a third of the time; a where would cost as much again.
    curve = pixels.clamp(min=TOE).add_(0.055).div_(1.055).log2_().mul_(2.4).exp2_()
    return curve.add_(pixels.clamp(max=TOE), alpha=1 / SLOPE).sub_(TOE / SLOPE)


def to_pixels(light: Tensor) -> Tensor:
    """Linear light, never negative, -> sRGB pixels, of the same shape; 1 is white and more is more."""
    curve = light.clamp(min=TOE / SLOPE).log2_().mul_(1 / 2.4).exp2_().mul_(1.055).sub_(0.055)
    return curve.add_(light.clamp(max=TOE / SLOPE), alpha=SLOPE).sub_(TOE)
