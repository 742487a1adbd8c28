"""The image and video stages, put together: denoising frames and clips of Toybox, or of one's own videos."""

from __future__ import annotations

from dataclasses import replace

from ..config import Kind, image_stage
from ..errors import ConfigError
from ..worlds.toybox.world import Motion
from .coders import Coders, cache_of, load_coders
from .config import TrainConfig
from .data.batches import ClipBatch
from .data.clips import at_rates
from .data.sources import FrameBatches, KeyframeBatches
from .data.toybox import Toybox, ToyboxStills
from .denoising import Denoising
from .own_videos import own_videos
from .recipe import learning_groups
from .reports.films import FilmClipsMade
from .reports.toybox import ToyboxClipsMade, ToyboxPictures
from .stage import Report, Stage, all_of
from .trainee import Trainee, asked_for, begin


def image(config: TrainConfig) -> Stage[ClipBatch]:
    """Text to single frames."""
    coders = load_coders(config)
    trainee = begin(Kind.IMAGE, config, image_stage(asked_for(config, coders.config)), coders)
    scenes = toybox(config, coders).scenes(trainee.config.clip, config.data.clips)
    return Stage(
        model=trainee.networks,
        source=FrameBatches(ToyboxStills(scenes), config.batch),
        loss=denoising(trainee, config),
        report=ToyboxPictures(trainee, config.reported),
        export=trainee.save,
        groups=all_of(trainee.networks),
    )


def video(config: TrainConfig) -> Stage[ClipBatch]:
    """Keyframe and text to clips; inflated from the image stage where no file is gone on from."""
    coders = load_coders(config)
    trainee = begin(Kind.VIDEO, config, asked_for(config, coders.config), coders)
    loss, data, clip = denoising(trainee, config), config.data, trainee.config.clip
    if data.no_keyframe and trainee.config.diffusion.prior_lambda:
        raise ConfigError("train: no_keyframe leaves nothing that lambda could be of; set prior_lambda = 0")
    if config.videos:
        rated = [replace(clip, fps=rate) for rate in (clip.fps, *data.other_rates)]
        films = own_videos(config, coders, cache_of(config), rated)
        clips = at_rates(films.material, clip, data)
        report: Report = FilmClipsMade(trainee, films.reported.clips(clip, config.reported), loss, config.seed)
    else:
        clips = at_rates(toybox(config, coders), clip, data)
        report = ToyboxClipsMade(trainee, config.reported)
    return Stage(
        model=trainee.networks,
        source=KeyframeBatches(clips, config.batch, data.other_keyframes, data.no_keyframe),
        loss=loss,
        report=report,
        export=trainee.save,
        groups=learning_groups(trainee.networks, config),
    )


def denoising(trainee: Trainee, config: TrainConfig) -> Denoising:
    """The loss with the settings of model and run."""
    return Denoising(trainee.config.diffusion, trainee.coders.text, config.data.no_text, config.towards_noise)


def toybox(config: TrainConfig, coders: Coders) -> Toybox:
    """Raises ConfigError for motions that it does not have."""
    data = config.data
    if unknown := set(data.hard_motions) - set(Motion):
        raise ConfigError(f"train: hard_motions: {min(unknown)!r} is none of {', '.join(Motion)}")
    bf16 = config.precision == "bf16"
    return Toybox(coders, cache_of(config), data.seed, bf16=bf16, hard=data.hard_motions, hard_share=data.hard_share)
