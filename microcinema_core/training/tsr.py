"""The TSR stage (Sec. 3.1), put together: segments of a few frames, denoised around the line between their ends.

One model learns every pass of the cascade; frame time tells it which one it is at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..checkpoint.format import read_header
from ..config import TOYBOX, Kind, ModelConfig
from ..shot.segments import Segments, ends_of
from .coders import cache_of, load_coders
from .config import TrainConfig
from .data.batches import ClipBatch
from .data.clips import StoredClips
from .data.sources import SegmentBatches
from .data.toybox import Toybox
from .diffusion import denoising, held_out_segments
from .earlier import earlier_file
from .recipe import learning_groups
from .reports.segments import SegmentsMade
from .reports.toybox import select_triples, true_segments
from .stage import Stage
from .trainee import asked_for, begin

PASSES = 2
SCALED = 250  # clips whose remainders are measured


def tsr(config: TrainConfig) -> Stage[ClipBatch]:
    """End frames and text to the frames between them."""
    coders, data = load_coders(config), config.data
    model = asked_for(config, coders.config)
    clip, rates = model.clip, pass_rates(model)
    whole = replace(TOYBOX.clip, width=clip.width, height=clip.height)
    # In float32: the result is held against frames whose only error is the autoencoder's own.
    material = Toybox(coders, cache_of(config), data.seed, within=whole)
    counts = [data.clips, *[data.later_pass_clips or data.clips] * (PASSES - 1)]
    passes = [material.clips(replace(clip, fps=rate), n) for rate, n in zip(rates, counts, strict=True)]
    trainee = begin(Kind.TSR, config, _scaled(model, passes, config), coders)
    triples = select_triples(config.reported)
    truth = partial(true_segments, coders, clip, triples)
    return Stage(
        model=trainee.networks,
        source=SegmentBatches(passes, Segments.of(trainee.config), config.batch, data.first_pass_share),
        loss=denoising(trainee, config),
        report=SegmentsMade(trainee, rates, truth, [triple.seed for triple in triples]),
        export=trainee.save,
        groups=learning_groups(trainee.networks, config),
        validation=held_out_segments(trainee, config, rates, truth),
    )


def pass_rates(model: ModelConfig) -> list[float]:
    """Frames a second of each pass's result: the first's is that of the model's clip."""
    segments = Segments.of(model)
    given = model.clip.fps / segments.factor
    return [segments.rate(given, level) for level in range(PASSES)]


def _scaled(model: ModelConfig, passes: Sequence[StoredClips], config: TrainConfig) -> ModelConfig:
    """With the deviations of what the line leaves: of the file gone on from, or of these clips."""
    if config.start_from:
        earlier = read_header(earlier_file(config.start_from, "start_from", Kind.TSR)).config
        return replace(model, diffusion=earlier.diffusion)
    if not config.residual:
        return model
    unscaled = Segments(model.clip.frames, residual_std=(1.0,))
    return replace(
        model, diffusion=replace(model.diffusion, residual_std=tuple(_deviation(clips, unscaled) for clips in passes))
    )


def _deviation(clips: StoredClips, unscaled: Segments) -> float:
    """Of what the line leaves of the frames between the ends."""
    latents = clips.latents[:SCALED].transpose(1, 2).float()  # [N, C, T, h, w]
    remainder = unscaled.remainder(latents, unscaled.line(ends_of(latents)), [0] * len(latents))
    return remainder[:, :, 1:-1].std().item()
