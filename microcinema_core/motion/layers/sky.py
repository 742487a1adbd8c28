"""Sky: clouds that drift and shear with perspective, and stars where it is dark."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..moments import Moment
from ..resample import BEHIND, Texture, shrinking
from .clock import Clock
from .course import heading
from .linear import to_light, to_pixels
from .patch import Ground, Patch, Seen
from .turning import blended, turns_of

PERIOD, SPEED = 24.0, 0.012  # seconds; heights a second at the top of the sky, for amount 1
FADE = 0.5  # share of a period in which two copies are seen
SLOWEST = 0.2  # of that speed, at the sky's lower edge
APPEARS = 10.0  # the layer's amount from which it is whole, as a reciprocal

STARS = 600  # in a square of the picture's height, for amount 1
REACH = 1.0  # heights around the picture in which there are stars
RADIUS, LEAST = 0.0009, 0.55  # of a star, in heights; and in pixels of the frame
FAINTEST, BRIGHTEST, COUNTS = 0.025, 1.8, 1.1  # light of a star; how many are brighter falls with this power of it
TWINKLE, RATES = 0.45, (0.3, 1.4)  # share of its light; times a second
DARK = 0.06  # linear light from which no star is seen

Floats = NDArray[np.float64]


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


class Stars:
    """Points of light that stay where they are in the sky."""

    def __init__(self, patch: Patch, aspect: float) -> None:
        """aspect: the picture's width in its heights."""
        self.layer, self.patch = patch.layer, patch
        generator = torch.Generator().manual_seed(self.layer.seed)
        area = (aspect + 2 * REACH) * (1 + 2 * REACH)
        drawn = torch.rand((round(STARS * self.layer.amount * area), 5), generator=generator, dtype=torch.float64)
        self.x = (drawn[:, 0] * (aspect + 2 * REACH) - REACH) * patch.height
        self.y = (drawn[:, 1] * (1 + 2 * REACH) - REACH) * patch.height
        self.light = (FAINTEST * drawn[:, 2].clamp(min=1e-9) ** (-1 / COUNTS)).clamp(max=BRIGHTEST)
        self.rate, self.phase = RATES[0] + (RATES[1] - RATES[0]) * drawn[:, 3], drawn[:, 4]

    def lights(self, moment: Moment) -> Tensor:
        """Of each star [N], now."""
        clock = Clock.of(self.layer, moment)
        turns = torch.tensor([clock.turns(rate) for rate in self.rate.tolist()], dtype=torch.float64)
        share = self.layer.strength(moment.u) / self.layer.amount
        return share * self.light * (1 - TWINKLE * (0.5 + 0.5 * torch.sin(2 * math.pi * (turns + self.phase))))

    def paint(self, colour: Tensor, seen: Seen, moment: Moment) -> None:
        """Add them to colours [3, h, w] of a part of a frame."""
        place, box = seen.place, seen.box
        back = np.linalg.inv(place)
        at = back @ np.stack([self.x.numpy(), self.y.numpy(), np.ones(len(self.x))])
        ahead = np.maximum(at[2], BEHIND)
        x, y = at[0] / ahead - box[0], at[1] / ahead - box[1]
        own = RADIUS * self.layer.size * self.patch.height / shrinking(place, box)
        radius = max(LEAST, own)
        size, around = (box[2] - box[0], box[3] - box[1]), math.ceil(3 * radius)
        near = (x > -around) & (x < size[0] + around) & (y > -around) & (y < size[1] + around) & (at[2] > BEHIND)
        lights = self.lights(moment).numpy() * (own / radius)
        light = _spread(x[near], y[near], lights[near], radius, around, size)
        there = torch.from_numpy(np.flatnonzero(light)).to(colour.device)
        if not len(there):
            return
        row, column = there // size[0], there % size[0]
        sky = to_light(colour[:, row, column])
        dark = (1 - (sky * sky.new_tensor([[0.2126], [0.7152], [0.0722]])).sum(dim=0) / DARK).clamp(0, 1)
        alpha = self.patch.alpha(seen.places[:, row, column][None])[0, 0]
        much = torch.from_numpy(light).to(colour)[there] * dark * alpha
        colour[:, row, column] = torch.where(much > 0, to_pixels(sky + much), colour[:, row, column]).clamp(max=1)


def _spread(x: Floats, y: Floats, light: Floats, radius: float, around: int, size: tuple[int, int]) -> Floats:
    """Light of points at x, y [N], each spread over a bell of that radius: [height * width]."""
    width, height = size
    steps = np.arange(-around, around + 1)
    columns, rows = (np.floor(place).astype(int)[:, None] + steps for place in (x, y))
    bells = [
        np.exp(-(((cells + 0.5 - place[:, None]) / radius) ** 2) / 2) for cells, place in ((columns, x), (rows, y))
    ]
    drawn = light[:, None, None] * bells[1][:, :, None] * bells[0][:, None, :]
    inside = ((columns >= 0) & (columns < width))[:, None, :] & ((rows >= 0) & (rows < height))[:, :, None]
    cells = rows[:, :, None] * width + columns[:, None, :]
    spread = np.bincount(cells[inside], drawn[inside], minlength=width * height)
    return np.asarray(spread, np.float64)
