"""The TSR stage (Sec. 3.1), put together: segments of a few frames, denoised around the line between their ends.

One model learns every pass of the cascade; frame time tells it which one it is at.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from accelerate import PartialState
from torch import Tensor

from ..config import TOYBOX, ClipConfig, Kind, ModelConfig
from ..errors import ConfigError, InputError
from ..models.guide import Guide
from ..shot.segments import Segments, ends_of
from .coders import Coders, cache_of, load_coders
from .config import TrainConfig
from .data.batches import ClipBatch
from .data.catalogue import SLACK
from .data.clips import StoredClips
from .data.pictures import SELECT, TRAIN
from .data.pocket_segments import PocketSegments
from .data.sources import SegmentBatches
from .data.toybox import Toybox
from .diffusion import denoising, held_out_segments
from .own_videos import OwnVideos, own_videos
from .recipe import learning_groups
from .reports.segments import SegmentsMade
from .reports.toybox import select_triples, true_segments
from .stage import Stage
from .trainee import begin, segment_model

PASSES = 2
SCALED = 250  # clips whose remainders are measured
STILL = 1e-5  # deviation of a remainder in which nothing moves; a standardised latent's own is 1
logger = logging.getLogger("microcinema")


@dataclass(frozen=True, slots=True)
class Footage:
    """What is learned from, and what the reports hold the model against.

    passes: clips as long as a segment, at each pass's rate. truth: segments [N, C, T, h, w] at such a rate, that were
    not learned from; seeds: N of them; guide: what is known of their frames beforehand, if anything.
    """

    passes: Sequence[StoredClips]
    truth: Callable[[float], Tensor]
    seeds: Sequence[int]
    guide: Callable[[float], Guide | None]


def _unguided(rate: float) -> None:
    """Of clips of which nothing is known beforehand."""


def tsr(config: TrainConfig) -> Stage[ClipBatch]:
    """End frames and text to the frames between them."""
    coders = load_coders(config)
    model = segment_model(config, coders.config)
    rates = pass_rates(model)
    _expect_guides(model, config)
    made_of = _of_pocket if config.rendered else _of_own_videos if config.videos else _of_toybox
    footage = made_of(config, coders, model.clip, rates)
    trainee = begin(Kind.TSR, config, _scaled(model, footage.passes, config), coders)
    segments = Segments.of(trainee.config)
    return Stage(
        model=trainee.networks,
        source=SegmentBatches(footage.passes, segments, config.batch, config.data.first_pass_share),
        loss=denoising(trainee, config),
        report=SegmentsMade(trainee, rates, footage.truth, footage.seeds, footage.guide),
        export=trainee.save,
        groups=learning_groups(trainee.networks, config),
        validation=held_out_segments(trainee, config, rates, footage.truth, footage.guide),
    )


def _expect_guides(model: ModelConfig, config: TrainConfig) -> None:
    """Raises ConfigError where the model's line goes along frames that the clips do not have."""
    if model.unet.along_guide and not config.rendered:
        raise ConfigError(f"train: the line of {model.name} goes along a camera's frames; name `rendered` segments")


def pass_rates(model: ModelConfig) -> list[float]:
    """Frames a second of each pass's result: the first's is that of the model's clip."""
    segments = Segments.of(model)
    given = model.clip.fps / segments.factor
    return [segments.rate(given, level) for level in range(PASSES)]


def _counts(config: TrainConfig) -> list[int]:
    """Clips of each pass."""
    data = config.data
    return [data.clips, *[data.later_pass_clips or data.clips] * (PASSES - 1)]


def _of_toybox(config: TrainConfig, coders: Coders, clip: ClipConfig, rates: Sequence[float]) -> Footage:
    whole = replace(TOYBOX.clip, width=clip.width, height=clip.height)
    # In float32: the result is held against frames whose only error is the autoencoder's own.
    material = Toybox(coders, cache_of(config), config.data.seed, within=whole)
    passes = [material.clips(replace(clip, fps=rate), n) for rate, n in zip(rates, _counts(config), strict=True)]
    triples = select_triples(config.reported)
    truth = partial(true_segments, coders, clip, triples)
    return Footage(passes, truth, [triple.seed for triple in triples], _unguided)


def _of_pocket(config: TrainConfig, coders: Coders, clip: ClipConfig, rates: Sequence[float]) -> Footage:
    """Of a folder with one for each rate, 8 and 32 of Pocket's: RATE/train to learn from, and RATE/select."""

    def segments(rate: float, split: str, count: int) -> PocketSegments:
        folder, at = Path(config.rendered) / f"{rate:g}" / split, replace(clip, fps=rate)
        bf16 = config.precision == "bf16"
        return PocketSegments.of(folder, coders, at, count, config.data.crop, cache_of(config), bf16=bf16)

    passes = [segments(rate, TRAIN, count) for rate, count in zip(rates, _counts(config), strict=True)]
    held_out = {rate: segments(rate, SELECT, config.reported) for rate in rates}

    def truth(rate: float) -> Tensor:
        return held_out[rate].first(config.reported).transpose(1, 2).float().to(coders.device)

    def guide(rate: float) -> Guide:
        return held_out[rate].guide(config.reported).to(coders.device)

    return Footage(passes, truth, range(config.reported), guide)


def _of_own_videos(config: TrainConfig, coders: Coders, clip: ClipConfig, rates: Sequence[float]) -> Footage:
    """Each pass of the films that reach its rate. Raises InputError where none reaches the last one's."""
    films = own_videos(config, coders, cache_of(config), [clip])
    _expect_reached(config.videos, films, clip, rates)
    reaching = {rate: films.at(rate) for rate in rates}
    passes, held_out = [], {}
    for (rate, some), count in zip(reaching.items(), _counts(config), strict=True):
        _tell_of_slow(config.videos, len(films.used) - len(some.used), len(films.used), rate)
        passes.append(some.material.clips(replace(clip, fps=rate), count))
        held_out[rate] = some.reported.clips(replace(clip, fps=rate), config.reported)

    def truth(rate: float) -> Tensor:
        return held_out[rate].first(config.reported).transpose(1, 2).float().to(coders.device)

    return Footage(passes, truth, range(config.reported), _unguided)


def _expect_reached(folder: str, films: OwnVideos, clip: ClipConfig, rates: Sequence[float]) -> None:
    if films.reach(rates[-1]):
        return
    most = math.floor((1 + SLACK) * films.fastest) or films.fastest
    first = most * rates[0] / rates[-1]
    raise InputError(
        f"{folder}: no film has {rates[-1]:g} frames a second, at which pass {PASSES} learns; the fastest has "
        f"{films.fastest:.4g}. Set fps = {first:g} in [clip], for passes of {first:g} and {most:g} frames a second "
        f"(beside it frames = {clip.frames}, width = {clip.width}, height = {clip.height}), or add such a film"
    )


def _tell_of_slow(folder: str, slow: int, films: int, rate: float) -> None:
    if slow and PartialState().is_main_process:
        logger.warning(
            "%s: %d of %d films have fewer than %g frames a second; the others alone teach that pass",
            folder, slow, films, rate,
        )  # fmt: skip


def _scaled(model: ModelConfig, passes: Sequence[StoredClips], config: TrainConfig) -> ModelConfig:
    """With the deviations of what the line leaves: of the file gone on from, or of these clips."""
    if model.diffusion.residual_std or not config.residual:
        return model
    unscaled = replace(Segments.of(model), residual_std=(1.0,))
    return replace(
        model, diffusion=replace(model.diffusion, residual_std=tuple(_deviation(clips, unscaled) for clips in passes))
    )


def _deviation(clips: StoredClips, unscaled: Segments) -> float:
    """Of what the line leaves of the frames between the ends. Raises InputError where nothing moves."""
    latents = clips.first(SCALED).transpose(1, 2).float()  # [N, C, T, h, w]
    line = unscaled.line(ends_of(latents), clips.guide(SCALED))
    remainder = unscaled.remainder(latents, line, [0] * len(latents))
    deviation = remainder[:, :, 1:-1].std().item()
    if not deviation > STILL:
        raise InputError("train: nothing moves in these clips, so there is nothing to learn from them; take others")
    return deviation
