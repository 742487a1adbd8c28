"""What the networks make while they are trained, for the sheets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models.guide import Guide
from ...shot.settings import SamplingConfig
from ...shot.timing import frame_times, keyframe_index
from ...standalone.sampling import Conditioning, NoiseStream, Text, sample_latents
from ..trainee import Trainee

SAMPLING = SamplingConfig(steps=12, cfg=2.0)


def _read(trainee: Trainee, texts: Sequence[str]) -> Text:
    return Text(trainee.coders.text.encode(texts), trainee.coders.null)


def stills(trainee: Trainee, texts: Sequence[str], seeds: Sequence[int]) -> Tensor:
    """Single frames at the size trained at: model-space latents [B, C, 1, h, w]."""
    clip, downscale = trainee.config.clip, trainee.config.latent.downscale
    size = (1, clip.height // downscale, clip.width // downscale)
    noise, given = [NoiseStream(seed) for seed in seeds], Conditioning(_read(trainee, texts))
    return sample_latents(trainee.networks.unet, trainee.config.diffusion, given, noise, size, SAMPLING)


def clip_times(trainee: Trainee) -> list[float]:
    """Seconds of each frame of a clip whose keyframe is its centre."""
    clip = trainee.config.clip
    return frame_times(clip.frames, clip.fps, keyframe_index("centre", clip.frames))


def clips(trainee: Trainee, keyframes: Tensor, texts: Sequence[str], seeds: Sequence[int]) -> Tensor:
    """Clips around these keyframes [B, C, 1, h, w], as their centre: model-space latents [B, C, T, h, w]."""
    networks, guide = trainee.networks, Guide(keyframes)
    times = torch.tensor(clip_times(trainee), device=keyframes.device)
    appearance = None if networks.appearnet is None else networks.appearnet(guide)
    given = Conditioning(_read(trainee, texts), guide, appearance, times)
    size = (len(times), *keyframes.shape[-2:])
    noise = [NoiseStream(seed) for seed in seeds]
    return sample_latents(networks.unet, trainee.config.diffusion, given, noise, size, SAMPLING)
