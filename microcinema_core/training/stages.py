"""The stages by name."""

from __future__ import annotations

from .autoencoder import AutoencoderStage
from .config import StageName, TrainConfig
from .stage import Stage

STAGES: dict[StageName, type[Stage]] = {StageName.AUTOENCODER: AutoencoderStage}


def build_stage(config: TrainConfig) -> Stage:
    return STAGES[config.stage](config)
