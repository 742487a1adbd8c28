"""The stages by name."""

from __future__ import annotations

from ..config import Kind
from ..errors import ConfigError
from .autoencoder import AutoencoderStage
from .caption_reader import TextStage
from .config import TrainConfig
from .diffusion import ImageStage, VideoStage
from .film_stage import FilmStage
from .stage import Stage
from .tsr import TSRStage

STAGES: dict[Kind, type[Stage]] = {
    Kind.AUTOENCODER: AutoencoderStage,
    Kind.TEXT_ENCODER: TextStage,
    Kind.IMAGE: ImageStage,
    Kind.VIDEO: VideoStage,
    Kind.TSR: TSRStage,
}


def build_stage(config: TrainConfig) -> Stage:
    if config.videos and config.stage is not Kind.VIDEO:
        raise ConfigError(f"train: stage {config.stage} learns from Toybox alone; leave `videos` out")
    return (FilmStage if config.videos else STAGES[config.stage])(config)
