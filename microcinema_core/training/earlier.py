"""The files of earlier stages, which a stage's configuration names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..checkpoint.format import Header, read_header
from ..checkpoint.load import expect_kind
from ..config import Kind
from ..errors import ConfigError
from .config import TrainConfig

STARTS = {Kind.TSR: (Kind.TSR, Kind.VIDEO)}  # the paper adapts its video model; elsewhere the same kind is gone on from


def start_file(config: TrainConfig) -> Path:
    """`start_from`'s file. Raises ConfigError and CheckpointError as `earlier_file` does."""
    return earlier_file(config.start_from, "start_from", *STARTS.get(config.stage, (config.stage,)))


def earlier_file(path: str, key: str, *kinds: Kind) -> Path:
    """Raises ConfigError where the configuration's `key` names none, CheckpointError where it is of another kind."""
    if not path:
        raise ConfigError(f"train: this stage needs `{key}`, the file of an earlier stage")
    expect_kind(read_header(Path(path)), Path(path), *kinds)
    return Path(path)


def with_history(header: Header, earlier: Header | None) -> Header:
    """The new file's header with the licence and the history of the file gone on from, if any."""
    if earlier is None:
        return header
    history = {"started_from": earlier.provenance}
    return replace(header, provenance=header.provenance | history, licence=earlier.licence)
