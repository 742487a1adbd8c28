"""Configurations of training for a place and a size that the committed ones do not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from microcinema_core.training.config import TrainConfig


def written(config: TrainConfig, path: Path, **values: Any) -> Path:
    """The configuration with other values, as a file; those of its tables are given as `data={"clips": 4}`."""
    tables = {key: replace(getattr(config, key), **value) for key, value in values.items() if isinstance(value, dict)}
    told = replace(config, **{**values, **tables})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toml_of(told.to_dict()), encoding="utf-8")
    return path


def toml_of(values: Mapping[str, Any], table: str = "") -> str:
    """What is None is left out, which is what None means in a configuration."""
    plain = {key: value for key, value in values.items() if value is not None and not isinstance(value, Mapping)}
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    lines = [f"[{table}]"] if table else []
    # JSON's strings, numbers, lists and truths are TOML's.
    lines += [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    return "\n".join([*lines, *(toml_of(value, f"{table}.{key}".lstrip(".")) for key, value in tables.items())]) + "\n"
