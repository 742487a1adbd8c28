"""Sky: clouds that drift and shear with perspective."""

from __future__ import annotations

import torch
from torch import Tensor

from ..moments import Moment
from ..resample import Texture
from .clock import Clock
from .course import heading
from .patch import Ground, Patch, Seen
from .turning import blended, turns_of

PERIOD, SPEED = 24.0, 0.012  # seconds; heights a second at the top of the sky, for amount 1
FADE = 0.5  # share of a period in which two copies are seen
SLOWEST = 0.2  # of that speed, at the sky's lower edge
APPEARS = 10.0  # the layer's amount from which it is whole, as a reciprocal


class Clouds:
    """A sky that drifts: slower towards the horizon."""

    def __init__(self, patch: Patch, ground: Ground) -> None:
        self.layer, self.patch = patch.layer, patch
        self.texture: Texture = patch.surface(ground)
        self.broad = patch.broad(self.texture.pixels)

    def speeds(self, y: Tensor) -> Tensor:
        """Shares of the speed at rows in pixels of the picture: 1 at the sky's top, SLOWEST at its lower edge."""
        _, top, _, bottom = self.patch.bounds
        return SLOWEST + (1 - SLOWEST) * ((bottom - y) / (bottom - top)).clamp(0, 1)

    def paint(self, colour: Tensor, seen: Seen, moment: Moment) -> None:
        """Lay it over colours [3, h, w] of a part of a frame."""
        amount, clock = self.layer.strength(moment.u), Clock.of(self.layer, moment)
        alpha = self.patch.alpha(seen.places) * min(1.0, amount * APPEARS)
        _, span = turns_of(clock, PERIOD, SPEED)
        done = clock.rate(1 / PERIOD) * (moment.seconds - moment.key_seconds) + 0.5
        right, down = (amount * span * self.patch.height * part for part in heading(self.layer))
        speeds = self.speeds(seen.places[..., 1])
        course = (right * speeds, down * speeds * speeds)
        passed = torch.full_like(alpha, done)
        sky = blended(self.patch, self.texture, self.broad, seen, passed, course, FADE).clamp_(0, 1)
        torch.where(alpha > 0, torch.lerp(colour, sky, alpha), colour, out=colour)
