"""TSR Interpolate: temporal super-resolution of sampled latents, a batch of segments at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.config import Kind
from ..microcinema_core.diffusion.noise import draw_noise, gamma_for, start_noise
from ..microcinema_core.diffusion.schedule import make_schedule
from ..microcinema_core.diffusion.streams import NoiseStream
from ..microcinema_core.errors import InputError
from ..microcinema_core.shot.cascade import Interpolate, cascade
from ..microcinema_core.shot.dials import Dial
from ..microcinema_core.shot.plan import PASSES
from ..microcinema_core.shot.segments import Segments, with_ends
from ..microcinema_core.shot.settings import SEGMENTS, TSR_BATCH, TSR_SAMPLING, TSR_STEPS, segments_at_once
from ..microcinema_core.shot.timing import MAX_FRAMES, MAX_PASSES, segment_count
from .appearance import HostAppearNet
from .conditions import KEY, Encoded, check_prompts
from .dials import CLIP, RATE, seed_input, widget
from .finite import is_finite
from .node import Node
from .prior import model_space
from .types import AppearNetSocket

FRAMES_PER_CLIP = Dial(
    f"Frames of one clip in the latents, at most {MAX_FRAMES} where they come from one AppearNet Encode; "
    "nothing is interpolated from one clip to the next.",
    2,
    1_000_000,
)


class TSRInterpolate(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaTSRInterpolate",
            display_name="TSR Interpolate",
            category="MicroCinema",
            description="Temporal super-resolution: each pass makes three frames between every two, in latents.",
            search_aliases=["frame interpolation", "temporal super resolution", "frame rate", "slow motion", "32 fps"],
            inputs=[
                io.Model.Input("model", tooltip="MODEL of a TSR file."),
                AppearNetSocket.Input("appearnet", tooltip="APPEARNET of the same TSR file."),
                io.Latent.Input("latent", tooltip="Sampled frames, clip after clip."),
                widget("frames_per_clip", FRAMES_PER_CLIP, CLIP.frames),
                widget("fps", RATE, CLIP.fps, "As in AppearNet Encode."),
                widget("passes", replace(PASSES, low=1), MAX_PASSES),
                widget("steps", TSR_STEPS, TSR_SAMPLING.steps),
                seed_input(),
                io.Conditioning.Input("conditioning", optional=True, tooltip="The clip's prompt; may be left out."),
                widget("batch", SEGMENTS, TSR_BATCH, advanced=True),
            ],
            outputs=[
                io.Latent.Output(tooltip="All frames; the given ones are unchanged."),
                io.Float.Output(display_name="fps", tooltip="Frames a second of the result, for Create Video."),
            ],
        )

    @classmethod
    def run(
        cls,
        model: Any,
        appearnet: HostAppearNet,
        latent: dict[str, Any],
        frames_per_clip: int,
        fps: float,
        passes: int,
        steps: int,
        seed: int,
        batch: int,
        conditioning: Any = None,
    ) -> io.NodeOutput:
        samples = latent["samples"]
        _check(model, appearnet, samples, frames_per_clip, passes)
        rules = Segments.of(appearnet.header.config)
        clips = model_space(model, samples).unflatten(0, (-1, frames_per_clip))
        together = segments_at_once(batch, *samples.shape[-2:])
        bar = comfy.utils.ProgressBar(len(clips) * segment_count(frames_per_clip, rules.factor, passes))
        made = []
        for texts, clip in zip(_prompts(appearnet, conditioning, len(clips)), clips, strict=True):
            interpolate = segments(model, appearnet, texts, seed, fps, steps, bar)
            made.append(torch.stack(list(cascade(clip.unbind(0), interpolate, passes, together))))
        out = model.get_model_object("latent_format").process_out(torch.cat(made))
        every = rules.factor**passes
        for number, clip in enumerate(samples.unflatten(0, (-1, frames_per_clip))):
            out.unflatten(0, (len(clips), -1))[number, ::every] = clip.to(out)
        return io.NodeOutput({"samples": out}, fps * every)


def segments(
    model: Any, appearnet: HostAppearNet, texts: list[Tensor], seed: int, fps: float, steps: int, bar: Any
) -> Interpolate:
    """What makes a batch of a clip's segments. texts: of the clip, each [1, L, D].

    Progress is counted in segments; between two batches the user may cancel.
    """
    config = appearnet.header.config
    rules = Segments.of(config)
    schedule = make_schedule(config.diffusion.schedule)
    sigmas, gamma = schedule.sigmas(steps).float(), gamma_for(None, config.diffusion, schedule.signal)
    sampler = comfy.samplers.sampler_object(TSR_SAMPLING.sampler)

    def made_between(ends: Tensor, level: int, indices: range) -> Tensor:
        """ends [S, C, 2, h, w] -> [S, C, T, h, w], model-space, with the ends unchanged."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        line = rules.line(ends)
        times = rules.times(rules.rate(fps, level))
        encoded = Encoded(line, appearnet.encode(line), rules.frames, times, config.unet)
        given = [[text, {KEY: encoded}] for text in texts]
        streams = [NoiseStream.segment(seed, level, index) for index in indices]
        drawn = torch.stack([draw_noise(seed, line.latents.shape[1:], *stream.start) for stream in streams])
        noise = start_noise(drawn, line.to("cpu"), gamma).transpose(1, 2).flatten(0, 1)  # frames in the batch
        sampled = comfy.sample.sample_custom(
            model,
            noise,
            TSR_SAMPLING.cfg,
            sampler,
            sigmas,
            given,
            given,
            torch.zeros_like(noise),
            disable_pbar=True,
            seed=seed,
        )
        made = model_space(model, sampled).unflatten(0, (-1, rules.frames)).transpose(1, 2).to(ends)
        bar.update(len(indices))
        return with_ends(rules.restored(made, line, [level] * len(indices)), ends)

    return made_between


def _prompts(appearnet: HostAppearNet, conditioning: Any, clips: int) -> list[list[Tensor]]:
    """Of each clip its texts [1, L, D]. Texts alone: areas, masks and ControlNets do not fit segments of a clip."""
    if conditioning:
        texts = [text for text, _ in conditioning]
        for text in texts:
            check_prompts(text, clips, "TSR Interpolate: the conditioning")
        return [[text[clip % len(text)][None] for text in texts] for clip in range(clips)]
    null = appearnet.null_prompt()
    if null is None:
        raise InputError("TSR Interpolate: this model stores no null prompt; connect a prompt to conditioning")
    return [[null]] * clips


def _check(model: Any, appearnet: HostAppearNet, samples: Tensor, frames: int, passes: int) -> None:
    header = appearnet.header
    if header.kind is not Kind.TSR:
        raise InputError(
            f"TSR Interpolate: this APPEARNET is of a file of kind {header.kind}; load a temporal super-resolution file"
        )
    if getattr(model.model, "header", None) is None or model.model.header.config != header.config:
        raise InputError("TSR Interpolate: MODEL and APPEARNET are of different files; take both from one file")
    Segments.of(header.config).check_passes(passes)
    if samples.ndim != 4 or samples.shape[1] != header.config.unet.in_channels:
        raise InputError(
            f"TSR Interpolate: the latents have shape {list(samples.shape)}; this model takes "
            f"{header.config.unet.in_channels} channels with frames in the batch, from its own VAE"
        )
    if samples.shape[0] % frames or not len(samples):
        raise InputError(
            f"TSR Interpolate: {samples.shape[0]} latent frames are no whole number of clips of {frames}; "
            "set frames_per_clip as in AppearNet Encode"
        )
    if not is_finite(samples):
        raise InputError("TSR Interpolate: the latents hold NaN or infinity; look for the node they come from")
