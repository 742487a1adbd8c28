"""What a model fills holes of pictures with that it never saw, in decibels beside a push-pull pyramid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import median

import torch
from torch import Tensor

from ...media import to_uint8
from ...standalone.filling import FILLING, guide_of, sampled
from ...worlds.pocket.pool import Pool
from ..data.holes import drawn
from ..stage import Findings
from ..trainee import Trainee

SEED = 0  # of crops and holes
SAMPLES = 4  # of each picture, whose mean is measured too
SHOWN = 6  # pictures on a sheet


@dataclass(frozen=True, slots=True)
class Filled:
    """One picture, pixels 0..1: truth [3, H, W], known [1, H, W], its guide decoded [3, H, W], samples [N, 3, H, W]."""

    truth: Tensor
    known: Tensor
    guide: Tensor
    samples: Tensor

    def measured(self) -> dict[str, float]:
        """Decibels where nothing is known."""
        ways = {"made": self.samples[:1], "mean": self.samples.mean(0, keepdim=True), "guide": self.guide[None]}
        return {name: self._decibels(way) for name, way in ways.items()}

    def _decibels(self, made: Tensor) -> float:
        missing = 1 - self.known
        error = ((made - self.truth).square() * missing).sum() / (3 * missing.sum()).clamp(min=1)
        return float(-10 * torch.log10(error.clamp(min=1e-10)))


class HolesFilled:
    """Of the first so many crops: figures, and a sheet of truth, what is known, the guide and samples."""

    def __init__(self, trainee: Trainee, pool: Pool, count: int) -> None:
        self.trainee, self.pool, self.count = trainee, pool, count

    @cached_property
    def holed(self) -> list[tuple[Tensor, Tensor]]:
        """Crops [3, S, S] and what is known of each."""
        side = self.trainee.config.clip.width
        pairs = (drawn(self.pool, number, side, SEED) for number in range(self.count))
        return [(crop, known[0]) for crop, known in pairs]

    def __call__(self) -> Findings:
        filled = [self._filled(*pair) for pair in self.holed]
        measured = [one.measured() for one in filled]
        figures = {name: median(one[name] for one in measured) for name in measured[0]}
        rows = [
            to_uint8(torch.stack([one.truth, one.truth * one.known, one.guide, *one.samples[:2]]))
            for one in filled[:SHOWN]
        ]
        return Findings(figures, rows)

    def _filled(self, crop: Tensor, known: Tensor) -> Filled:
        coders, networks = self.trainee.coders, self.trainee.networks
        codec, place = coders.codec, coders.device
        guide = guide_of(codec, crop[None].to(place), known[None].to(place))
        made = sampled(networks.unet, self.trainee.config, guide, range(SAMPLES), FILLING)
        pixels = codec.decode(torch.cat([guide.latents[:, :, 0], made])).cpu()
        return Filled(crop, known, pixels[0], pixels[1:])
