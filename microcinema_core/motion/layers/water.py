"""Water: waves that grow towards the viewer, and water that flows.

Waves are a few trains on a plane under the horizon. A point of it at depth d below the horizon (in heights of the
picture) is x / d to the side and 1 / d away, so a length l there is l * d wide and l * d * d high in the picture. Long
trains are faster (deep water: the rate goes with the root of the length).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..moments import Moment
from ..resample import Texture, shifted
from .clock import Clock
from .course import heading
from .noise import sampled, tile
from .patch import Ground, Patch, Seen
from .turning import blended, turns_of

STEP = (1 / 200, 1 / 480)  # of the lattice, right and down, in heights
LENGTHS = tuple(4.5 * 0.72**k for k in range(11))  # of the trains, of the usual one
USUAL = 0.07  # height of the usual train's waves at the lower edge of the water
OF_HEIGHT = 0.14  # and at most so much of the water's own height in the picture
RATE = 0.42  # of it, a second
SPREAD = math.radians(38)  # to each side of the heading
STEEP = 0.05  # displacement of a short wave, of its length
LONG = 0.06  # a wave of this length is displaced half as much
SEEN, COMES = 0.008, 2.2  # wave length from which a train is seen, and how many times it where it is whole
PIXELS = 3.0  # and at least so many pixels of the picture
SIDEWAYS = 0.5  # of the vertical displacement, for a wave that goes sideways
ABOVE = 0.03  # heights from the water's top to the horizon
MIDDLE, HIGHER = 0.5, 0.4  # below the middle, the horizon is by so much of it higher
OVERHEAD = 0.4  # where the picture's top shows water: the horizon is so far above it
BENT, BENDS = 0.9, 12  # radians by which noise bends the trains' crests, and the usual lengths in which it repeats
GLINT, SHADE, CREST = 1.6, 0.38, 0.5  # light of crests, of slopes, and the slope where crests begin
MOST = 1.0  # of that light: nothing clips
APPEARS = 10.0  # the layer's amount from which it is whole, as a reciprocal


def horizon(patch: Patch) -> float:
    """The row of the horizon, in heights of the picture from its top."""
    top = patch.sides[1]
    if top <= ABOVE / 2:
        return top - OVERHEAD
    return top - ABOVE - HIGHER * max(0.0, top - MIDDLE)


class Waves:
    """Waves on a patch of water."""

    def __init__(self, patch: Patch, ground: Ground) -> None:
        self.layer, self.patch = patch.layer, patch
        self.texture: Texture = patch.surface(ground)
        self.lattice = patch.lattice(*STEP)
        x, y = (place / patch.height for place in self.lattice.points(patch.mask))
        self.horizon = horizon(patch)
        middle = (patch.sides[0] + patch.sides[2]) / 2
        depth = (y - self.horizon).clamp(min=ABOVE / 4)
        deepest = patch.sides[3] - self.horizon
        self.length = (
            self.layer.size * min(USUAL, OF_HEIGHT * (patch.sides[3] - patch.sides[1])) / deepest**2
        )  # of the usual train, on the plane
        self._lay((x - middle) / depth, 1 / depth, depth)

    def _lay(self, side: Tensor, away: Tensor, depth: Tensor) -> None:
        """Work out what does not change with time: each train's displacement and slope, as two phases of it."""
        generator = torch.Generator().manual_seed(self.layer.seed)
        away = away.expand_as(side)
        far = self.length * BENDS
        bend = BENT * sampled(tile(self.layer.seed, octaves=2), side / far, away / far)
        right, down = heading(self.layer)
        course = math.atan2(-down, right)
        height, slope, self.sides = [], [], []
        least = max(SEEN, PIXELS / self.patch.height)
        for length in LENGTHS:
            turned, phase = torch.rand(2, generator=generator).tolist()
            angle = course + (2 * turned - 1) * SPREAD
            along, ahead = math.cos(angle), math.sin(angle)
            k = 2 * math.pi / (self.length * length)
            crest = k * (along * side + ahead * away) + bend + 2 * math.pi * phase
            number = k / depth * torch.hypot(torch.full_like(side, along), along * side + ahead * away)
            seen = 2 * math.pi / number
            there = ((seen / least - 1) / (COMES - 1)).clamp(0, 1)
            size = STEEP * seen / (1 + seen / LONG) * there
            height += [size * crest.sin(), -size * crest.cos()]
            slope += [size * number * crest.cos(), size * number * crest.sin()]
            self.sides.append(SIDEWAYS * along)
        self.height, self.slope = torch.stack(height).flatten(1), torch.stack(slope).flatten(1)

    def field(self, moment: Moment) -> Tensor:
        """[3, rows, columns]: right and down in pixels of the picture, and slope; for amount 1."""
        clock = Clock.of(self.layer, moment)
        angles = [2 * math.pi * clock.turns(RATE / math.sqrt(length)) for length in LENGTHS]
        now = torch.tensor([value for angle in angles for value in (math.cos(angle), math.sin(angle))])
        sides = torch.tensor(self.sides).repeat_interleave(2)
        weights = (torch.stack([now * sides, now]) * self.patch.height).to(self.height)
        made = torch.cat([weights @ self.height, now.to(self.slope)[None] @ self.slope])
        return made.view(3, self.lattice.rows, self.lattice.columns)

    def paint(self, colour: Tensor, seen: Seen, moment: Moment) -> None:
        """Lay it over colours [3, h, w] of a part of a frame."""
        amount = self.layer.strength(moment.u)
        alpha = self.patch.alpha(seen.places) * min(1.0, amount * APPEARS)
        field = self.lattice.read(self.field(moment), seen.places)
        moved = shifted(seen.places, field, amount)
        water = self.texture.at(moved, seen.level, self.patch.corner, mirrored=True)
        water.add_(_glints(water, field[2:] * amount)).clamp_(0, 1)
        torch.where(alpha > 0, torch.lerp(colour, water, alpha), colour, out=colour)


def _glints(water: Tensor, slope: Tensor) -> Tensor:
    """Light that crests add and slopes change, most where water is bright but not white: [3, h, w]."""
    grey = water.mean(dim=0, keepdim=True)
    light = SHADE * slope + GLINT * (slope - CREST).clamp_(0, 1) * grey
    return light.clamp(-MOST, MOST) * water * grey * (1 - water)


PERIOD, SPEED = 0.5, 0.16  # of what falls: seconds; heights a second
FADE = 0.9  # share of a period in which two copies are seen


class Falls:
    """Water that flows along its heading for ever: two copies, half a period apart, that fade into each other."""

    def __init__(self, patch: Patch, ground: Ground) -> None:
        self.layer, self.patch = patch.layer, patch
        self.texture: Texture = patch.surface(ground)
        self.broad = patch.broad(self.texture.pixels)

    def paint(self, colour: Tensor, seen: Seen, moment: Moment) -> None:
        """Lay it over colours [3, h, w] of a part of a frame."""
        amount, clock = self.layer.strength(moment.u), Clock.of(self.layer, moment)
        alpha = self.patch.alpha(seen.places) * min(1.0, amount * APPEARS)
        turns, span = turns_of(clock, PERIOD, SPEED)
        done = torch.full_like(alpha, turns)
        right, down = (amount * span * self.patch.height * part for part in heading(self.layer))
        course = (torch.full_like(done, right), torch.full_like(done, down))
        flow = blended(self.patch, self.texture, self.broad, seen, done, course, FADE)
        torch.where(alpha > 0, torch.lerp(colour, flow, alpha), colour, out=colour)
