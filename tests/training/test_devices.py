"""Every stage on a second device: its steps, reports, checkpoints and files are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pretend_device
import pytest
import torch
from safetensors.torch import load_file
from small_models import SMALL, SMALL_TSR

from microcinema_core import backend
from microcinema_core import config as defaults
from microcinema_core.config import Kind
from microcinema_core.training import autoencoder, caption_reader, loop
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data import toybox
from microcinema_core.training.reports import generation, segments
from microcinema_core.training.stages import build_stage

CPU = torch.device("cpu")
NEEDED = {Kind.IMAGE: ["autoencoder", "text_encoder"], Kind.VIDEO: ["autoencoder", "text_encoder", "image"]}
NEEDED[Kind.TSR] = NEEDED[Kind.IMAGE]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models and reports of the smallest size, and attention that is computed alike on both devices."""
    presets = {**defaults.PRESETS, "small": SMALL, "small_tsr": SMALL_TSR}
    monkeypatch.setattr(defaults, "PRESETS", presets)
    monkeypatch.setattr(backend, "SHORT", 0)
    monkeypatch.setattr(caption_reader, "TOKENIZER_TEXTS", 50)
    monkeypatch.setattr(caption_reader, "TOKENIZER_SIZE", 600)
    for module, name in (
        (caption_reader, "HELD_OUT_CAPTIONS"), (autoencoder, "HELD_OUT_FRAMES"), (autoencoder, "STATISTICS_FRAMES"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(generation, "SAMPLING", replace(generation.SAMPLING, steps=1))
    monkeypatch.setattr(segments, "TSR_SAMPLING", replace(segments.TSR_SAMPLING, steps=1))


@pytest.fixture
def configured(
    write_config: Callable[..., Path], stages: dict[Kind, Path], tmp_path: Path
) -> Callable[..., TrainConfig]:
    """Two steps of a stage; each name has a cache of its own."""

    def configure(kind: Kind, name: str, **values: Any) -> TrainConfig:
        earlier = {key: str(stages[Kind(key)]) for key in NEEDED.get(kind, [])}
        values = {"preset": "small_tsr" if kind is Kind.TSR else "small", "steps": 2, "batch": 1, **earlier, **values}
        config = TrainConfig.load(write_config(kind.value, name, checkpoint_every=1, **values))
        return replace(config, out=str(tmp_path / name / "run"), data=replace(config.data, clips=1, crop=16))

    return configure


def train(config: TrainConfig, device: torch.device, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Path:
    pretend_device.train_on(device)
    monkeypatch.setattr(loop, "default_device", lambda: device, raising=False)
    return loop.train(config, build_stage, progress=False, **options)


def stop(_: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", list(Kind))
def test_a_stage_is_the_same_on_both(
    kind: Kind,
    pretend: torch.device,
    configured: Callable[..., TrainConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A step, a report and a checkpoint there; a new run goes on from these; the file is that of one run here."""
    expected = load_file(train(configured(kind, "here"), CPU, monkeypatch))
    said = capsys.readouterr().out.splitlines()[-1]
    there = configured(kind, "there", sample_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(there, pretend, monkeypatch, on_step=stop)
    made = load_file(train(there, pretend, monkeypatch))
    assert capsys.readouterr().out.splitlines()[-1] == said
    for key, value in expected.items():
        assert torch.equal(made[key], value), key
