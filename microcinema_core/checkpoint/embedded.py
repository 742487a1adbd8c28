"""Where the embedded Toybox model lies: the repository's weights folder, or the one that MICROCINEMA_WEIGHTS names."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import CheckpointError

VARIABLE = "MICROCINEMA_WEIGHTS"
NAME = "toybox"
STAGES = ("autoencoder", "text", "image", "video", "tsr")


def file_name(stage: str, name: str = NAME) -> str:
    return f"{name}-{stage}.safetensors"


def weights_folder() -> Path:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(__file__).parents[2] / "weights"


def embedded(stage: str) -> Path:
    """The embedded model's file of one stage. Raises CheckpointError where it is not there."""
    path = weights_folder() / file_name(stage)
    if not path.is_file():
        raise CheckpointError(
            f"{path}: the embedded model is not there; it comes with the repository, not with the installed package: "
            f"set {VARIABLE} to the repository's weights folder, or name a model file with --model"
        )
    return path


def sibling(path: Path, stage: str) -> Path | None:
    """NAME-stage.safetensors beside NAME-video.safetensors, where it is there."""
    name = path.name.removesuffix(file_name("video", ""))
    beside = path.with_name(file_name(stage, name))
    return beside if name != path.name and beside.is_file() else None
