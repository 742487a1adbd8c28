"""What is drawn over a composed frame: air, particles and light, in linear light, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..layer import Group, Layer
from ..moments import Moment, Moments
from ..plan import Plan
from ..plates import View
from .air import Swathes
from .ambient import blurred, bright, luminance, spread_out
from .composed import Composed
from .light import Lamp
from .linear import to_light, to_pixels
from .particle_kinds import PARTICLES, Particle
from .particles import HALO, Field
from .stamps import Stamps, drawn

if TYPE_CHECKING:
    from ..scene import Scene

DRAWN = (Group.AIR, Group.PARTICLES, Group.LIGHT)
PALE, SHINE = 0.55, 1.5  # of that light: how grey it is for coming from all sides, and how bright
NEARBY = 0.4  # of the light on a particle: that of its surroundings; the rest is the brightest part's


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A layer that is drawn. index: in the plan. mask: [1, H, W] of the picture, or None for everywhere."""

    index: int
    layer: Layer
    mask: Tensor | None

    def there(self, frame: Composed) -> Tensor | None:
        """[1, H, W] of a frame: how much of it belongs there; None: all."""
        return None if self.mask is None else frame.masks[self.index : self.index + 1]


class Overlay:
    """The layers of a scene's plan that are drawn over its frames."""

    def __init__(self, scene: Scene, moments: Moments, view: View) -> None:
        """Raises InputError where there would be too many particles."""
        self.scene, self.moments, self.view = scene, moments, view
        layers = [
            Drawn(i, layer, None if bool((mask == 1).all()) else mask[None])
            for i, (layer, mask) in enumerate(zip(scene.plan.layers, scene.maps.masks, strict=True))
            if layer.amount > 0 and layer.kind.group in DRAWN
        ]
        groups = {group: [one for one in layers if one.layer.kind.group is group] for group in DRAWN}
        self.air = [(one, Swathes(one.layer, moments, view, scene.maps)) for one in groups[Group.AIR]]
        self.lamps = [(one, Lamp(one.layer, one.mask, scene, moments, view)) for one in groups[Group.LIGHT]]
        fields = [
            (one, Field(one.layer, sheet, number, moments, view))
            for one in groups[Group.PARTICLES]
            for number, sheet in enumerate(PARTICLES[one.layer.kind].sheets)
        ]
        self.fields = sorted(fields, key=lambda pair: -pair[1].sheet.distance)
        # at which something is drawn that plates may hide
        self.distances = tuple(sorted({field.sheet.distance for _, field in fields}))

    @cached_property
    def bright(self) -> Tensor:
        """The light that falls on the scene, [3, 1, 1]: of the keyframe, so that it does not change with the view."""
        return bright(to_light(self.scene.picture))

    def drawn(self, frame: Composed, moment: Moment) -> Tensor:
        """The frame's picture [3, H, W], pixels 0..1, with all of it; bit for bit where nothing of it is there."""
        present = [one for one, _ in (*self.air, *self.fields, *self.lamps) if one.layer.strength(moment.u) > 0]
        if not present:
            return frame.picture
        light = to_light(frame.picture)
        for one, swathes in self.air:
            if one.layer.strength(moment.u) > 0:
                light = self._veiled(light, one, swathes, frame, moment)
        light = self._with_particles(light, frame, moment)
        for one, lamp in self.lamps:
            strength = one.layer.strength(moment.u)
            if strength > 0:
                there = one.there(frame)
                lit = lamp.lit(light, moment, strength)
                light = lit if there is None else torch.where(there > 0, torch.lerp(light, lit, there), light)
        return self._back(light, frame, [one.there(frame) for one in present])

    def _back(self, light: Tensor, frame: Composed, masks: list[Tensor | None]) -> Tensor:
        """Light as pixels; where no layer is, as they were."""
        given = [mask for mask in masks if mask is not None]
        pixels = to_pixels(light.clamp_(min=0))
        if len(given) < len(masks):
            return pixels
        return torch.where(torch.stack(given).amax(dim=0) > 0, pixels, frame.picture)

    def _veiled(self, light: Tensor, one: Drawn, swathes: Swathes, frame: Composed, moment: Moment) -> Tensor:
        """[3, H, W] linear light through the air of a layer."""
        alpha = swathes.alpha(frame, moment)
        there = one.there(frame)
        own = _given(one.layer, light)
        colour = swathes.colour(self.bright.to(light), blurred(light)) if own is None else own.expand_as(light)
        return light.lerp(colour, alpha if there is None else alpha * there)

    def _with_particles(self, light: Tensor, frame: Composed, moment: Moment) -> Tensor:
        """[3, H, W] linear light with what floats in it, the far first."""
        around: Tensor | None = None
        for one, field in self.fields:
            if one.layer.strength(moment.u) == 0:
                continue
            stamps = field.stamps(moment)
            if not len(stamps.depth):
                continue
            depth, shaded = self._depth(stamps, field, light)
            there, shown = one.there(frame), frame.shown[field.sheet.distance]
            clear = shown if there is None else shown * there
            own = _colours(one.layer, field.kind, light)
            shade = None if len(own) == 1 else (shaded / depth.clamp(min=1e-6)).clamp_(0, 1)
            colour = own[0] if shade is None else torch.lerp(own[0], own[1], shade)
            if field.kind.glows:
                light = 1 - (1 - light) * torch.exp(-(depth * clear) * colour * 2)
                continue
            if one.layer.colour is None:
                if around is None:
                    around = self._around(light)
                colour = colour * around
            light = light.lerp(colour, (1 - torch.exp(-depth)) * clear)
        return light

    def _depth(self, stamps: Stamps, field: Field, like: Tensor) -> tuple[Tensor, Tensor]:
        """Optical depth of a field's particles and the same times their shade, [1, H, W] each."""
        size = (self.view.width, self.view.height)
        total = drawn(stamps, field.sheet.hard, *size, like)
        if field.kind.halo:
            wide = Stamps(
                stamps.middle,
                stamps.radius * HALO,
                stamps.narrow,
                stamps.angle,
                stamps.way,
                stamps.depth * field.kind.halo,
                stamps.shade,
            )
            total = total + drawn(wide, 1.0, *size, like)
        return total[:1], total[1:]

    def _around(self, light: Tensor) -> Tensor:
        """The light on particles, [3, H, W]."""
        small = torch.lerp(self.bright.to(light).expand_as(around := blurred(light)), around, NEARBY)
        small = torch.lerp(small, luminance(small).expand_as(small), PALE).mul_(SHINE).clamp_(max=1)
        return spread_out(small, self.view.width, self.view.height)


def _given(layer: Layer, like: Tensor) -> Tensor | None:
    """A layer's own colour in linear light, [3, 1, 1]; None: it has none."""
    return None if layer.colour is None else to_light(like.new_tensor(layer.colour)[:, None, None])


def _colours(layer: Layer, kind: Particle, like: Tensor) -> tuple[Tensor, ...]:
    """The one colour or the two of a layer's particles, [3, 1, 1] each, linear light."""
    own = _given(layer, like)
    if own is not None:
        return (own,)
    made = tuple(like.new_tensor(colour)[:, None, None] for colour in kind.colours)
    return made[:1] if kind.colours[0] == kind.colours[1] else made


def draws_over(plan: Plan) -> bool:
    """Whether a plan has anything to draw over its frames."""
    return any(layer.amount > 0 and layer.kind.group in DRAWN for layer in plan.layers)
