"""Excerpts of one's own videos as material, their latents computed once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...config import ClipConfig
from ...media import place
from ...shot.resize import ResizePolicy
from ...shot.timing import frame_times
from ..coders import Coders
from .clips import Clip, seconds_of
from .films import Film, read_frames
from .shards import Shard, kept, shard_folder

SHARD = 50


@dataclass(frozen=True, slots=True)
class FilmClips:
    """latents: model-space [N, T, C, h, w], float16; texts: what each clip shows; fps: the rate of all."""

    latents: Tensor
    texts: list[str]
    fps: float

    def __len__(self) -> int:
        return len(self.texts)

    def clip(self, index: int) -> Clip:
        return Clip(self.latents[index].float(), self.texts[index], self.fps)

    def first(self, count: int) -> Tensor:
        """Of so many clips at most: model-space latents [N, T, C, h, w], float16."""
        return self.latents[:count]

    def draw(self, rng: np.random.Generator) -> Clip:
        return self.clip(int(rng.integers(len(self))))


@dataclass(frozen=True, slots=True)
class FilmMaterial:
    """Excerpts of each film in turn and at random times that follow from `seed`."""

    films: Sequence[Film]
    coders: Coders
    cache: Path
    seed: int

    def clips(self, clip: ClipConfig, count: int) -> FilmClips:
        stamps = [(str(film.path), film.path.stat().st_size, film.path.stat().st_mtime_ns) for film in self.films]
        folder = shard_folder(self.cache, "films", self.coders.identity, clip, self.seed, stamps)
        shard = kept(folder, count, SHARD, partial(self._made, clip))
        return FilmClips(shard.latents, [self._film(i).text for i in range(count)], clip.fps)

    def _film(self, number: int) -> Film:
        return self.films[number % len(self.films)]

    def _made(self, clip: ClipConfig, part: range) -> Shard:
        rngs = (np.random.default_rng([self.seed, i]) for i in part)
        made = [_encoded(self._film(i), self.coders, clip, rng) for i, rng in zip(part, rngs, strict=True)]
        return Shard(torch.stack(made), [])


def _encoded(film: Film, coders: Coders, clip: ClipConfig, rng: np.random.Generator) -> Tensor:
    """One excerpt [T, C, h, w], float16; pictures of another shape lose their edges."""
    start = rng.uniform(0, film.seconds - seconds_of(clip))
    times = frame_times(clip.frames, clip.fps, start=start)
    frames = [
        place(Image.fromarray(frame), clip.width, clip.height, ResizePolicy.CROP)
        for frame in read_frames(film.path, times)
    ]
    return coders.encode(frames).half().cpu()
