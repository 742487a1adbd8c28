"""The autoencoder stage on a folder of pictures: what it learns by, and what its file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hostile
import numpy as np
import pytest
import torch
from PIL import Image
from small_models import SMALL

from microcinema_core import config as defaults
from microcinema_core.checkpoint.format import VAE, read_checkpoint
from microcinema_core.config import Kind
from microcinema_core.errors import ConfigError
from microcinema_core.standalone.components import load_codec
from microcinema_core.training import autoencoder
from microcinema_core.training.autoencoder import PICTURE_TERMS, TOYBOX_TERMS
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.pictures import fitted, read_folder
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(defaults, "PRESETS", {**defaults.PRESETS, "small": SMALL})
    monkeypatch.setattr(autoencoder, "STATISTICS_FRAMES", 3)
    for part, count in (("train", 3), ("select", 2)):
        (tmp_path / part).mkdir()
        for number in range(count):
            levels = np.random.default_rng(number).integers(0, 255, (72, 90, 3), dtype=np.uint8)
            Image.fromarray(levels).save(tmp_path / part / f"{number}.png")
    return tmp_path


@pytest.fixture
def config(folder: Path, write_config: Callable[..., Path]) -> TrainConfig:
    config = TrainConfig.load(write_config("autoencoder", preset="small", steps=1))
    return replace(config, data=replace(config.data, pictures=str(folder), crop=32))


def test_a_run_goes_on_from_a_file_and_says_from_what(config: TrainConfig, tmp_path: Path) -> None:
    first = train(config, build_stage, progress=False)
    still = replace(config.optimiser, lr=1e-30)
    again = replace(config, out=str(tmp_path / "again"), start_from=str(first), optimiser=still)
    before, after = read_checkpoint(first), read_checkpoint(train(again, build_stage, progress=False))
    for key, value in before.sections[VAE].items():
        assert torch.equal(after.sections[VAE][key], value), key
    said = after.header.provenance
    assert said["started_from"] == before.header.provenance
    assert said["pictures"] == before.header.provenance["pictures"]
    assert {name: said["pictures"][name] for name in ("train", "select")} == {"train": 3, "select": 2}
    # The latents that a model gets are of deviation 1 on the pictures it was trained on.
    pixels = fitted(read_folder(Path(config.data.pictures) / "train", 32, 1), SMALL.clip.width) / 2 + 0.5
    latents = load_codec(first).encode(pixels)
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 0.01
    assert latents.std(dim=(0, 2, 3)).sub(1).abs().max() < 0.01


def test_edges_count_of_pictures_alone(config: TrainConfig) -> None:
    """An error that is the same everywhere has none; a line of one pixel in 32 has two each way."""
    assert TOYBOX_TERMS.gradients == 0
    toybox = replace(config, data=replace(config.data, pictures=""))
    draw, latents = Draw.of(0, 0), torch.zeros(2, 4, 4, 4)
    for told, names in ((config, 4), (toybox, 3)):
        stage = build_stage(told)
        losses = stage.loss(lambda pixels, _: (latents, pixels + 0.5), stage.source(draw), draw)
        assert len(losses) == names
        assert losses["squared"].item() == pytest.approx(0.25, abs=1e-6)
        assert losses.get("gradients", torch.zeros(())).item() == pytest.approx(0, abs=1e-6)
    stage = build_stage(config)
    losses = stage.loss(lambda pixels, _: (latents, pixels + torch.eye(32)), stage.source(draw), draw)
    assert losses["gradients"].item() == pytest.approx(PICTURE_TERMS.gradients * 2 * 2 / 32, rel=0.05)


def test_an_autoencoder_of_other_sizes_is_not_gone_on_from(config: TrainConfig) -> None:
    other = replace(config, start_from=str(Path(__file__).parents[2] / "weights" / "toybox-autoencoder.safetensors"))
    with pytest.raises(ConfigError, match="holds an autoencoder of other sizes than preset small's; name another"):
        build_stage(other)


def test_a_stage_that_learns_from_none_refuses_pictures(config: TrainConfig) -> None:
    with pytest.raises(
        ConfigError, match=r"stage text_encoder learns from no pictures; leave `pictures` out of \[data\]"
    ):
        build_stage(replace(config, stage=Kind.TEXT_ENCODER))


def test_folders_without_pictures(config: TrainConfig, folder: Path) -> None:
    for path in sorted((folder / "select").iterdir()):
        path.unlink()
    with pytest.raises(ConfigError, match="select: none of 0 files is a picture of 32 pixels or more"):
        build_stage(config)
    (folder / "select").rmdir()
    with pytest.raises(ConfigError, match="select: is no folder; name one that holds train/ to learn from and select/"):
        build_stage(config)
    for name in ("nowhere", str(folder / "train" / "0.png")):
        with pytest.raises(ConfigError, match=f"{name}/train: (is no folder|.*Not a directory)"):
            build_stage(replace(config, data=replace(config.data, pictures=name)))


def test_what_is_no_picture_is_told_and_left_out(
    config: TrainConfig, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (folder / "train" / "0.png").read_bytes()
    (folder / "train" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "train" / "words.txt").write_text("no picture")
    (folder / "train" / "empty.jpg").touch()
    (folder / "train" / "folder").mkdir()
    Image.new("RGB", (300, 31)).save(folder / "train" / "low.png")
    stage = build_stage(config)
    assert stage.source.pictures.whole == 3
    said = "\n".join(caplog.messages)
    for name in (
        "cut.png",
        "words.txt",
        "empty.jpg",
        "folder",
        r"low.png: is too small (300x31); give 32 pixels or more",
    ):
        assert name in said
    assert len(caplog.messages) == 5


ROWS = {  # each with a test above
    "a folder that is missing, a file in its place, or no folder in it to learn from or to report on",
    "a folder without pictures",
    "in it a text, a folder, what is empty, damaged or too small",
    "pictures for a stage that learns from none",
    "an autoencoder of other sizes to start from",
}


def test_the_page_lists_these_cases() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hostile-input.md").read_text(encoding="utf-8")
    assert hostile.rows(page, "Pictures to learn from") == sorted(ROWS)
