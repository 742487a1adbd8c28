"""Air that hides what is far: 1 - exp(-density * distance), its density in swathes that drift."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from ..camera import seen
from ..layer import Layer, LayerKind
from ..moments import Moment, Moments
from ..plates import View
from .ambient import spread_out
from .clock import Clock
from .composed import Composed, Maps
from .noise import sampled, seeds, tile

CELL = 90  # cells of a swathes' map, on the frame's shorter side
FAR = 6.0  # distance of what is near the horizon
BEYOND, MOST_OF_IT, SAMPLES = 500.0, 0.9, 100_000  # the sky; share of the land that counts; pixels looked at
NOWHERE = 0.55  # heights from the top: the horizon of a picture whose distances do not tell it
SHEETS = ((1.0, 0.6), (3.0, 0.4))  # distances of the swathes, and each one's share
LOCAL = 0.3  # of the air's colour: what is behind it, blurred


@dataclass(frozen=True, slots=True)
class Air:
    """density: for each distance. swathes: how much they differ, as a deviation of its logarithm.

    drift: heights a second at distance 1. swell: heights of a swathe. reach: distances to which the air goes, straight
    up and along the ground. flat: how much wider a swathe is than high.
    low: how far it stands above the horizon, in heights; None: everywhere. grey: 0 its light's own colour, 1 none.
    shine: its brightness over that of the picture's light. torn: how far one set
    of swathes bends the other. shaded: how much its light differs, as `swathes`.
    """

    density: float
    swathes: float
    drift: float
    swell: float
    reach: tuple[float, float] = (2.5, 10.0)
    flat: float = 1.6
    low: float | None = None
    grey: float = 0.5
    shine: float = 1.0
    torn: float = 0.0
    shaded: float = 0.0


AIRS: Mapping[LayerKind, Air] = MappingProxyType(
    {
        LayerKind.FOG: Air(0.4, 0.4, 0.035, 0.45, grey=0.55, shine=1.12),
        LayerKind.MIST: Air(0.5, 1.0, 0.03, 0.3, reach=(3.5, 3.5), flat=3.2, low=0.09, shine=1.1),
        LayerKind.SMOKE: Air(
            0.55, 1.1, 0.09, 0.35, reach=(1.6, 2.2), flat=1.2, grey=0.8, shine=0.1, torn=0.5, shaded=0.4
        ),
        LayerKind.HAZE: Air(0.075, 0.12, 0.012, 0.8, flat=2.5, grey=0.6),
    }
)


class Swathes:
    """The air of one layer."""

    def __init__(self, layer: Layer, moments: Moments, view: View, maps: Maps) -> None:
        """maps: of the picture, whose distances tell where its horizon is."""
        self.layer, self.moments, self.view = layer, moments, view
        self.air = AIRS[layer.kind]
        self.tiles = [tile(seed) for seed in seeds(layer.seed, 2, 2)]
        # from the middle of the frame, in its heights
        self.scale = scale(maps.distance)
        self.horizon = (horizon(maps.distance) - 0.5) * view.picture[1] / (view.scale * view.height)

    def alpha(self, frame: Composed, moment: Moment) -> Tensor:
        """How much of what is behind it is hidden by it: 1 - exp(-density * distance), [1, H, W]."""
        noise, reach = self._noises(moment, frame.picture), self._reach(moment, frame.picture)
        thick = self._thick(noise, moment) * (-self.air.density * self.layer.strength(moment.u))
        density, reach = self._spread(torch.cat([thick, reach]))[:, None]
        return density.mul_(torch.minimum(frame.distance * self.scale, reach)).expm1_().neg_()

    def colour(self, moment: Moment, bright: Tensor, around: Tensor) -> Tensor:
        """Its own light, [3, H, W]. bright: the light on the scene, [3, 1, 1]. around: the frame's, [3, h, w]."""
        small = torch.lerp(bright.expand_as(around), around, LOCAL)
        small = torch.lerp(small, small.mean(dim=0, keepdim=True).expand_as(small), self.air.grey) * self.air.shine
        if not self.air.shaded:
            return self._spread(small).clamp_(max=1)
        uneven = self._noise(0, moment, 1.7, around).mul_(self.air.shaded).exp_()
        return self._spread(spread_out(small, uneven.shape[2], uneven.shape[1]) * uneven).clamp_(max=1)

    def _spread(self, small: Tensor) -> Tensor:
        return spread_out(small, self.view.width, self.view.height)

    def _cells(self, moment: Moment, distance: float, like: Tensor) -> tuple[Tensor, Tensor]:
        """Where cells of the frame are on a plane of the picture: x, y [h, w] in heights of the frame, from its middle.

        What is beyond the plane's own horizon is far away.
        """
        wide, tall = self.view.aspect
        rows = max(1, min(CELL * max(tall / wide, 1), self.view.height))
        columns = max(1, min(CELL * max(wide / tall, 1), self.view.width))
        y = (np.arange(round(rows)) + 0.5) / round(rows) * tall - tall / 2
        x = (np.arange(round(columns)) + 0.5) / round(columns) * wide - wide / 2
        matrix = seen(self.moments.plan, moment, distance, self.view.aspect)
        back = np.eye(3) if matrix is None else np.linalg.inv(matrix)
        u, v, w = np.einsum("ij,jyx->iyx", back, np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))]))
        w = np.maximum(w / abs(back[2, 2]), 0.02) * abs(back[2, 2]) * tall
        made_x, made_y = (torch.from_numpy(np.clip(part / w, -1e3, 1e3)).to(like) for part in (u, v))
        return made_x, made_y

    def _height(self, moment: Moment, like: Tensor) -> Tensor:
        """How far cells of the frame lie above the horizon, [1, h, w] in heights, less than 0 below it."""
        _, y = self._cells(moment, FAR, like)
        return self.horizon - y[None]

    def _reach(self, moment: Moment, like: Tensor) -> Tensor:
        """How far the air goes, [1, h, w]: along the ground far, up to the sky less."""
        high = (self._height(moment, like) / max(self.horizon + 0.5, 0.1)).clamp(0, 1)
        up, along = self.air.reach
        return along * (up / along) ** high

    def _noises(self, moment: Moment, like: Tensor) -> Tensor:
        """All swathes together, [1, h, w], mean 0, deviation 1."""
        first, second = (share * self._noise(i, moment, far, like) for i, (far, share) in enumerate(SHEETS))
        return (first + second) / math.hypot(*(share for _, share in SHEETS))

    def _thick(self, noise: Tensor, moment: Moment) -> Tensor:
        """Density over its mean, [1, h, w]."""
        thick = torch.exp(self.air.swathes * noise - self.air.swathes**2 / 2)
        if self.air.low is not None:
            thick = thick * torch.exp(-self._height(moment, noise).clamp(min=0) / self.air.low)
        return thick

    def _noise(self, number: int, moment: Moment, distance: float, like: Tensor) -> Tensor:
        """[1, h, w], mean 0, deviation 1: the swathes at a distance, which drift; two sets that go past each other."""
        air = self.air
        x, y = self._cells(moment, distance, like)
        # Far swathes look as large as near ones, or the picture would be full of small ones.
        side = 4 * air.swell * self.layer.size
        x, y = x / (side * air.flat), y / side
        clock = Clock.of(self.layer, moment)
        angle = math.radians(self.layer.heading)
        speed = air.drift * self.layer.speed / distance / side * (1, 1.35)[number]
        ahead = speed * math.cos(angle) / air.flat, -speed * math.sin(angle)
        total = torch.zeros_like(x)
        for weight, seconds, place in _copies(clock):
            u, v = x - ahead[0] * seconds + place, y - ahead[1] * seconds + 0.61 * place
            if air.torn:
                bent = sampled(self.tiles[1 - number], 0.7 * u + 0.3, 0.7 * v)
                u, v = u + 0.1 * air.torn * bent, v - 0.1 * air.torn * bent
            total += weight * sampled(self.tiles[number], u, v)
        return total[None]


def _copies(clock: Clock) -> list[tuple[float, float, float]]:
    """Weight, seconds of drift and place of what is summed: where the clip loops, two that fade into each other."""
    if clock.period is None:
        return [(1.0, clock.seconds, 0.0)]
    parts = [(clock.seconds / clock.period + shift) % 1 for shift in (0.0, 0.5)]
    return [(math.sin(math.pi * part), (part - 0.5) * clock.period, 0.37 * i) for i, part in enumerate(parts)]


def scale(distance: Tensor | None) -> float:
    """What distances [1, H, W] are multiplied by, so that a wide view is not lost: its land goes to FAR at most."""
    if distance is None:
        return 1.0
    land = distance[distance < BEYOND]
    return min(1.0, FAR / float(land[:: max(1, len(land) // SAMPLES)].quantile(MOST_OF_IT))) if len(land) else 1.0


def horizon(distance: Tensor | None) -> float:
    """Heights from the top of a picture to where, from below, half of a row of its distances [1, H, W] is far."""
    if distance is None:
        return NOWHERE
    rows = distance[0].median(dim=1).values
    nearest, farthest = float(rows.min()), float(rows.max())
    if farthest < 2 * nearest:
        return NOWHERE
    far = (rows >= min(FAR, math.sqrt(nearest * farthest))).nonzero().flatten()
    return (int(far[-1]) + 1) / len(rows)
