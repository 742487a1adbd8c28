"""The files of earlier stages, which a stage's configuration names."""

from __future__ import annotations

from pathlib import Path

from ..checkpoint.format import read_header
from ..checkpoint.load import expect_kind
from ..config import Kind
from ..errors import ConfigError


def earlier_file(path: str, key: str, kind: Kind) -> Path:
    """Raises ConfigError where the configuration's `key` names none, CheckpointError where it is of another kind."""
    if not path:
        raise ConfigError(f"train: this stage needs `{key}`, the file of an earlier stage")
    expect_kind(read_header(Path(path)), Path(path), kind)
    return Path(path)
