"""Stars, where a frame's sky is dark: in the picture itself, or because night has fallen."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..camera import Matrix
from ..layer import Layer
from ..moments import Moment
from ..resample import BEHIND, shrinking
from .ambient import luminance
from .clock import Clock

STARS = 600  # in a square of the picture's height, for amount 1
REACH = 1.0  # heights around the picture in which there are stars
RADIUS, LEAST = 0.0009, 0.55  # of a star, in heights; and in pixels of the frame
FAINTEST, BRIGHTEST, COUNTS = 0.025, 1.8, 1.1  # light of a star; how many are brighter falls with this power of it
TWINKLE, RATES = 0.45, (0.3, 1.4)  # share of its light; times a second
DARK = 0.06  # linear light from which no star is seen

Floats = NDArray[np.float64]


class Stars:
    """Points of light that stay where they are in the sky."""

    def __init__(self, layer: Layer, width: int, height: int) -> None:
        """width, height: of the picture."""
        self.layer, self.height, aspect = layer, height, width / height
        generator = torch.Generator().manual_seed(self.layer.seed)
        area = (aspect + 2 * REACH) * (1 + 2 * REACH)
        drawn = torch.rand((round(STARS * self.layer.amount * area), 5), generator=generator, dtype=torch.float64)
        self.x = (drawn[:, 0] * (aspect + 2 * REACH) - REACH) * height
        self.y = (drawn[:, 1] * (1 + 2 * REACH) - REACH) * height
        self.light = (FAINTEST * drawn[:, 2].clamp(min=1e-9) ** (-1 / COUNTS)).clamp(max=BRIGHTEST)
        self.rate, self.phase = RATES[0] + (RATES[1] - RATES[0]) * drawn[:, 3], drawn[:, 4]

    def lights(self, moment: Moment) -> Tensor:
        """Of each star [N], now."""
        clock = Clock.of(self.layer, moment)
        turns = torch.from_numpy(clock.rates(self.rate.numpy()) * clock.seconds)
        share = self.layer.strength(moment.u) / self.layer.amount
        return share * self.light * (1 - TWINKLE * (0.5 + 0.5 * torch.sin(2 * math.pi * (turns + self.phase))))

    def over(self, light: Tensor, there: Tensor | None, place: Matrix, moment: Moment) -> Tensor:
        """A frame's light [3, H, W] with them, where that is dark.

        there: [1, H, W], how much of a pixel is sky, or None for all. place [3, 3]: from the frame's pixels to the
        picture's.
        """
        height, width = light.shape[1:]
        at = np.linalg.inv(place) @ np.stack([self.x.numpy(), self.y.numpy(), np.ones(len(self.x))])
        ahead = np.maximum(at[2], BEHIND)
        x, y = at[0] / ahead, at[1] / ahead
        own = RADIUS * self.layer.size * self.height / shrinking(place, (0, 0, width, height))
        radius = max(LEAST, own)
        around = math.ceil(3 * radius)
        near = (x > -around) & (x < width + around) & (y > -around) & (y < height + around) & (at[2] > BEHIND)
        shine = self.lights(moment).numpy() * (own / radius)
        points = _spread(x[near], y[near], shine[near], radius, around, (width, height))
        lit = torch.from_numpy(np.flatnonzero(points)).to(light.device)
        row, column = lit // width, lit % width
        sky = light[:, row, column]
        dark = (1 - luminance(sky[..., None])[0, :, 0] / DARK).clamp(0, 1)
        much = torch.from_numpy(points).to(light)[lit] * dark
        if there is not None:
            much = much * there[0, row, column]
        light[:, row, column] = torch.where(much > 0, (sky + much).clamp(max=1), sky)
        return light


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
