"""Toybox's clips as material, their latents computed once and kept.

Any frame of a stored clip can be its keyframe, and a clip played backwards is one of the opposite motion, so each
serves many times.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...config import ClipConfig
from ...shot.timing import frame_times
from ...worlds.toybox.captions import caption, still_caption
from ...worlds.toybox.world import Motion, Scene, render, sample_scene
from ..coders import Coders
from .clips import Clip, seconds_of
from .shards import Shard, kept, shard_folder

SHARD = 250  # clips drawn from one stream of random numbers: another number would be other clips
STREAM = 1 << 41  # of those clips; training's steps never reach it
OPPOSITE = {
    Motion.LEFT: Motion.RIGHT,
    Motion.UP: Motion.DOWN,
    Motion.CLOCKWISE: Motion.COUNTERCLOCKWISE,
    Motion.GROW: Motion.SHRINK,
}
OPPOSITE |= {b: a for a, b in OPPOSITE.items()}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is stored of each scene: a clip around time 0, or a shorter one anywhere `within` such a clip."""

    clip: ClipConfig
    within: ClipConfig | None = None

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[Scene, list[float]]]:
        """Scenes, and the times of their frames."""
        if self.within is None:
            times = _centred(self.clip)
            return [(sample_scene(rng, times), times) for _ in range(count)]
        whole, length = _centred(self.within), seconds_of(self.clip)
        drawn = []
        for _ in range(count):
            start = rng.uniform(whole[0], whole[-1] - length)
            drawn.append((sample_scene(rng, whole), frame_times(self.clip.frames, self.clip.fps, start=start)))
        return drawn


def _centred(clip: ClipConfig) -> list[float]:
    return frame_times(clip.frames, clip.fps, clip.frames // 2)


@dataclass(frozen=True, slots=True)
class StoredScenes:
    """latents: model-space [N, T, C, h, w], float16; scenes: what each clip shows; fps: the rate of all."""

    latents: Tensor
    scenes: list[Scene]
    fps: float

    def __len__(self) -> int:
        return len(self.scenes)

    def clip(self, index: int, *, backwards: bool) -> tuple[Tensor, Scene]:
        """Latents [T, C, h, w] and what they show. A clip whose reverse is held out of training is never reversed."""
        latents, scene = self.latents[index].float(), self.scenes[index]
        if not backwards:
            return latents, scene
        reverse = replace(scene, motion=OPPOSITE[scene.motion])
        return (latents, scene) if reverse.held_out else (latents.flip(0), reverse)


@dataclass(frozen=True, slots=True)
class ToyboxClips:
    """Moving clips, forwards or backwards; of `hard` motions a share more than the store has."""

    stored: StoredScenes
    hard: Sequence[str] = ()
    hard_share: float = 0.0

    def first(self, count: int) -> Tensor:
        """Model-space [n, T, C, h, w], float16, of the first `count` clips, or of all where they are fewer."""
        return self.stored.latents[:count]

    def guide(self, count: int) -> None:
        """Of clips alone nothing is known beforehand."""

    def draw(self, rng: np.random.Generator) -> Clip:
        index, backwards = self.index(rng), bool(rng.random() < 0.5)
        latents, scene = self.stored.clip(index, backwards=backwards)
        return Clip(latents, caption(scene, rng), self.stored.fps)

    def index(self, rng: np.random.Generator) -> int:
        """Which clip; a share of them among the hard motions."""
        if not self.hard or rng.random() >= self.hard_share:
            return int(rng.integers(len(self.stored)))
        return int(rng.choice([i for i, scene in enumerate(self.stored.scenes) if scene.motion in self.hard]))


@dataclass(frozen=True, slots=True)
class ToyboxStills:
    """Single frames, half of them described as pictures and half as the clips that they are from."""

    stored: StoredScenes

    def draw(self, rng: np.random.Generator) -> Clip:
        latents, scene = self.stored.clip(int(rng.integers(len(self.stored))), backwards=False)
        frame = int(rng.integers(len(latents)))
        text = still_caption(scene, rng) if rng.random() < 0.5 else caption(scene, rng)
        return Clip(latents[frame : frame + 1], text, self.stored.fps)


@dataclass(frozen=True, slots=True)
class Toybox:
    """Toybox as material, drawn from `seed`.

    bf16: how clips are encoded. within: where in time they lie, anywhere in such a clip; None: around time 0.
    """

    coders: Coders
    cache: Path
    seed: int
    bf16: bool = False
    within: ClipConfig | None = None
    hard: Sequence[str] = ()
    hard_share: float = 0.0

    def clips(self, clip: ClipConfig, count: int) -> ToyboxClips:
        return ToyboxClips(self.scenes(clip, count), self.hard, self.hard_share)

    def scenes(self, clip: ClipConfig, count: int) -> StoredScenes:
        """The stored clips themselves."""
        excerpt = Excerpt(clip, self.within)
        precision = "bf16" if self.bf16 else "fp32"
        folder = shard_folder(self.cache, "toybox", self.coders.identity, excerpt, self.seed, precision)
        shard = kept(folder, count, SHARD, partial(self._made, excerpt))
        return StoredScenes(shard.latents, [Scene.from_dict(json.loads(note)) for note in shard.notes], clip.fps)

    def _made(self, excerpt: Excerpt, part: range) -> Shard:
        drawn = excerpt.draw(np.random.default_rng([self.seed, STREAM, part.start // SHARD]), len(part))
        coders, size = self.coders, excerpt.clip.width
        with torch.autocast(coders.device.type, torch.bfloat16, enabled=self.bf16):
            latents = [coders.encode(render(scene, times, size)).half().cpu() for scene, times in drawn]
        return Shard(torch.stack(latents), [json.dumps(scene.to_dict()) for scene, _ in drawn])
