"""Light that changes: stops more or less, each a doubling of linear light, in the picture's three colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..camera import seen
from ..layer import Layer, LayerKind
from ..moments import Moment, Moments
from ..plates import View
from .ambient import blurred, luminance, spread_out
from .clock import Clock
from .flashes import flicker, lightning, pulse
from .linear import KNEE, to_light

if TYPE_CHECKING:
    from ..scene import Scene

Stops = tuple[float, float, float]  # of red, green and blue

PLAIN: dict[LayerKind, Stops] = {
    LayerKind.BRIGHTER: (1.0, 1.0, 1.0),
    LayerKind.DARKER: (-1.0, -1.0, -1.0),
    LayerKind.WARMER: (0.32, 0.0, -0.55),
    LayerKind.COLDER: (-0.5, -0.06, 0.3),
}
EVENING: tuple[Stops, Stops] = ((-1.5, -1.65, -1.4), (-0.35, -1.0, -1.85))  # of shadows, of highlights
MOON: Stops = (-0.95, -0.12, 0.85)  # its colour
NIGHT = (0.02, 0.8, 0.65)  # mean light of a night, more stops off highlights, how much colour goes
DEEPEST, LEAST = 4.6, 0.4  # stops that night takes away at most and at least
LAMP = ((2.5, 5.0), (0.3, 0.7))  # what stays bright at night: times its surroundings' light, and itself
FIRE: Stops = (1.0, 0.82, 0.55)
FLAME = (0.6, 0.42, 0.12)  # stops at a flame, reach in heights, stops everywhere else
BOLT: Stops = (1.9, 2.1, 2.5)
GROUND = 0.55  # of a flash that lights the sky: what the lowest of the picture gets
PULSING = 0.7  # stops


def exposed(light: Tensor, stops: Tensor | Stops) -> Tensor:
    """[3, H, W] linear light 0..1 with so many stops more, of the same shape. stops: three, or [1 or 3, H, W].

    Exact up to KNEE; what comes above it rolls off so that white stays white and nothing else becomes it.
    """
    if not isinstance(stops, Tensor):
        stops = light.new_tensor(stops)[:, None, None]
    gain = stops.exp2()
    made = light * gain
    if not bool((gain > 1).any()):
        return made
    over = (made - KNEE).clamp_(min=0).div_(1 - KNEE)
    # over / (1 + a * over) has slope 1 at the knee and is 1 where white was.
    bend = 1 - (1 - KNEE) / (gain.clamp(min=1) - KNEE)
    return made.clamp_(max=KNEE).addcdiv_(over, (over * bend).add_(1), value=1 - KNEE)


class Lamp:
    """One layer of light."""

    def __init__(self, layer: Layer, mask: Tensor | None, scene: Scene, moments: Moments, view: View) -> None:
        """mask: its own, [1, H, W] of the picture, or None for everywhere."""
        self.layer, self.moments, self.view = layer, moments, view
        self.at = self._place(mask, scene.picture) if layer.kind is LayerKind.FLICKER else (0.0, 0.0)
        self.night = _night(scene.picture) if layer.kind is LayerKind.NIGHT else 0.0

    def lit(self, light: Tensor, moment: Moment, strength: float) -> Tensor:
        """[3, H, W] linear light in this layer's, of the same shape."""
        match self.layer.kind:
            case LayerKind.EVENING:
                return self._evening(light, strength)
            case LayerKind.NIGHT:
                return self._night(light, strength)
            case LayerKind.FLICKER:
                return exposed(light, self._flame(light, moment, strength))
            case LayerKind.LIGHTNING:
                flash = strength * lightning(self.layer, Clock.of(self.layer, moment))
                return exposed(light, self._bolt(light, flash)) if flash > 1e-4 else light
            case LayerKind.VIGNETTE:
                return exposed(light, -strength * self._corners(light))
            case LayerKind.PULSE:
                more = strength * PULSING * pulse(self.layer, Clock.of(self.layer, moment))
                return exposed(light, (more, more, more))
            case kind:
                red, green, blue = PLAIN[kind]
                return exposed(light, (strength * red, strength * green, strength * blue))

    def _place(self, mask: Tensor | None, picture: Tensor) -> tuple[float, float]:
        """Where a flame is, in pixels of the picture."""
        height, width = picture.shape[1:]
        if self.layer.at is not None:
            return self.layer.at[0] * width, self.layer.at[1] * height
        weight = mask
        if weight is None or float(weight.sum()) == 0:
            weight = _warmth(blurred(to_light(picture)))
            weight = (weight == weight.max()).to(weight)
        rows, columns = weight.shape[1:]
        x = (weight.sum(dim=(0, 1)) @ (torch.arange(columns).to(weight) + 0.5)) / weight.sum() / columns
        y = (weight.sum(dim=(0, 2)) @ (torch.arange(rows).to(weight) + 0.5)) / weight.sum() / rows
        return float(x) * width, float(y) * height

    def _grid(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The frame's pixels from its middle, in heights: [1, W], [H, 1]."""
        width, height = self.view.width, self.view.height
        x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5 - width / 2) / height
        y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5 - height / 2) / height
        return x[None], y[:, None]

    def _corners(self, like: Tensor) -> Tensor:
        """0 in the middle of the frame, 1 in its corners: [1, H, W]."""
        x, y = self._grid(like)
        corner = (self.view.width / self.view.height) ** 2 / 4 + 0.25
        return ((x * x + y * y) / corner).pow_(1.25)[None]

    def _flame(self, like: Tensor, moment: Moment, strength: float) -> Tensor:
        """Stops [3, H, W] around the flame."""
        matrix = seen(self.moments.plan, moment, 1.0, self.view.aspect)
        more = strength * flicker(self.layer, Clock.of(self.layer, moment))
        tint = like.new_tensor(_tint(self.layer, FIRE))[:, None, None]
        most, reach, least = FLAME
        if matrix is None:
            return more * least * tint.expand_as(like)
        place = matrix @ np.linalg.inv(self.view.to_picture) @ (*self.at, 1.0)
        x, y = (float(v / place[2] / self.view.aspect[1]) for v in place[:2])
        across, down = self._grid(like)
        reach *= self.layer.size
        near = 1 / (1 + ((across - x) ** 2 + (down - y) ** 2) / reach**2) ** 1.5
        return (more * (least + most * near))[None] * tint

    def _bolt(self, like: Tensor, flash: float) -> Tensor:
        """Stops [3, H, 1]: more of them up in the sky."""
        _, y = self._grid(like)
        high = (0.5 - y).clamp(0, 1)
        return (flash * (GROUND + (1 - GROUND) * high))[None] * like.new_tensor(_tint(self.layer, BOLT))[:, None, None]

    def _evening(self, light: Tensor, strength: float) -> Tensor:
        """Dim and warm where it was bright, cool in the shadows, darker towards the corners."""
        shadows, shine = (light.new_tensor(stops)[:, None, None] * strength for stops in EVENING)
        stops = torch.lerp(shadows, shine, _tone(light))
        return light * stops.sub_(0.35 * strength * self._corners(light)).exp2_()

    def _night(self, light: Tensor, strength: float) -> Tensor:
        """Dark and blue, the highlights most; what is much brighter than its surroundings stays."""
        own = luminance(light)
        _, more, pale = NIGHT
        around = spread_out(luminance(blurred(light)), self.view.width, self.view.height)
        stays = _smooth(own / (around + 0.02), *LAMP[0]) * _smooth(own, *LAMP[1])
        grey = torch.lerp(light, own.expand_as(light), 1 - (1 - pale) ** strength)
        stops = (self.night - more * (_tone(light) - 0.5)) * strength
        tint = light.new_tensor(MOON)[:, None, None] * strength
        return torch.lerp(grey * (stops + tint).exp2_(), light, stays)


def _night(picture: Tensor) -> float:
    """Stops, less than 0, after which a picture [3, H, W] is as dark as a night."""
    mean = float(luminance(to_light(picture)).mean())
    return -min(max(math.log2(max(mean, 1e-4) / NIGHT[0]), LEAST), DEEPEST)


def _tone(light: Tensor) -> Tensor:
    """[3, H, W] -> [1, H, W]: 0 for black, 1 for white, as the eye sees it."""
    return luminance(light).clamp_(0, 1).sqrt_()


def _smooth(x: Tensor, low: float, high: float) -> Tensor:
    t = ((x - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def _warmth(light: Tensor) -> Tensor:
    """How bright and how warm [3, h, w] is: [1, h, w]."""
    return luminance(light) * (1 + 2 * (light[:1] - light[2:])).clamp(min=0.1)


def _tint(layer: Layer, own: Stops) -> Stops:
    """A light's colour as stops; where a layer has its own, brighter in what it has more of."""
    if layer.colour is None:
        return own
    most, total = max(own), max(max(layer.colour), 1e-3)
    red, green, blue = (most * (0.4 + 0.6 * part / total) for part in layer.colour)
    return red, green, blue
