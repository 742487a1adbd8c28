"""Every stage on a second device: its steps, reports, checkpoints and files are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pretend_device
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_models import SMALL, SMALL_TSR

from microcinema_core import config as defaults
from microcinema_core.checkpoint.format import read_header
from microcinema_core.config import WHOLE, Kind
from microcinema_core.media import save_clip
from microcinema_core.training import autoencoder, caption_reader, loop
from microcinema_core.training.config import AverageOn, Learns, RecipeConfig, TrainConfig
from microcinema_core.training.reports import generation, segments
from microcinema_core.training.stages import build_stage

CPU, FILMS, PICTURES = torch.device("cpu"), "films", "pictures"
NEEDED = {Kind.IMAGE: ["autoencoder", "text_encoder"], Kind.VIDEO: ["autoencoder", "text_encoder", "image"]}
NEEDED[Kind.TSR] = NEEDED[Kind.IMAGE]


@pytest.fixture(autouse=True)
def small(stages: dict[Kind, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Models and reports of the smallest size."""
    monkeypatch.setattr(defaults, "PRESETS", {**defaults.PRESETS, "small": SMALL, "small_tsr": SMALL_TSR})
    words = read_header(stages[Kind.TEXT_ENCODER]).tokenizer  # learned once: where counts are equal, merges may differ
    monkeypatch.setattr(caption_reader, "train_tokenizer", lambda *_: words)
    for module, name in (
        (caption_reader, "HELD_OUT_CAPTIONS"), (autoencoder, "HELD_OUT_FRAMES"), (autoencoder, "STATISTICS_FRAMES"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(generation, "SAMPLING", replace(generation.SAMPLING, steps=1))
    monkeypatch.setattr(segments, "TSR_SAMPLING", replace(segments.TSR_SAMPLING, steps=1))


@pytest.fixture
def configured(
    write_config: Callable[..., Path], stages: dict[Kind, Path], weights: Path, tmp_path: Path
) -> Callable[..., TrainConfig]:
    """Two steps of a stage, also on a film or on pictures of one's own; each name has a cache of its own."""

    def configure(stage: str, name: str, recipe: RecipeConfig, **values: Any) -> TrainConfig:
        kind = {FILMS: Kind.VIDEO, PICTURES: Kind.AUTOENCODER}.get(stage) or Kind(stage)
        earlier = {key: str(stages[Kind(key)]) for key in NEEDED.get(kind, [])}
        preset = "small_tsr" if kind is Kind.TSR else "small"
        values = {"preset": preset, "steps": 2, "batch": 1, "checkpoint_every": 1, **earlier, **values}
        path = write_config(kind.value, name, **values)
        config = replace(TrainConfig.load(path), out=str(tmp_path / name / "run"))
        if stage == FILMS:
            clip = replace(SMALL.clip, frames=3, fps=4.0)
            config = replace(config, start_from=str(weights / "toybox-video.safetensors"), clip=clip)
            config = replace(config, videos=str(film(tmp_path / "films")), autoencoder="", text_encoder="", image="")
        pictures = str(drawn(tmp_path / "pictures")) if stage == PICTURES else ""
        return replace(config, data=replace(config.data, clips=1, crop=16, pictures=pictures), recipe=recipe)

    return configure


def film(folder: Path) -> Path:
    """A folder with a film of a second in which it becomes lighter, and its sentence."""
    if not folder.exists():
        folder.mkdir()
        frames = np.broadcast_to(np.arange(0, 240, 30, dtype=np.uint8)[:, None, None, None], (8, 64, 64, 3))
        save_clip(str(folder / "film.mp4"), frames, 8.0, {})
        (folder / "film.txt").write_text("it becomes light")
    return folder


def drawn(folder: Path) -> Path:
    """A folder with two pictures to learn from and one to report on."""
    for number, part in enumerate(("train", "train", "select")):
        (folder / part).mkdir(parents=True, exist_ok=True)
        levels = np.random.default_rng(number).integers(0, 255, (64, 72, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / part / f"{number}.png")
    return folder


def train(config: TrainConfig, device: torch.device, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Path:
    pretend_device.train_on(device)
    monkeypatch.setattr(loop, "default_device", lambda: device, raising=False)
    return loop.train(config, build_stage, progress=False, **options)


def stop(_: int) -> None:
    raise KeyboardInterrupt


LEAN = RecipeConfig(
    learns=Learns.TEMPORAL, average=AverageOn.CPU, gradient_checkpointing=True, micro_batches=2, coders_on_cpu=True
)
RUNS = [(stage, RecipeConfig()) for stage in (*map(str, WHOLE), FILMS, PICTURES)]
RUNS += [(FILMS, LEAN), (FILMS, RecipeConfig(learns=Learns.LORA, average=AverageOn.NONE))]


@pytest.mark.parametrize(("stage", "recipe"), RUNS)
def test_a_stage_is_the_same_on_both(
    stage: str,
    recipe: RecipeConfig,
    pretend: torch.device,
    configured: Callable[..., TrainConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A step, a report and a checkpoint there; a new run goes on from these; the file is that of one run here."""
    expected = load_file(train(configured(stage, "here", recipe), CPU, monkeypatch))
    said = capsys.readouterr().out.splitlines()[-1]
    there = configured(stage, "there", recipe, sample_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(there, pretend, monkeypatch, on_step=stop)
    made = load_file(train(there, pretend, monkeypatch))
    assert capsys.readouterr().out.splitlines()[-1] == said
    for key, value in expected.items():
        assert torch.equal(made[key], value), key
