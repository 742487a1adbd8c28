"""The temporal super-resolution stage: what its batches hold, and that what it writes runs in the cascade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from microcinema_core.checkpoint.load import load_networks
from microcinema_core.config import Kind
from microcinema_core.errors import CheckpointError, ConfigError
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.segments import linear_frames
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage
from microcinema_core.training.tsr import tsr

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


def test_a_batch_mixes_both_passes_around_straight_lines(write_config: Callable[..., Path]) -> None:
    stage = tsr(TrainConfig.load(write_config("tsr", preset="toybox_tsr", batch=16, precision="fp32")))
    batch = stage.source(Draw.of(0, 0))
    latents, z_c, times = batch.latents, batch.guide.latents, batch.frame_time
    assert latents.shape == z_c.shape == (16, 4, 5, 16, 16)
    assert torch.equal(z_c, linear_frames(latents[:, :, [0, -1]], 5))
    assert {tuple(row) for row in times.tolist()} == {tuple(i / rate for i in range(5)) for rate in (8, 32)}
    fast, slow = ((latents - z_c)[times[:, 1] == 1 / rate].square().mean() for rate in (32, 8))
    assert fast < slow  # frames closer in time lie closer to the line


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_the_first_pass(share: float, write_config: Callable[..., Path]) -> None:
    config = TrainConfig.load(write_config("tsr", preset="toybox_tsr", batch=16, precision="fp32"))
    stage = tsr(replace(config, data=replace(config.data, first_pass_share=share)))
    assert set(stage.source(Draw.of(0, 0)).frame_time[:, 1].tolist()) == {1 / 8 if share else 1 / 32}


def test_a_share_above_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('stage = "tsr"\nout = "out"\n[data]\nfirst_pass_share = 1.5\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"train\.toml.*first_pass_share must be between 0 and 1"):
        TrainConfig.load(path)


def test_remainders_have_deviation_one_in_each_pass(write_config: Callable[..., Path]) -> None:
    path = write_config("tsr", preset="toybox_tsr", batch=64, precision="fp32")
    config = replace(TrainConfig.load(path), residual=True)
    stage = tsr(config)
    slow, fast = stage.loss.diffusion.residual_std
    assert fast < slow
    batch = stage.source(Draw.of(0, 0))
    assert not batch.latents[:, :, [0, -1]].any()
    inner, times = batch.latents[:, :, 1:-1], batch.frame_time
    for rate in stage.report.rates:
        # Of a handful of clips, drawn with repetition and backwards.
        assert inner[times[:, 1] == 1 / rate].std().item() == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("residual", [False, True])
def test_trains_and_runs_in_the_cascade(residual: bool, write_config: Callable[..., Path]) -> None:
    config = replace(TrainConfig.load(write_config("tsr", preset="toybox_tsr", steps=2)), residual=residual)
    model = train(config, build_stage, progress=False)
    networks = load_networks(model, kind=Kind.TSR)
    assert networks.header.config.clip.frames == 5
    assert len(networks.header.config.diffusion.residual_std) == 2 * residual
    for name in ("toybox-autoencoder", "toybox-text"):
        (model.parent / f"{name}.safetensors").symlink_to(WEIGHTS / f"{name}.safetensors")
    pipeline = MicroCinemaPipeline.from_pretrained(WEIGHTS / "toybox-video.safetensors", tsr=model)
    keyframe = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    shot = pipeline.shoot(
        keyframe, "a red star moves left", ShotConfig(passes=1, width=64, height=64), sampling=SamplingConfig(steps=1)
    )
    frames = np.stack(list(shot))
    assert frames.shape == (33, 64, 64, 3)
    assert shot.fps == 8


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(CheckpointError, match="kind video"):
        MicroCinemaPipeline.from_pretrained(
            WEIGHTS / "toybox-video.safetensors", tsr=WEIGHTS / "toybox-video.safetensors"
        )


def test_a_mode_that_reads_no_text_starts_from_nothing_too(write_config: Callable[..., Path]) -> None:
    stage = build_stage(TrainConfig.load(write_config("tsr", preset="toybox_tsr", batch=1, injection="concat")))
    losses = stage.loss(stage.model, stage.source(Draw.of(0, 0)), Draw.of(0, 0))
    assert all(loss.isfinite() for loss in losses.values())
    assert not stage.model.appearnet.concat.weight.any()
