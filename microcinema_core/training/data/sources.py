"""Sources of batches: what is drawn for one step, and in which order, on which resuming and old figures rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...shot.segments import Segments
from ...shot.timing import keyframe_index
from ..stage import Draw
from .batches import ClipBatch, around_keyframes, between_ends, without_guide
from .clips import Clips


@dataclass(frozen=True, slots=True)
class FrameBatches:
    """Of clips of one frame."""

    clips: Clips
    count: int

    def __call__(self, draw: Draw) -> ClipBatch:
        return without_guide([self.clips.draw(draw.rng) for _ in range(self.count)])


@dataclass(frozen=True, slots=True)
class KeyframeBatches:
    """Clips around their centre frame; of a share of them, around any frame; a share of batches shows none."""

    clips: Clips
    count: int
    elsewhere: float = 0.0
    unseen: float = 0.0

    def __call__(self, draw: Draw) -> ClipBatch:
        clips, keys = [], []
        for _ in range(self.count):
            clips.append(self.clips.draw(draw.rng))
            keys.append(self._key(draw.rng, len(clips[-1].latents)))
        batch = around_keyframes(clips, keys)
        # Nothing is drawn where every batch shows its keyframes, so that older runs stay what they were.
        return replace(batch, guide=None) if self.unseen and draw.rng.random() < self.unseen else batch

    def _key(self, rng: np.random.Generator, frames: int) -> int:
        return int(rng.integers(frames)) if rng.random() < self.elsewhere else keyframe_index("centre", frames)


@dataclass(frozen=True, slots=True)
class SegmentBatches:
    """Segments of every pass of the cascade, whose clips are as long as a segment and come at the pass's rate.

    passes: the clips of each. first_share: of segments of the first pass; the others are drawn as often as each other.
    """

    passes: Sequence[Clips]
    segments: Segments
    count: int
    first_share: float

    def __call__(self, draw: Draw) -> ClipBatch:
        clips, levels = [], []
        for _ in range(self.count):
            levels.append(self._level(draw.rng))
            clips.append(self.passes[levels[-1]].draw(draw.rng))
        return between_ends(clips, levels, self.segments)

    def _level(self, rng: np.random.Generator) -> int:
        return 0 if rng.random() < self.first_share else int(rng.integers(1, len(self.passes)))
