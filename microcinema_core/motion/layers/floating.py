"""Particles drawn into light: lit by the picture around them, or giving light of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layer import Layer
from ..moments import Moment
from .ambient import luminance
from .linear import to_light
from .particle_kinds import Particle
from .particles import Field
from .stamps import Stamps, stamp

NEARBY = 0.4  # of the light on a particle: that of its surroundings; the rest is the brightest part's
PALE, SHINE = 0.55, 1.5  # of that light: how grey it is for coming from all sides, and how bright
GLOW = 2.0  # light of what glows, over its colour
UNSEEN = 1e-3  # optical depth
HALO = 4.0  # radius of a glow, over its own


@dataclass(frozen=True, slots=True, eq=False)
class Lit:
    """bright: the light on the scene, [3, 1, 1]. around: the frame's own, blurred, [3, h, w]. Linear light."""

    bright: Tensor
    around: Tensor

    def on(self, place: Tensor, width: int, height: int) -> Tensor:
        """The light on particles at pixels [n] of a frame, counted row by row: [3, n]."""
        small = torch.lerp(self.bright.expand_as(self.around), self.around, NEARBY)
        small = torch.lerp(small, luminance(small).expand_as(small), PALE).mul_(SHINE).clamp_(max=1)
        x, y = (place % width).to(small), (place // width).to(small)
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)[None, None]
        return F.grid_sample(small[None], grid, padding_mode="border", align_corners=False)[0, :, 0]


def float_in(light: Tensor, total: Tensor, field: Field, moment: Moment, lit: Lit, seen: list[Tensor]) -> None:
    """Draw a field's particles into linear light [3, H, W].

    total: [2, H * W], nothing but zeros, before and after. seen: [1, H, W] each, how much of them is seen.
    """
    height, width = light.shape[1:]
    kind, layer = field.kind, field.layer
    colours = _colours(layer, kind, light)
    _stamp(total[: len(colours)], field.stamps(moment), field, (width, height))
    place = (total[0] > UNSEEN).nonzero()[:, 0]
    depth, shade = (part.index_select(0, place) for part in total)
    total[: len(colours)].zero_()
    clear = torch.ones_like(depth)
    for part in seen:
        clear *= part.flatten().index_select(0, place)
    colour = colours[0]
    if len(colours) > 1:
        colour = torch.lerp(colours[0], colours[1], (shade / depth).clamp_(0, 1))
    behind = light.view(3, -1).index_select(1, place)
    if kind.glows:
        made = behind + (1 - behind) * (1 - torch.exp(-GLOW * colour * depth * clear))
    else:
        own = colour if layer.colour is not None else colour * lit.on(place, width, height)
        made = torch.lerp(behind, own.expand_as(behind), (1 - torch.exp(-depth)) * clear)
    light.view(3, -1).scatter_(1, place.expand(3, -1), made)


def _stamp(total: Tensor, stamps: Stamps, field: Field, size: tuple[int, int]) -> None:
    """Add the optical depth of a field's particles to `total`, and the same times their shade: [1 or 2, H * W]."""
    stamp(total, stamps, field.sheet.hard, size)
    if field.kind.halo:
        wide = replace(stamps, radius=stamps.radius * HALO, depth=stamps.depth * field.kind.halo)
        stamp(total, wide, 1.0, size)


def _colours(layer: Layer, kind: Particle, like: Tensor) -> tuple[Tensor, ...]:
    """The one colour or the two of a layer's particles, [3, 1] each, linear light."""
    if layer.colour is not None:
        return (to_light(like.new_tensor(layer.colour)[:, None]),)
    made = tuple(like.new_tensor(colour)[:, None] for colour in kind.colours)
    return made[:1] if kind.colours[0] == kind.colours[1] else made
