"""Wind: plants sway in gusts that travel over the picture; what stands, stands still at its foot."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..moments import Moment
from .clock import Clock
from .course import heading
from .noise import sampled, seeds, tile
from .patch import Patch
from .swaying import at_points, inner, rising

STEP = 1 / 240  # of the lattice, in heights
BEND = 0.006  # heights that a gust bends what stands high, for amount 1
WIDE = 0.03  # heights from the border of what sways to where it is free
HIGH, BELOW = 0.08, 0.06  # heights at which it sways fully; of the foot below the picture
GUSTS, GUST_SPEED = 1.6, 0.28  # heights in which gusts repeat; heights a second that they go
CALM = 0.15  # of a gust's strength, between gusts
SWAYS = ((0.37, 0.55), (0.61, 0.4), (0.97, 0.25))  # times a second, share of the bend
FLUTTERS = ((1.7, 0.1), (2.3, 0.08), (3.1, 0.06))
PLANTS, LEAVES = 0.75, 0.24  # heights in which the phases of swaying and of fluttering repeat
STANDING = 2.5  # how much farther they reach upwards, as stems do
LEAN = 0.6  # of a gust's bend that stays while it blows
UPWARDS = 0.25  # of what goes sideways
MARGIN = 0.02  # heights by which it moves anything at most, for amount 1


class Wind:
    """What a mask holds, moved by wind."""

    def __init__(self, patch: Patch, distance: Tensor | None) -> None:
        """distance: [1, h, w] of the mask's pixels; what is farther moves less."""
        self.layer, self.patch = patch.layer, patch
        self.lattice = patch.lattice(STEP, STEP)
        freely = inner(patch, self.lattice, WIDE) * rising(patch, self.lattice, HIGH, BELOW)
        self.free = freely if distance is None else freely / at_points(distance, self.lattice).clamp(min=1).sqrt()
        x, y = (place / patch.height for place in self.lattice.points(patch.mask))
        size = (self.lattice.rows, self.lattice.columns)
        self.x, self.y = x.expand(size), y.expand(size)
        waves = SWAYS + FLUTTERS
        first, *others = seeds(patch.layer.seed, 5, 1 + len(waves))
        self.gust = tile(first, octaves=3)
        bases = []
        for number, ((_, share), seed) in enumerate(zip(waves, others, strict=True)):
            apart = patch.layer.size * (PLANTS if number < len(SWAYS) else LEAVES)
            field = tile(seed, octaves=1)
            phase = math.pi * sampled(field, self.x / apart, self.y / apart / STANDING)
            bases += [share * phase.sin(), share * phase.cos()]
        self.sways = torch.stack(bases).flatten(1)

    @property
    def reach(self) -> float:
        """Heights that it moves anything at most."""
        return MARGIN * self.layer.amount

    def blowing(self, moment: Moment) -> Tensor:
        """How strong a gust is at each point [1, rows, columns], about 0..1: it travels along the heading."""
        right, down = heading(self.layer)
        along, side = right * self.x + down * self.y, right * self.y - down * self.x
        gone = Clock.of(self.layer, moment).turns(GUST_SPEED / GUSTS)
        strength = sampled(self.gust, along / GUSTS - gone, side / GUSTS)
        return (CALM + (1 - CALM) * torch.sigmoid(1.6 * strength))[None]

    def displaced(self, moment: Moment) -> Tensor:
        """[2, rows, columns]: where each point's colour is read, right and down in pixels of the picture."""
        clock, right = Clock.of(self.layer, moment), heading(self.layer)[0]
        angles = [2 * math.pi * clock.turns(rate) for rate, _ in SWAYS + FLUTTERS]
        now = [torch.tensor([part for a in angles for part in (math.cos(a + p), math.sin(a + p))]) for p in (0.0, 2.0)]
        swaying = (torch.stack(now).to(self.sways) @ self.sways).view(2, self.lattice.rows, self.lattice.columns)
        gust = self.blowing(moment)
        across = math.copysign(max(abs(right), 0.5), right)  # what stands bends to the side, whence the wind may come
        bent = torch.cat([across * (swaying[:1] + LEAN * gust), UPWARDS * swaying[1:]])
        return bent * gust * self.free * (-BEND * self.patch.height * self.layer.strength(moment.u))
