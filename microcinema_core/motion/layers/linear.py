"""Pixels to light and back. Light is linear: twice as much of it is one stop more."""

from __future__ import annotations

from torch import Tensor

KNEE = 0.8  # of full white: highlights that are brought above it roll off
TOE, SLOPE = 0.04045, 12.92  # of sRGB's straight part


def to_light(pixels: Tensor) -> Tensor:
    """sRGB pixels 0..1 -> linear light 0..1, of the same shape."""
    return ((pixels + 0.055) / 1.055).clamp_(min=0).pow_(2.4).where(pixels > TOE, pixels / SLOPE)


def to_pixels(light: Tensor) -> Tensor:
    """Linear light, never negative, -> sRGB pixels, of the same shape; 1 is white and more is more."""
    return (1.055 * light.pow(1 / 2.4) - 0.055).where(light > TOE / SLOPE, light * SLOPE)
