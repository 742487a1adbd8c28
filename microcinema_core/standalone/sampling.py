"""One sampling run in latent space, the same for training's sample sheets, the pipeline and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..config import DiffusionConfig
from ..diffusion.guidance import GuidedDenoiser
from ..diffusion.noise import draw_noise, start_noise
from ..diffusion.prediction import Denoiser, Network
from ..diffusion.samplers import SAMPLERS, Callback, Denoise, sample
from ..diffusion.schedule import Schedule, make_schedule
from ..diffusion.streams import NoiseStream as NoiseStream
from ..errors import InputError
from ..models.appearnet import AppearNet
from ..models.injection import Appearance
from ..models.unet import VideoUNet
from ..shot.cascade import linear_frames
from ..shot.hold import anchored, place_keyframe
from ..shot.settings import SCHEDULER_PREFIX
from ..shot.settings import SamplingConfig as SamplingConfig


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the network is told. context and null_context: text [B, L, D] and [1, L, D]."""

    context: Tensor
    null_context: Tensor
    appearance: Appearance | None = None
    frame_time: Tensor | None = None  # seconds from the keyframe, [T]
    shared_frame: int | None = None  # the frame that every frame's spatial self-attention reads beside its own


def check_sampler(name: str) -> None:
    """Raises InputError for a sampler that does not exist. Only a name with diffusers' prefix imports diffusers."""
    if name in SAMPLERS:
        return
    if not name.startswith(SCHEDULER_PREFIX):
        raise InputError(
            f"sampler {name!r} does not exist; there are: {', '.join(SAMPLERS)}, and diffusers' own as "
            f"{SCHEDULER_PREFIX}NAME, for example {SCHEDULER_PREFIX}unipc"
        )
    from .schedulers import find

    find(name)


def _in_own_precision(unet: VideoUNet) -> Network:
    """The network for float32 samples, whatever the precision of its weights."""
    dtype = next(unet.parameters()).dtype

    def network(x: Tensor, t: Tensor, context: Tensor, **conditioning: Any) -> Tensor:
        output: Tensor = unet(x.to(dtype), t, context.to(dtype), **conditioning)
        return output.to(x.dtype)

    return network


def sample_latents(
    unet: VideoUNet,
    diffusion: DiffusionConfig,
    conditioning: Conditioning,
    noise: Sequence[NoiseStream],
    size: tuple[int, int, int],
    config: SamplingConfig,
    callback: Callback | None = None,
    *,
    exact_key: int | None = None,
) -> Tensor:
    """Model-space latents [B, C, T, h, w]; size is (T, h, w). A clip depends on its own noise, not on its batch.

    exact_key: the frame whose latent is the keyframe's own, while the others are denoised around it.

    Raises InputError for an unknown sampler and whatever the callback raises (Cancelled, to stop).
    """
    device = next(unet.parameters()).device
    shape = (unet.config.in_channels, *size)
    start = torch.stack([draw_noise(n.seed, shape, *n.start) for n in noise]).to(device)
    appearance = conditioning.appearance
    z_c = None if appearance is None else appearance.latent.transpose(1, 2)  # [B, C, T or 1, h, w]
    if z_c is not None:
        gamma = diffusion.prior_gamma if config.gamma is None else config.gamma
        start = start_noise(start, z_c, gamma)
    denoiser = Denoiser(
        _in_own_precision(unet),
        make_schedule(diffusion.schedule),
        diffusion.prediction,
        diffusion.prior_lambda if z_c is not None else 0.0,
    )
    shared = {
        "appearance": appearance,
        "frame_time": conditioning.frame_time,
        "shared_frame": conditioning.shared_frame,
    }
    guided = GuidedDenoiser(
        denoiser,
        z_c,
        {"context": conditioning.context, **shared},
        {"context": conditioning.null_context.expand_as(conditioning.context), **shared},
        config.cfg,
    )

    denoise: Denoise = guided
    if exact_key is not None and z_c is not None:
        denoise = anchored(guided, z_c, exact_key)

    def fresh_noise(step: int) -> Tensor:
        return torch.stack([draw_noise(n.seed, shape, *n.fresh, step) for n in noise]).to(device)

    if config.sampler in SAMPLERS:
        sigmas = denoiser.schedule.sigmas(config.steps)
        latents = sample(
            config.sampler, denoise, start * sigmas[0].to(start), sigmas, noise_fn=fresh_noise, callback=callback
        )
    else:
        latents = _sample_with_diffusers(config, denoise, start, denoiser.schedule, noise, callback)
    return latents if exact_key is None or z_c is None else place_keyframe(latents, z_c, exact_key)


def _sample_with_diffusers(
    config: SamplingConfig,
    denoise: Denoise,
    start: Tensor,
    schedule: Schedule,
    noise: Sequence[NoiseStream],
    callback: Callback | None,
) -> Tensor:
    from .schedulers import sample_with_scheduler

    generators = [n.generator() for n in noise]
    return sample_with_scheduler(
        config.sampler, denoise, start, schedule, config.steps, generator=generators, callback=callback
    )


def sample_segments(
    networks: tuple[VideoUNet, AppearNet],
    diffusion: DiffusionConfig,
    ends: Tensor,
    frames: int,
    fps: float,
    level: int,
    context: tuple[Tensor, Tensor],
    noise: Sequence[NoiseStream],
    config: SamplingConfig,
    callback: Callback | None = None,
) -> Tensor:
    """Temporal super-resolution (Sec. 3.4) of pairs of frames: the frames between them, and the given ones unchanged.

    ends: model-space latents [N, C, 2, h, w]; frames: of a segment, both ends included; fps: of the result.
    level: the pass, from 0. Raises InputError for a pass that the model was not trained for.
    context: of the prompt and the null prompt, each [1, L, D], shared by all segments.
    -> [N, C, frames, h, w].
    """
    unet, appearnet = networks
    line = linear_frames(ends, frames)
    appearance = appearnet(line.to(next(appearnet.parameters()).dtype))
    times = torch.arange(frames, device=ends.device, dtype=torch.float32) / fps
    prompt, null = (text.expand(len(ends), -1, -1) for text in context)
    given = Conditioning(prompt, null, appearance, times)
    made = sample_latents(unet, diffusion, given, noise, (frames, *ends.shape[-2:]), config, callback)
    if diffusion.residual_std:
        if level >= len(diffusion.residual_std):
            raise InputError(f"this temporal super-resolution model knows {len(diffusion.residual_std)} passes")
        made = line + diffusion.residual_std[level] * made
    return torch.cat([ends[:, :, :1], made[:, :, 1:-1], ends[:, :, 1:]], dim=2)
