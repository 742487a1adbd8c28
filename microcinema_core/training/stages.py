"""The stages by name."""

from __future__ import annotations

from ..errors import ConfigError
from .autoencoder import AutoencoderStage
from .caption_reader import TextStage
from .config import StageName, TrainConfig
from .diffusion import ImageStage, VideoStage
from .film_stage import FilmStage
from .stage import Stage
from .tsr import TSRStage

STAGES: dict[StageName, type[Stage]] = {
    StageName.AUTOENCODER: AutoencoderStage,
    StageName.TEXT_ENCODER: TextStage,
    StageName.IMAGE: ImageStage,
    StageName.VIDEO: VideoStage,
    StageName.TSR: TSRStage,
}


def build_stage(config: TrainConfig) -> Stage:
    if config.videos and config.stage is not StageName.VIDEO:
        raise ConfigError(f"train: stage {config.stage} learns from Toybox alone; leave `videos` out")
    return (FilmStage if config.videos else STAGES[config.stage])(config)
