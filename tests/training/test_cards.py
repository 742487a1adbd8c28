"""Training on several processes: the same weights as on one, shared or not, saved and gone on with on any number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from microcinema_core.checkpoint.format import read_header
from microcinema_core.errors import ConfigError
from microcinema_core.training.checkpoints import AVERAGE, MODEL, OPTIMISER, checkpoints
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stages import build_stage

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SCRIPT = str(HERE / "two_processes.py")
TABLES = """
[clip]
frames = 3
fps = 2.0
width = 64
height = 64
[data]
clips = 4
[optimiser]
warmup = 0
lr = 1e-3
spatial_lr_scale = 0.1
[recipe]
micro_batches = 2
"""


def configured(path: Path, out: str, *recipe: str, **top: str | int) -> Path:
    """Two steps of two micro-batches of one clip, written to `path`; keyword arguments are top-level keys."""
    values = {
        "stage": "video", "out": str(path.parent / out), "start_from": str(ROOT / "weights" / "toybox-video.safetensors"),
        "steps": 2, "batch": 1, "precision": "fp32", "checkpoint_every": 1, "sample_every": 1000, "reported": 1,
    } | top  # fmt: skip
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
    path.write_text("\n".join([*lines, TABLES, *recipe]))
    return path


def on_one(config: Path, *, stopped: bool = False) -> None:
    """In this process; stopped: after its first step."""

    def stop(step: int) -> None:
        if stopped:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        train(TrainConfig.load(config), build_stage, progress=False, on_step=stop)


def on_two(*words: str) -> subprocess.CompletedProcess[str]:
    """A script or a module on two processes."""
    there = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([*TORCHRUN, *words], cwd=ROOT, env=there, capture_output=True, text=True, check=False)


def expect_same(out: Path, other: Path, within: float = 0.0) -> None:
    """Weights, averages and moments of the last step, to 0 or to so much of each tensor's largest number."""
    for name in (MODEL, AVERAGE, OPTIMISER):
        a, b = (load_file(folder / "checkpoint-00000002" / name) for folder in (out, other))
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert apart(value, b[key]) <= within, f"{name}: {key}"


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return ((a - b).abs().max() / a.abs().max().clamp(min=1e-30)).item()


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    torch.set_num_threads(1)  # as theirs, or sums differ
    on_one(configured(tmp_path / "one.config", "one"))
    for kind, recipe in (("plain", []), ("shared", ["shard = true"])):
        configured(tmp_path / f"whole-{kind}.toml", kind, *recipe)
        on_one(configured(tmp_path / f"go-on-{kind}.toml", f"from-one-{kind}", *recipe), stopped=True)
        configured(tmp_path / f"stop-{kind}.toml", f"from-two-{kind}", *recipe)
    configured(tmp_path / "shares.toml", "shares", "shard = true")
    done = on_two(SCRIPT, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("video step 2:") == 4  # said by one process
    for kind, within in (("plain", 0.0), ("shared", 1e-5)):
        on_one(tmp_path / f"stop-{kind}.toml")
        for out in (kind, f"from-one-{kind}", f"from-two-{kind}"):
            print(out)
            expect_same(tmp_path / "one", tmp_path / out, within)
