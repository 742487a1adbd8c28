"""The stages by name."""

from __future__ import annotations

from .autoencoder import AutoencoderStage
from .config import StageName, TrainConfig
from .diffusion import ImageStage, VideoStage
from .interpolation import TSRStage
from .stage import Stage
from .text import TextStage

STAGES: dict[StageName, type[Stage]] = {
    StageName.AUTOENCODER: AutoencoderStage,
    StageName.TEXT_ENCODER: TextStage,
    StageName.IMAGE: ImageStage,
    StageName.VIDEO: VideoStage,
    StageName.TSR: TSRStage,
}


def build_stage(config: TrainConfig) -> Stage:
    return STAGES[config.stage](config)
