"""The stages by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import Kind
from ..errors import ConfigError
from .autoencoder import autoencoder
from .caption_reader import text_encoder
from .composer import composer
from .config import TrainConfig
from .diffusion import image, video
from .holes import pocket_fill
from .pocket import pocket_video
from .stage import Stage
from .tsr import tsr

STAGES: dict[Kind, Callable[[TrainConfig], Stage[Any]]] = {
    Kind.AUTOENCODER: autoencoder,
    Kind.TEXT_ENCODER: text_encoder,
    Kind.IMAGE: image,
    Kind.VIDEO: video,
    Kind.TSR: tsr,
    Kind.COMPOSER: composer,
}


def build_stage(config: TrainConfig) -> Stage[Any]:
    """Raises ConfigError for a stage that cannot learn from videos, pictures or rendered clips where some are given."""
    if config.videos and config.stage not in (Kind.VIDEO, Kind.TSR):
        raise ConfigError(f"train: stage {config.stage} learns from Toybox alone; leave `videos` out")
    if config.rendered and (config.stage not in (Kind.VIDEO, Kind.TSR, Kind.COMPOSER) or config.videos):
        raise ConfigError(
            "train: `rendered` clips are for stages video, tsr and composer, without `videos`; leave one out"
        )
    if config.data.pictures and config.stage is Kind.IMAGE:
        return pocket_fill(config)
    if config.data.pictures and config.stage is not Kind.AUTOENCODER:
        raise ConfigError(f"train: stage {config.stage} learns from no pictures; leave `pictures` out of [data]")
    if config.rendered and config.stage is Kind.VIDEO:
        return pocket_video(config)
    return STAGES[config.stage](config)
