"""A training folder from outside: no file of it runs code, damage is one line and an older checkpoint serves."""

from __future__ import annotations

import io
import os
import pickle
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from microcinema_core import cli
from microcinema_core.checkpoint.kept import read_kept, write_kept
from microcinema_core.errors import CheckpointError, InputError, MicroCinemaError
from microcinema_core.media import save_clip
from microcinema_core.training import stages
from microcinema_core.training.checkpoints import AVERAGE, MODEL, OPTIMISER, checkpoints
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.shards import LATENTS
from microcinema_core.training.loop import train
from microcinema_core.training.stages import build_stage

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
ACCELERATE = ("optimizer.bin", "random_states_0.pkl", "custom_checkpoint_0.pkl", "scheduler.bin", "pytorch_model.bin")
TINY = Path(__file__).with_name("tiny_stage.py")
build_tiny = runpy.run_path(str(TINY))["build"]
Write = Callable[..., Path]


class Evil:
    """What opens a file for writing when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.marker), "w")


def payloads(marker: Path) -> list[bytes]:
    zipped = io.BytesIO()
    torch.save(Evil(marker), zipped)
    return [pickle.dumps(Evil(marker)), zipped.getvalue()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that training on videos reads and leaves: `run` is its output, with the cached latents."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "videos").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    save_clip(folder / "videos" / "a.mp4", frames, 8.0, {})
    (folder / "videos" / "a.txt").write_text("It moves\n")
    values = f"""
        stage = "video"
        out = "{folder}/run"
        start_from = "{WEIGHTS}/toybox-video.safetensors"
        videos = "{folder}/videos"
        steps = 2
        batch = 1
        precision = "fp32"
        checkpoint_every = 1
        reported = 1
        clip = {{ frames = 3, fps = 2.0, width = 64, height = 64 }}
        data = {{ clips = 2 }}
        optimiser = {{ warmup = 0 }}
    """
    (folder / "run.toml").write_text("\n".join(line.strip() for line in values.splitlines()))
    train(TrainConfig.load(folder / "run.toml"), build_stage, progress=False)
    return folder


def test_no_file_of_a_training_folder_runs_code(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each is replaced by a pickle, and those are added that other programs keep there; then training goes on."""
    files = [path.relative_to(trained) for path in sorted(trained.rglob("*")) if path.is_file()]
    kinds = {path.name for path in files}
    assert {MODEL, AVERAGE, OPTIMISER, "a.mp4", "a.txt", "run.toml", "left-out.csv", "videos.jsonl"} <= kinds
    assert {path.suffix for path in files if "cache" in path.parts} == {".safetensors", ".jsonl"}
    marker = tmp_path / "code-ran"
    pickle.loads(payloads(marker)[0])
    assert marker.exists()  # what is planted would do it
    marker.unlink()
    before = [(path, (trained / path).read_bytes(), (trained / path).stat().st_mtime_ns) for path in files]
    for number, path in enumerate(files):
        planted = payloads(marker)[number % 2]
        (trained / path).write_bytes(planted)
        for folder in checkpoints(trained / "run"):
            for name in ACCELERATE:
                (folder / name).write_bytes(planted)
        assert cli.run(["train", str(trained / "run.toml")]) in (cli.DONE, cli.WRONG_INPUT), path
        assert "Traceback" not in capfd.readouterr().err
        assert not marker.exists(), f"{path} ran code"
        shutil.rmtree(trained / "run")
        for other, data, stamp in before:
            (trained / other).parent.mkdir(parents=True, exist_ok=True)
            (trained / other).write_bytes(data)
            os.utime(trained / other, ns=(stamp, stamp))


# On a stage that takes no time


@pytest.fixture
def config(write_config: Write, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Of a run that the command, too, makes with the tiny stage."""
    monkeypatch.setattr(stages, "build_stage", build_tiny)
    return TrainConfig.load(write_config("autoencoder", steps=4, checkpoint_every=1, keep=3, batch=1))


@pytest.fixture
def run(config: TrainConfig) -> Path:
    """The folder of a run that is done, with checkpoints of its last three steps."""
    train(config, build_tiny, progress=False)
    out = Path(config.out)
    assert [folder.name[-1] for folder in checkpoints(out)] == ["2", "3", "4"]
    return out


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def renamed(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def of_another_model(path: Path) -> None:
    write_kept(path, {"a": torch.zeros(3), "0.exp_avg": torch.zeros(7)}, '{"step": 1, "updates": 1, "config": {}}')


def of_no_run(path: Path) -> None:
    write_kept(path, load_file(path), '{"step": "1"}')


@pytest.mark.parametrize("name", [MODEL, AVERAGE, OPTIMISER])
@pytest.mark.parametrize("damage", [flipped, cut, renamed, of_another_model])
def test_a_damaged_checkpoint_is_set_aside_and_an_older_one_serves(
    config: TrainConfig, run: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    whole = load_file(run / MODEL)
    damage(run / "checkpoint-00000004" / name)
    train(config, build_tiny, progress=False)
    assert "going on from checkpoint-00000003" in caplog.text
    assert sorted(path.name for path in run.glob("*0000*")) == [
        *(f"checkpoint-0000000{step}" for step in (2, 3, 4)), "damaged-00000004",
    ]  # fmt: skip
    for key, value in load_file(run / MODEL).items():
        assert torch.equal(value, whole[key]), key


def test_two_damaged_ones_and_a_note_of_no_run(
    config: TrainConfig, run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flipped(run / "checkpoint-00000004" / OPTIMISER)
    of_no_run(run / "checkpoint-00000003" / MODEL)
    assert cli.run(["train", str(tmp_path / "run.toml")]) == cli.DONE
    warnings = [line for line in capfd.readouterr().err.splitlines() if "microcinema: warning" in line]
    assert len(warnings) == 2
    assert "going on from checkpoint-00000002" in warnings[0]


def test_where_none_can_be_read_nothing_is_changed(
    config: TrainConfig, run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for folder in checkpoints(run):
        flipped(folder / MODEL)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    assert cli.run(["train", str(tmp_path / "run.toml")]) == cli.WRONG_INPUT
    error = capfd.readouterr().err.splitlines()[-1]
    assert "none of the 3 checkpoints" in error
    assert "move them away to start anew, or choose another `out` folder" in error
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}


def test_a_checkpoint_of_an_older_version_is_refused(config: TrainConfig, run: Path) -> None:
    """Those hold pickles."""
    for folder in checkpoints(run):
        shutil.rmtree(folder)
    old = run / "checkpoint-00000002"
    old.mkdir()
    shutil.copy(run / MODEL, old / MODEL)
    (old / "optimizer.bin").write_bytes(payloads(run / "marker")[1])
    with pytest.raises(CheckpointError, match="was not written by this version of microcinema"):
        train(config, build_tiny, progress=False)


def test_a_full_disk_while_a_checkpoint_is_kept(write_config: Write, tmp_path: Path) -> None:
    """The limit of a process's files, in the place of a disk's."""
    config = write_config("autoencoder", steps=2, checkpoint_every=1)
    script = f"""
import resource, runpy, signal, sys
from microcinema_core.cli import run
from microcinema_core.training import checkpoints, stages
stages.build_stage = runpy.run_path({str(TINY)!r})["build"]
write = checkpoints.write_kept
def limited(path, *rest):
    if "partial-00000002" in str(path) and path.name == checkpoints.OPTIMISER:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    write(path, *rest)
checkpoints.write_kept = limited
sys.exit(run(["train", {str(config)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == cli.FAILED, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("microcinema: error: ")
    assert "optimiser.safetensors: not written (" in last
    assert last.endswith("make space or choose another place, and try again")
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "run").glob("*0000*")) == ["checkpoint-00000001"]


def test_damaged_latents_are_made_once_more(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = TrainConfig.load(trained / "run.toml")
    (shard,) = trained.rglob("films-*/*/*-00001.safetensors")
    whole = read_kept(shard)[0][LATENTS]
    for damage in (flipped, cut, lambda path: write_kept(path, {}, "")):
        damage(shard)
        train(config, build_stage, progress=False)
        assert "its latents are made once more" in caplog.text
        assert torch.equal(read_kept(shard)[0][LATENTS], whole)
        caplog.clear()


def test_what_training_reads_is_not_written_over(run: Path, write_config: Write) -> None:
    config = TrainConfig.load(write_config("autoencoder", start_from=str(run / MODEL)))
    with pytest.raises(InputError, match="is the source itself"):
        train(config, build_tiny, progress=False)


def test_one_run_at_a_time(config: TrainConfig, tmp_path: Path) -> None:
    def second(_: int) -> None:
        with pytest.raises(InputError, match="another run is at work there"):
            train(config, build_tiny, progress=False)

    train(config, build_tiny, progress=False, on_step=second)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that not even root may write")
def test_a_folder_that_cannot_be_made(write_config: Write) -> None:
    config = TrainConfig.load(write_config("autoencoder", out="/proc/run"))
    with pytest.raises((MicroCinemaError, OSError), match="/proc"):
        train(config, build_tiny, progress=False)
