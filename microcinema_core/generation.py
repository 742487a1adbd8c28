"""One sampling run in latent space, the same for training's sample sheets, the pipeline and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .clip.settings import SamplingConfig as SamplingConfig
from .config import DiffusionConfig
from .diffusion.guidance import GuidedDenoiser
from .diffusion.noise import draw_noise, start_noise
from .diffusion.prediction import Denoiser, Network
from .diffusion.samplers import SAMPLERS, Callback, sample
from .diffusion.schedule import make_schedule
from .errors import InputError
from .models.injection import Appearance
from .models.unet import VideoUNet

SCHEDULER_PREFIX = "diffusers:"
FRESH_NOISE = 1  # stream of the noise that stochastic samplers draw on the way; 0 is the start


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the network is told. context and null_context: text [B, L, D] and [1, L, D]."""

    context: Tensor
    null_context: Tensor
    appearance: Appearance | None = None
    frame_time: Tensor | None = None  # seconds from the keyframe, [T]


def check_sampler(name: str) -> None:
    """Raises InputError for a sampler that does not exist. Only a name with diffusers' prefix imports diffusers."""
    if name in SAMPLERS:
        return
    if not name.startswith(SCHEDULER_PREFIX):
        raise InputError(
            f"sampler {name!r} does not exist; there are: {', '.join(SAMPLERS)}, and diffusers' own as "
            f"{SCHEDULER_PREFIX}NAME, for example {SCHEDULER_PREFIX}unipc"
        )
    from .diffusion.schedulers import find

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
    seeds: Sequence[int],
    size: tuple[int, int, int],
    config: SamplingConfig,
    callback: Callback | None = None,
) -> Tensor:
    """Model-space latents [B, C, T, h, w]; size is (T, h, w). A clip depends on its own seed, not on its batch.

    Raises InputError for an unknown sampler and whatever the callback raises (Cancelled, to stop).
    """
    device = next(unet.parameters()).device
    shape = (unet.config.in_channels, *size)
    start = torch.stack([draw_noise(seed, shape, 0) for seed in seeds]).to(device)
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
    shared = {"appearance": appearance, "frame_time": conditioning.frame_time}
    guided = GuidedDenoiser(
        denoiser,
        z_c,
        {"context": conditioning.context, **shared},
        {"context": conditioning.null_context.expand_as(conditioning.context), **shared},
        config.cfg,
    )

    def fresh_noise(step: int) -> Tensor:
        return torch.stack([draw_noise(seed, shape, FRESH_NOISE, step) for seed in seeds]).to(device)

    if config.sampler in SAMPLERS:
        sigmas = denoiser.schedule.sigmas(config.steps)
        return sample(
            config.sampler, guided, start * sigmas[0].to(start), sigmas, noise_fn=fresh_noise, callback=callback
        )
    from .diffusion.schedulers import sample_with_scheduler

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return sample_with_scheduler(
        config.sampler, guided, start, denoiser.schedule, config.steps, generator=generators, callback=callback
    )
