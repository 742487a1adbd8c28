"""A run that is killed goes on from its last whole checkpoint to the very same weights."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from microcinema_core.checkpoint.format import read_header
from microcinema_core.config import ClipConfig
from microcinema_core.errors import ConfigError
from microcinema_core.training.checkpoints import checkpoints
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stages import build_stage

ROOT = Path(__file__).resolve().parents[2]
Write = Callable[..., Path]


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "microcinema_core.cli", "train", str(config)]


def run_training(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(config), cwd=ROOT, capture_output=True, text=True, check=False)


def kill_at_random(config: Path, out: Path, rng: random.Random) -> int:
    """Start the run, wait for a checkpoint and a random moment more, SIGKILL it; returns the last whole step."""
    process = subprocess.Popen(command(config), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not checkpoints(out):
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < deadline, "no checkpoint in five minutes"
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 1.0))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return int(checkpoints(out)[-1].name.rpartition("-")[2])


@pytest.mark.slow  # test_films.py and test_recipes.py have quick ones of stopping and going on
def test_killed_run_reaches_the_same_weights(write_config: Write, tmp_path: Path) -> None:
    steps = {"steps": 30, "checkpoint_every": 3}
    whole = write_config("video", "whole", **steps)
    killed = write_config("video", "killed", **steps)
    done = run_training(whole)
    assert done.returncode == 0, done.stderr
    last = kill_at_random(killed, tmp_path / "killed", random.Random())
    assert last < 30, "the run was over before it could be killed; raise `steps`"
    resumed = run_training(killed)
    assert resumed.returncode == 0, resumed.stderr
    assert f"at step {last} of 30" in resumed.stdout
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]), f"{key} differs after resuming at step {last}"


def test_half_written_checkpoint_is_not_taken(write_config: Write, tmp_path: Path) -> None:
    """Death while writing leaves a folder under its temporary name, whatever is in it."""
    config = TrainConfig.load(write_config("text_encoder", batch=4))
    train(config, build_stage, progress=False)
    out = tmp_path / "run"
    assert [c.name for c in checkpoints(out)] == ["checkpoint-00000002", "checkpoint-00000004"]
    half = out / "partial-00000006"
    shutil.copytree(out / "checkpoint-00000004", half)
    (half / "model.safetensors").write_bytes(b"half")
    assert half not in checkpoints(out)
    file = out / "model.safetensors"
    before, words = load_file(file), read_header(file).tokenizer
    train(config, build_stage, progress=False)
    after = load_file(file)
    for key, value in before.items():
        assert torch.equal(value, after[key]), key
    assert read_header(file).tokenizer == words  # or the weights would belong to other words


def test_checkpoint_of_another_configuration_is_refused(write_config: Write, tmp_path: Path) -> None:
    train(TrainConfig.load(write_config("text_encoder", batch=4)), build_stage, progress=False)
    with pytest.raises(ConfigError, match=r"batch = 4.*8.*another `out`"):
        train(TrainConfig.load(write_config("text_encoder", batch=8)), build_stage, progress=False)
    other = replace(TrainConfig.load(write_config("text_encoder", batch=4)), clip=ClipConfig(frames=5))
    with pytest.raises(ConfigError, match=r"clip = None.*'frames': 5"):
        train(other, build_stage, progress=False)


def test_going_on_from_a_trained_file_keeps_its_weights_and_history(write_config: Write, tmp_path: Path) -> None:
    """With a learning rate that changes nothing the new file is the old one, and its provenance names both runs."""
    first = train(TrainConfig.load(write_config("video", "first", steps=2)), build_stage, progress=False)
    path = write_config("video", "second", steps=1, start_from=str(first))
    path.write_text(path.read_text() + "\nlr = 1e-30\n")
    second = train(TrainConfig.load(path), build_stage, progress=False)
    a, b = load_file(first), load_file(second)
    for key, value in a.items():
        assert torch.equal(value, b[key]), key
    provenance = read_header(second).provenance
    assert provenance["steps"] == 1
    assert provenance["started_from"]["steps"] == 2
