"""Training on several processes: the same weights as on one, shared or not, saved and gone on with on any number."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from microcinema_core import cli
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stages import build_stage

HERE = Path(__file__).parent
sd = SimpleNamespace(**runpy.run_path(str(HERE.parent / "core" / "importers" / "sd_files.py")))
FILE = "model.safetensors"


@pytest.fixture(scope="module")
def inflated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.1's layout with few channels; its autoencoder, text encoder and vocabulary are in the file."""
    folder = tmp_path_factory.mktemp("inflated")
    source, out = sd.write_folder(sd.build("sd21"), folder / "sd21"), folder / "sd21-video.safetensors"
    assert cli.run(["inflate", str(source), "--out", str(out)]) == cli.DONE
    return out


def configured(path: Path, inflated: Path, out: str, recipe: str = "", **top: Any) -> Path:
    """Two steps of two micro-batches on Toybox, written to `path`."""
    values = {
        "stage": "video", "out": str(path.parent / out), "start_from": str(inflated), "steps": 2, "batch": 1,
        "precision": "fp32", "checkpoint_every": 1, "sample_every": 1000, "reported": 1,
    } | top  # fmt: skip
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
    tables = (
        "[clip]\nframes = 3\nfps = 2.0\nwidth = 64\nheight = 64\n[data]\nclips = 4\n[optimiser]\nwarmup = 0\nlr = 1e-3"
    )
    path.write_text("\n".join([*lines, tables, "spatial_lr_scale = 0.1\n[recipe]\nmicro_batches = 2", recipe]))
    return path


def on_two(*words: str) -> subprocess.CompletedProcess[str]:
    """A script or module on two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    there = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*torchrun, *words], cwd=HERE.parents[1], env=there, capture_output=True, text=True, check=False
    )


def weights(folder: Path, name: str = FILE) -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def expect_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], within: float = 0.0) -> None:
    """To 0, or to so much of each tensor's largest number."""
    assert a.keys() == b.keys()
    for key, value in a.items():
        apart = (value.float() - b[key].float()).abs().max().item() if value.numel() else 0.0
        assert apart <= within * max(value.abs().max().item(), 1.0), f"{key}: {apart}"


@pytest.fixture(scope="module")
def made(inflated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of all runs below, by name."""
    folder = tmp_path_factory.mktemp("cards")
    configured(folder / "whole-plain.toml", inflated, "plain")
    return folder


def test_two_processes(inflated: Path, tmp_path: Path) -> None:
    shard = "shard = true"
    one = TrainConfig.load(configured(tmp_path / "one.config", inflated, "one"))
    torch.set_num_threads(1)
    train(one, build_stage, progress=False)
    configured(tmp_path / "a.toml", inflated, "plain")
    configured(tmp_path / "b.toml", inflated, "sharded", shard)
    configured(tmp_path / "shares.toml", inflated, "shares", shard)
    done = on_two(str(HERE / "two_processes.py"), str(tmp_path))
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    expect_equal(weights(tmp_path / "one"), weights(tmp_path / "plain"))
    expect_equal(weights(tmp_path / "one"), weights(tmp_path / "sharded"), 1e-5)
