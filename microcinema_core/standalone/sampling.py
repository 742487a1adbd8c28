"""One sampling run in latent space, the same for training's sample sheets, the pipeline and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..config import DiffusionConfig, ModelConfig
from ..diffusion.guidance import GuidedDenoiser
from ..diffusion.noise import draw_noise, gamma_for, start_noise
from ..diffusion.prediction import Denoiser, Network
from ..diffusion.samplers import SAMPLERS, Callback, Denoise, sample
from ..diffusion.schedule import Schedule, make_schedule
from ..diffusion.streams import NoiseStream as NoiseStream
from ..errors import InputError
from ..models.appearnet import AppearNet
from ..models.guide import Guide, beside
from ..models.injection import Appearance
from ..models.unet import VideoUNet
from ..shot.hold import hold, holding
from ..shot.segments import Segments, with_ends
from ..shot.settings import SCHEDULER_PREFIX
from ..shot.settings import SamplingConfig as SamplingConfig


@dataclass(frozen=True, slots=True)
class Text:
    """Embeddings of the clips' prompts [B, L, D], and of the null prompt [1, L, D]."""

    prompt: Tensor
    null: Tensor

    def expand(self, clips: int) -> Text:
        """One prompt for so many clips."""
        return Text(self.prompt.expand(clips, -1, -1), self.null)


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the network is told of a batch of clips.

    guide: what is known of their frames; None for single pictures. appearance: what AppearNet says of it, if anything.
    frame_time: seconds from the keyframe, [T] or [B, T].
    shared_frame: the frame that every frame's spatial self-attention reads beside its own.
    """

    text: Text
    guide: Guide | None = None
    appearance: Appearance | None = None
    frame_time: Tensor | None = None
    shared_frame: int | None = None


def check_sampler(name: str) -> None:
    """Whether a sampler of this name exists; only a name with diffusers' prefix imports diffusers.

    Raises InputError where there is none.
    """
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


def _network(unet: VideoUNet, guide: Guide | None) -> Network:
    """The same, told what is known where it fills."""
    network = _in_own_precision(unet)
    if guide is None or not unet.config.fills:
        return network

    def told(x: Tensor, *given: Tensor, **conditioning: Any) -> Tensor:
        return network(beside(x, guide.for_branches(len(x) // guide.clips)), *given, **conditioning)

    return told


def sample_latents(
    unet: VideoUNet,
    diffusion: DiffusionConfig,
    given: Conditioning,
    noise: Sequence[NoiseStream],
    size: tuple[int, int, int],
    config: SamplingConfig,
    callback: Callback | None = None,
    *,
    held: int | None = None,
) -> Tensor:
    """Model-space latents [B, C, T, h, w]; size is (T, h, w). A clip depends on its own noise, not on its batch.

    held: the frame that is the guide's own, while the others are denoised around it.

    Raises InputError for an unknown sampler and whatever the callback raises (Cancelled, to stop).
    """
    device = next(unet.parameters()).device
    shape = (unet.config.in_channels, *size)
    denoiser = Denoiser(
        _network(unet, given.guide), make_schedule(diffusion.schedule), diffusion.prediction, diffusion.prior_lambda
    )
    start = torch.stack([draw_noise(n.seed, shape, *n.start) for n in noise]).to(device)
    if given.guide is not None:
        start = start_noise(start, given.guide, gamma_for(config.gamma, diffusion, denoiser.schedule.signal))
    denoise = _guided(denoiser, given, config.cfg)
    if held is None or given.guide is None:
        return _sampled(denoise, start, denoiser.schedule, noise, config, callback)
    denoise = holding(denoise, given.guide, held)
    return hold(_sampled(denoise, start, denoiser.schedule, noise, config, callback), given.guide, held)


def _guided(denoiser: Denoiser, given: Conditioning, scale: float) -> Denoise:
    """The denoiser with both prompts, which share all else."""
    shared = {"appearance": given.appearance, "frame_time": given.frame_time, "shared_frame": given.shared_frame}
    prompt, null = given.text.prompt, given.text.null
    cond, uncond = ({"context": text, **shared} for text in (prompt, null.expand_as(prompt)))
    return GuidedDenoiser(denoiser, given.guide, cond, uncond, scale)


def _sampled(
    denoise: Denoise,
    start: Tensor,
    schedule: Schedule,
    noise: Sequence[NoiseStream],
    config: SamplingConfig,
    callback: Callback | None,
) -> Tensor:
    """From unit noise [B, C, T, h, w] to latents, by the core's sampler of that name or diffusers' scheduler."""
    if config.sampler not in SAMPLERS:
        from .schedulers import sample_with_scheduler

        generators = [n.generator() for n in noise]
        return sample_with_scheduler(
            config.sampler, denoise, start, schedule, config.steps, generator=generators, callback=callback
        )

    def fresh_noise(step: int) -> Tensor:
        drawn = torch.stack([draw_noise(n.seed, start.shape[1:], *n.fresh, step) for n in noise])
        return drawn.to(start.device, non_blocking=True)

    sigmas = schedule.sigmas(config.steps)
    return sample(config.sampler, denoise, start * sigmas[0].to(start), sigmas, noise_fn=fresh_noise, callback=callback)


def sample_segments(
    networks: tuple[VideoUNet, AppearNet],
    model: ModelConfig,
    ends: Tensor,
    level: int,
    fps: float,
    text: Text,
    noise: Sequence[NoiseStream],
    config: SamplingConfig,
    callback: Callback | None = None,
    *,
    guide: Guide | None = None,
) -> Tensor:
    """Temporal super-resolution (Sec. 3.1) of pairs of frames: the frames between them, and the given ones unchanged.

    ends: model-space latents [N, C, 2, h, w]. level: the pass, from 0; fps: frames a second before the first pass.
    text: one prompt for all segments. guide: of every frame, for a model whose line goes along one.
    -> [N, C, T, h, w], T as the model was trained for.
    Raises InputError for a pass that it was not trained for, and where a guide is lacking.
    """
    unet, appearnet = networks
    segments = Segments.of(model)
    segments.check_passes(level + 1)
    line = segments.line(ends, guide)
    seconds = torch.tensor(segments.times(segments.rate(fps, level)), device=ends.device)
    appearance = appearnet(line.to(dtype=next(appearnet.parameters()).dtype))
    given = Conditioning(text.expand(len(ends)), line, appearance, seconds)
    size = (segments.frames, *ends.shape[-2:])
    made = sample_latents(unet, model.diffusion, given, noise, size, config, callback)
    return with_ends(segments.restored(made, line, [level] * len(ends)), ends)
