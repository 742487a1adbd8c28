"""Short training runs on the committed autoencoder and text encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
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
            "reported": 1,
            **_earlier_stages(stage),
            **values,
        }
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join([*lines, "[data]", "clips = 4", "[optimiser]", "warmup = 0"]))
        return path

    return write


def _earlier_stages(stage: str) -> dict[str, str]:
    files = {"autoencoder": "autoencoder", "text_encoder": "text", "image": "image"}
    coders = ("autoencoder", "text_encoder")
    needed = {"image": coders, "video": tuple(files), "tsr": coders}.get(stage, ())
    return {key: str(WEIGHTS / f"toybox-{files[key]}.safetensors") for key in needed}
