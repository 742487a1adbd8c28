"""Short training runs on the committed autoencoder and text encoder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "weights"

Write = Callable[..., Path]


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "microcinema_core.cli", "train", str(config)]


def run_training(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(config), cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def write_config(tmp_path: Path) -> Write:
    """Write a TOML file for a few steps of a stage; keyword arguments are its top-level keys."""

    def write(stage: str, name: str = "run", **values: str | int | float) -> Path:
        values = {
            "stage": stage,
            "out": str(tmp_path / name),
            "steps": 4,
            "batch": 2,
            "precision": "fp32",
            "checkpoint_every": 2,
            "sample_every": 1000,
            **({} if stage in ("autoencoder", "text_encoder") else _frozen()),
            **values,
        }
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join([*lines, "[data]", "clips = 4", "[optimiser]", "warmup = 0"]))
        return path

    return write


def _frozen() -> dict[str, str]:
    return {
        "autoencoder": str(WEIGHTS / "toybox-autoencoder.safetensors"),
        "text_encoder": str(WEIGHTS / "toybox-text.safetensors"),
    }
