"""Clips to learn from, wherever they come from: what a stage does with them is said in `sources.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from ...config import ClipConfig
from ...models.guide import Guide
from ..config import DataConfig


@dataclass(frozen=True, slots=True)
class Clip:
    """latents: model-space [T, C, h, w]; text: a sentence about it; fps: the rate of its frames.

    guide: what is known of every frame beforehand, [1, C, T, h, w]; None: nothing is.
    """

    latents: Tensor
    text: str
    fps: float
    guide: Guide | None = None


class Clips(Protocol):
    """Many clips of one length, or several such kinds, or an endless stream."""

    def draw(self, rng: np.random.Generator) -> Clip:
        """A clip that follows from `rng` alone."""


class StoredClips(Clips, Protocol):
    """Clips whose latents are all there, in memory or in files."""

    def first(self, count: int) -> Tensor:
        """Model-space [n, T, C, h, w], float16, of the first `count` clips, or of all where they are fewer."""

    def guide(self, count: int) -> Guide | None:
        """Of the same clips, [n, C, T, h, w], float32; None of clips that have none."""


class Material(Protocol):
    """Where clips come from: a procedural world, or videos of one's own."""

    def clips(self, clip: ClipConfig, count: int) -> StoredClips:
        """`count` clips of this length, rate and size, or a few more."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Clips of several kinds: a share is drawn from the others, from each of them as often."""

    main: Clips
    others: Sequence[Clips]
    share: float

    def draw(self, rng: np.random.Generator) -> Clip:
        if rng.random() >= self.share:
            return self.main.draw(rng)
        return self.others[int(rng.integers(len(self.others)))].draw(rng)


def at_rates(material: Material, clip: ClipConfig, data: DataConfig) -> Clips:
    """Clips at the model's own frame rate and, where the configuration names others, a share at these."""
    main = material.clips(clip, data.clips)
    others = [material.clips(replace(clip, fps=rate), data.other_rate_clips) for rate in data.other_rates]
    return Mixed(main, others, data.other_rate_share) if others else main


def seconds_of(clip: ClipConfig) -> float:
    """From a clip's first frame to its last."""
    return (clip.frames - 1) / clip.fps
