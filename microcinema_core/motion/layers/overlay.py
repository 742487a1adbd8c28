"""What is drawn over a composed frame: air, particles, light and stars, in linear light, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from ..layer import Group, Layer, LayerKind
from ..moments import Moment, Moments
from ..plan import Plan
from ..plates import View
from .air import Swathes
from .ambient import blurred, bright
from .composed import Composed, Maps
from .floating import Lit, float_in
from .light import Lamp
from .linear import to_light, to_pixels
from .particle_kinds import PARTICLES
from .particles import Field
from .stars import Stars

if TYPE_CHECKING:
    from ..scene import Scene

T = TypeVar("T")
DRAWN = (Group.AIR, Group.PARTICLES, Group.LIGHT)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A layer that is drawn. number: in the plan, from 0. mask: [1, H, W] of the picture, or None for everywhere."""

    number: int
    layer: Layer
    mask: Tensor | None
    maps: Maps

    def there(self, frame: Composed) -> Tensor | None:
        """[1, H, W] of a frame: how much of it belongs there; None: all."""
        return None if self.mask is None else self.maps.own(self.number, frame.masks)


class Overlay:
    """The layers of a scene's plan that are drawn over its frames."""

    def __init__(self, scene: Scene, moments: Moments, view: View) -> None:
        """Raises InputError where there would be too many particles."""
        self.scene = scene
        layers = [
            Drawn(number, layer, _partial(scene.maps.own(number)), scene.maps)
            for number, layer in enumerate(scene.plan.layers)
            if layer.amount > 0 and layer.kind.group in DRAWN
        ]
        air, floating, lamps = ([one for one in layers if one.layer.kind.group is group] for group in DRAWN)
        self.air = [(one, Swathes(one.layer, moments, view, scene.maps)) for one in air]
        stars, lamps = (
            [one for one in lamps if (one.layer.kind is LayerKind.STARS) is starry] for starry in (True, False)
        )
        self.lamps = [(one, Lamp(one.layer, one.mask, scene, moments, view)) for one in lamps]
        height, width = scene.picture.shape[1:]
        self.stars = [(one, Stars(one.layer, width, height)) for one in stars]
        self.farthest, self.view = scene.plates[0].planes[0], view
        fields = [
            (one, Field(one.layer, sheet, number, moments, view))
            for one in floating
            for number, sheet in enumerate(PARTICLES[one.layer.kind].sheets)
        ]
        self.fields = sorted(fields, key=lambda pair: -pair[1].sheet.distance)
        # at which something is drawn that plates may hide
        self.distances = tuple(sorted({field.sheet.distance for _, field in fields}))

    @cached_property
    def bright(self) -> Tensor:
        """The light that falls on the scene, [3, 1, 1]: of the keyframe, so that it does not change with the view."""
        return bright(to_light(self.scene.picture))

    @torch.no_grad()
    def drawn(self, frame: Composed, moment: Moment) -> Tensor:
        """The frame's picture [3, H, W], pixels 0..1, with all of it; bit for bit where nothing of it is there."""
        air, fields, lamps = _present(self.air, moment), _present(self.fields, moment), _present(self.lamps, moment)
        stars = _present(self.stars, moment)
        masks = [one.there(frame) for one, _ in (*air, *fields, *lamps, *stars)]
        if not masks:
            return frame.picture
        light = to_light(frame.picture)
        for one, swathes in air:
            light = self._veiled(light, one, swathes, frame, moment)
        if fields:
            lit, total = Lit(self.bright.to(light), blurred(light)), light.new_zeros((2, light[0].numel()))
            for one, field in fields:
                seen = [frame.shown[field.sheet.distance], one.there(frame)]
                float_in(light, total, field, moment, lit, [part for part in seen if part is not None])
        for one, lamp in lamps:
            there, made = one.there(frame), lamp.lit(light, moment, one.layer.strength(moment.u))
            light = made if there is None else torch.where(there > 0, torch.lerp(light, made, there), light)
        place = self.farthest.where(self.scene.plan, moment, self.view) if stars else None
        for one, sky in stars:
            if place is not None:
                light = sky.over(light, one.there(frame), place, moment)
        return _back(light, frame, masks)

    def _veiled(self, light: Tensor, one: Drawn, swathes: Swathes, frame: Composed, moment: Moment) -> Tensor:
        """[3, H, W] linear light through the air of a layer."""
        alpha, there = swathes.alpha(frame, moment), one.there(frame)
        if one.layer.colour is not None:
            colour = to_light(light.new_tensor(one.layer.colour)[:, None, None]).expand_as(light)
        else:
            colour = swathes.colour(moment, self.bright.to(light), blurred(light))
        return light.lerp_(colour, alpha if there is None else alpha * there)


def _partial(mask: Tensor | None) -> Tensor | None:
    """A mask [1, H, W], or None for one that is everywhere."""
    return None if mask is None or bool((mask == 1).all()) else mask


def _present(drawn: list[tuple[Drawn, T]], moment: Moment) -> list[tuple[Drawn, T]]:
    """Those of which there is anything at a moment."""
    return [(one, drawer) for one, drawer in drawn if one.layer.strength(moment.u) > 0]


def _back(light: Tensor, frame: Composed, masks: list[Tensor | None]) -> Tensor:
    """Light as pixels; where no layer is, as they were."""
    given = [mask for mask in masks if mask is not None]
    pixels = to_pixels(light.clamp_(min=0))
    if len(given) < len(masks):
        return pixels
    return torch.where(torch.stack(given).amax(dim=0) > 0, pixels, frame.picture)


def draws_over(plan: Plan) -> bool:
    """Whether a plan has anything to draw over its frames."""
    return any(layer.amount > 0 and layer.kind.group in DRAWN for layer in plan.layers)
