"""Which random numbers each clip and each segment gets: the same in the standalone program and in a host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

# First word of a stream under a seed: start and, for stochastic samplers, fresh noise of what is sampled.
CLIP_START, CLIP_FRESH, SEGMENT_START, SEGMENT_FRESH, CHAINED_START, CHAINED_FRESH = range(6)


def generator_of(*words: int) -> torch.Generator:
    """A generator on the CPU whose numbers follow from these words alone, which are not negative."""
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


@dataclass(frozen=True, slots=True)
class NoiseStream:
    """Where one sample's random numbers come from: a function of these words, whatever is sampled beside it."""

    seed: int
    start: tuple[int, ...] = (CLIP_START,)
    fresh: tuple[int, ...] = (CLIP_FRESH,)

    @classmethod
    def clip(cls, seed: int, number: int) -> NoiseStream:
        """The numbers of one of several chained clips: 0 is the one with the keyframe, those before it are negative."""
        if number == 0:
            return cls(seed)
        word = 2 * number if number > 0 else -2 * number - 1
        return cls(seed, (CHAINED_START, word), (CHAINED_FRESH, word))

    @classmethod
    def segment(cls, seed: int, level: int, index: int) -> NoiseStream:
        """The numbers of one segment of one pass of temporal super-resolution, both counted from 0."""
        return cls(seed, (SEGMENT_START, level, index), (SEGMENT_FRESH, level, index))

    def generator(self) -> torch.Generator:
        """A generator of the stream's fresh noise, for diffusers' schedulers, which draw by themselves."""
        return generator_of(self.seed, *self.fresh)
