"""Toybox clips as latents, computed once and kept: encoding costs more than a training step.

Any frame of a stored clip can be its keyframe, and a clip played backwards is one of the opposite motion, so each
serves many times.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ..config import ClipConfig
from ..files import sha256_of, written_whole
from ..standalone.autoencoders import LatentCodec
from ..standalone.components import load_codec
from ..worlds.toybox.world import Motion, Scene, clip_times, render, sample_scene

SHARD = 250
OPPOSITE = {
    Motion.LEFT: Motion.RIGHT,
    Motion.UP: Motion.DOWN,
    Motion.CLOCKWISE: Motion.COUNTERCLOCKWISE,
    Motion.GROW: Motion.SHRINK,
}
OPPOSITE |= {b: a for a, b in OPPOSITE.items()}


@dataclass(frozen=True, slots=True)
class LatentClips:
    """latents: model-space [N, T, C, h, w], float16; scenes: what each clip shows."""

    latents: Tensor
    scenes: list[Scene]

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
class Excerpt:
    """What is cached of each scene: a clip around time 0, or a shorter one anywhere `within` such a clip."""

    clip: ClipConfig
    within: ClipConfig | None = None

    def __str__(self) -> str:
        return f"{self.clip}" if self.within is None else f"{self.clip} within {self.within}"

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[Scene, list[float]]]:
        """Scenes, and the times of their frames."""
        if self.within is None:
            times = _centred(self.clip)
            return [(sample_scene(rng, times), times) for _ in range(count)]
        whole, length = _centred(self.within), (self.clip.frames - 1) / self.clip.fps
        drawn = []
        for _ in range(count):
            start = rng.uniform(whole[0], whole[-1] - length)
            drawn.append((sample_scene(rng, whole), [start + i / self.clip.fps for i in range(self.clip.frames)]))
        return drawn


def _centred(clip: ClipConfig) -> list[float]:
    return clip_times(clip.frames, clip.fps, clip.frames // 2)


def latent_clips(autoencoder: Path, excerpt: Excerpt, count: int, seed: int, cache: Path, *, bf16: bool) -> LatentClips:
    """Read the cached clips, making what is missing; interrupted, it goes on at the next shard."""
    key = hashlib.sha256(f"{sha256_of(autoencoder)} {excerpt} {seed}".encode()).hexdigest()[:12]
    folder = cache / f"latents-{key}"
    sizes = [min(SHARD, count - start) for start in range(0, count, SHARD)]
    shards = [folder / f"shard-{i:04d}-{size}.safetensors" for i, size in enumerate(sizes)]
    with PartialState().main_process_first():
        missing = [i for i, path in enumerate(shards) if not path.exists()]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            codec = load_codec(autoencoder)
            for i in tqdm(missing, desc=f"latents of {SHARD} clips"):
                rng = np.random.default_rng([seed, 1 << 41, i])
                _write_shard(shards[i], codec, excerpt.draw(rng, sizes[i]), excerpt.clip.width, bf16=bf16)
    latents, scenes = [], []
    for path in shards:
        with safe_open(path, framework="pt") as file:
            latents.append(file.get_tensor("latents"))
            scenes += [Scene.from_dict(scene) for scene in json.loads(file.metadata()["scenes"])]
    return LatentClips(torch.cat(latents), scenes)


def _write_shard(
    path: Path, codec: LatentCodec, drawn: list[tuple[Scene, list[float]]], size: int, *, bf16: bool
) -> None:
    encoded = []
    for scene, times in drawn:
        pixels = torch.from_numpy(render(scene, times, size)).movedim(-1, 1).float() / 255
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            encoded.append(codec.encode(pixels.to(memory_format=torch.channels_last)).half())
    with written_whole(path) as temporary:
        metadata = {"scenes": json.dumps([scene.to_dict() for scene, _ in drawn])}
        save_file({"latents": torch.stack(encoded).contiguous()}, temporary, metadata=metadata)
