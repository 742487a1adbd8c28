"""Where the embedded models lie: the repository's weights folder, or the one that MICROCINEMA_WEIGHTS names."""

from __future__ import annotations

import os
from pathlib import Path

from ..config import Kind
from ..errors import CheckpointError
from ..files import reachable

VARIABLE = "MICROCINEMA_WEIGHTS"
NAME, POCKET = "toybox", "pocket"
START = Path("studies", "pocket", "start")  # Pocket's files until there are some that are given to everybody


def file_name(kind: Kind, name: str = NAME) -> str:
    """What a file of this kind is called among those that belong together: NAME-video.safetensors."""
    return f"{name}-{kind.word}.safetensors"


def weights_folder() -> Path:
    """Where the embedded model's files are looked for, whether or not they are there."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(__file__).parents[2] / "weights"


def embedded(kind: Kind, name: str = NAME) -> Path:
    """An embedded model's file of this kind. Raises CheckpointError where it is not there."""
    path = _lies(file_name(kind, name))
    if not path.is_file():
        raise CheckpointError(
            f"{path}: the embedded model is not there; it comes with the repository, not with the installed package: "
            f"set {VARIABLE} to the repository's weights folder, or name a model file with --model"
        )
    return path


def embedded_fill() -> Path:
    """Pocket's fill model. Raises CheckpointError where it is not there."""
    path = _lies(f"{POCKET}-fill.safetensors")
    if not path.is_file():
        raise CheckpointError(f"{path}: the embedded fill model is not there; name a file with --fill")
    return path


def _lies(file: str) -> Path:
    """Where a file is to be looked for."""
    path = weights_folder() / file
    start = Path(__file__).parents[2] / START / file
    return start if start.is_file() and not path.is_file() else path


def sibling(path: Path, kind: Kind) -> Path | None:
    """NAME-tsr.safetensors, or of another kind, beside NAME-video.safetensors; None where there is none."""
    name = path.name.removesuffix(file_name(Kind.VIDEO, ""))
    beside = path.with_name(file_name(kind, name))
    with reachable(beside):
        return beside if name != path.name and beside.is_file() else None
