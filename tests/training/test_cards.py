"""Training on several processes: the same weights as on one, shared or not, saved and gone on with on any number."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.checkpoint.kept import read_kept
from microcinema_core.errors import ConfigError
from microcinema_core.models.guide import Guide
from microcinema_core.training import journal
from microcinema_core.training.checkpoints import AVERAGE, MODEL, OPTIMISER, checkpoints
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.batches import ClipBatch, without_guide
from microcinema_core.training.data.clips import Clip
from microcinema_core.training.denoising import Denoising
from microcinema_core.training.loop import Run, train
from microcinema_core.training.memory import leaner, step_memory
from microcinema_core.training.reports.validation import LEVELS, HeldOutLoss, in_batches
from microcinema_core.training.stages import build_stage

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VIDEO = str(ROOT / "weights" / "toybox-video.safetensors")
SCRIPT = HERE / "two_processes.py"
build = runpy.run_path(str(SCRIPT))["build"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
CODERS = {"autoencoder": "autoencoder", "text_encoder": "text"}
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


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As each of two processes has, or sums are in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def configured(path: Path, out: str, *recipe: str, **top: str | int) -> Path:
    """Two steps of two micro-batches of one clip, written to `path`; keyword arguments are top-level keys."""
    values = {
        "stage": "video", "out": str(path.parent / out), "start_from": VIDEO, "steps": 2, "batch": 1,
        "precision": "fp32", "checkpoint_every": 1, "sample_every": 1000, "reported": 1,
    } | top  # fmt: skip
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
    path.write_text("\n".join([*lines, TABLES, *recipe]))
    return path


def on_one(config: Path) -> None:
    train(TrainConfig.load(config), build, progress=False)


def on_two(*words: str) -> subprocess.Popen[str]:
    """A script or a module on two processes, as torchrun starts them."""
    there = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*TORCHRUN, *words], cwd=ROOT, env=there, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def expect_done(process: subprocess.Popen[str]) -> str:
    """What it said."""
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def expect_same(out: Path, other: Path, within: float = 0.0) -> None:
    """Weights, averages and moments after two steps, to 0 or to a share of each tensor's largest number."""
    for name in (MODEL, AVERAGE, OPTIMISER):
        a, b = (load_file(folder / "checkpoint-00000002" / name) for folder in (out, other))
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert apart(value, b[key]) <= within, f"{other.name}/{name}: {key}"


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return ((a - b).abs().max() / a.abs().max().clamp(min=1e-30)).item()


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """Step 1 on two and step 2 on one, and the other way round: to 0.

    Where the model is shared, gradients of what several layers read are summed in another order, to 1e-5; Adam divides
    each number by its own size, so that among weights the smallest differ most.
    """
    first = "checkpoint-00000001"
    on_one(configured(tmp_path / "one.config", "one"))
    for kind, recipe in (("plain", ""), ("shared", "shard = true")):
        configured(tmp_path / f"{'seen' if recipe else 'go'}-{kind}.toml", f"from-one-{kind}", recipe)
        shutil.copytree(tmp_path / "one" / first, tmp_path / f"from-one-{kind}" / first)
        configured(tmp_path / f"stop-{kind}.toml", f"from-two-{kind}", recipe)
    said = expect_done(on_two(str(SCRIPT), str(tmp_path)))
    assert said.count("video step 2:") == 2  # one process says it
    assert "look_right" in said
    assert said.count("shares") == 4  # of two steps, on each
    gradients = [load_file(tmp_path / out / first / OPTIMISER) for out in ("one", "from-two-shared")]
    for key, value in gradients[0].items():
        assert apart(value, gradients[1][key]) <= 1e-5, key
    for kind, within in (("plain", 0.0), ("shared", 1e-3)):
        on_one(tmp_path / f"stop-{kind}.toml")
        for out in (f"from-one-{kind}", f"from-two-{kind}"):
            expect_same(tmp_path / "one", tmp_path / out, within)
            a, b = (read_checkpoint(tmp_path / name / MODEL).sections["unet"] for name in ("one", out))
            assert all(apart(a[key].float(), b[key].float()) <= 10 * within for key in a)  # float16


def test_two_micro_batches_are_one_batch_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their gradients, at the same times and with the same noise, to what another order of sums leaves."""
    config = TrainConfig.load(configured(tmp_path / "run.toml", "run"))
    run = Run(config, build(config), Accelerator(cpu=True))
    seen: list[tuple[ClipBatch, Tensor, Tensor]] = []
    error = Denoising.error

    def noting(self: Denoising, model: object, *given: object) -> Tensor:
        seen.append(given)
        return error(self, model, *given)

    monkeypatch.setattr(Denoising, "error", noting)
    for micro in run.own:
        run._back(micro)
    parameters = dict(run.stage.model.named_parameters())
    apart_from_each_other = {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None}
    run.optimiser.zero_grad()
    (a, *first), (b, *second) = seen
    both = ClipBatch(
        torch.cat([a.latents, b.latents]), a.texts + b.texts, Guide(torch.cat([a.guide.latents, b.guide.latents])),
        torch.cat([a.frame_time, b.frame_time]),
    )  # fmt: skip
    error(run.stage.loss, run.forward, both, *map(torch.cat, zip(first, second, strict=True))).backward()
    assert len(apart_from_each_other) > 100
    for name, gradient in apart_from_each_other.items():
        assert apart(gradient, parameters[name].grad) <= 1e-5, name


def test_what_cannot_be_shared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig.load(configured(tmp_path / "run.toml", "run", "shard = true"))
    with pytest.raises(ConfigError, match="all processes run the same layers; set no_keyframe = 0 or 1"):
        replace(config, data=replace(config.data, no_keyframe=0.5))
    for recipe, stage, message in (
        ("shard = true", "autoencoder", "the autoencoder stage is small and learns whole; leave it out"),
        ('shard = true\nadamw = "8bit"', "video", 'moments of 8 bits cannot be shared; leave out adamw = "8bit"'),
    ):
        with pytest.raises(ConfigError, match=message):
            TrainConfig.load(configured(tmp_path / "run.toml", "run", recipe, stage=stage))
    monkeypatch.setattr(Accelerator, "num_processes", 3)
    config = TrainConfig.load(configured(tmp_path / "run.toml", "run"))
    with pytest.raises(ConfigError, match=r"micro_batches = 2 cannot be shared among 3 processes; give a multiple"):
        Run(config, build(config), Accelerator(cpu=True))


def test_many_cards_take_less_of_each(tmp_path: Path) -> None:
    tsr = {"stage": "tsr", "start_from": VIDEO.replace("video", "tsr"), "precision": "bf16"}
    config = TrainConfig.load(configured(tmp_path / "run.toml", "run", "shard = true", **tsr))
    whole, half = step_memory(config), step_memory(config, cards=2)
    assert (half.weights, half.moments, half.average) == (whole.weights // 2, whole.moments // 2, whole.average // 2)
    assert half.working < whole.working  # gradients
    plain = TrainConfig.load(configured(tmp_path / "run.toml", "run", **tsr))
    names = [name for name, _ in leaner(plain, cards=2)]
    assert names[1] == "+ shard = true"
    assert not any("8bit" in name for name in names)
    assert "+ shard = true" not in [name for name, _ in leaner(plain)]


@pytest.mark.parametrize("stage", ["image", "video", "tsr"])
def test_held_out_losses_stay_the_same(tmp_path: Path, stage: str) -> None:
    files = CODERS | {"image": "image" if stage == "video" else ""}
    paths = {key: str(ROOT / "weights" / f"toybox-{name}.safetensors") for key, name in files.items() if name}
    clip = {"frames": 5 if stage == "tsr" else 3, "fps": 8.0, "width": 64, "height": 64}
    values = {
        "stage": stage,
        "out": str(tmp_path / "run"),
        "reported": 3,
        "batch": 2,
        "data": {"clips": 4},
        "clip": clip,
    }
    config = TrainConfig.from_dict(values | paths | ({"preset": "toybox_tsr"} if stage == "tsr" else {}))
    Accelerator(cpu=True)
    made = build_stage(config)
    with torch.no_grad():
        found = made.validation()
        assert found == made.validation()
    assert list(found) == ["denoising", *(f"denoising_t{t}" for t in LEVELS)]
    assert found["denoising"] == pytest.approx(sum(list(found.values())[1:]) / 5)


def test_a_held_out_loss_is_of_clips_not_of_batches() -> None:
    """Each has the same noise and weight in whichever batch; the loss here is of its noise, time and latents."""

    class Noise:
        def error(self, model: nn.Module, batch: ClipBatch, t: Tensor, eps_n: Tensor) -> Tensor:
            return (t[:, None] * eps_n.flatten(1) + batch.latents.flatten(1)).mean()

    clips = [Clip(torch.full((3, 4, 2, 2), float(i)), "", 2.0) for i in range(5)]
    held_out = [
        HeldOutLoss(nn.Linear(1, 1), Noise(), lambda n=n: in_batches(clips, n, without_guide)) for n in (1, 2, 5)
    ]
    found = [loss() for loss in held_out]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] == pytest.approx(found[2], rel=1e-5)
    assert found[0]["denoising_t0.1"] != found[0]["denoising_t0.9"]


def test_clips_a_second_are_of_steps_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, seen = [0.0], {}
    monkeypatch.setattr(journal.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(journal, "EVERY", 3)
    taken = journal.Taken({"denoising": torch.tensor(1.0)}, torch.tensor(2.0), 1e-3)
    config = TrainConfig.load(configured(tmp_path / "run.toml", "run"))  # of two micro-batches of one clip
    with journal.Journal(config, 0, kept=True, bar=False) as kept:
        monkeypatch.setattr(kept.writer, "add_scalar", lambda name, value, step: seen.update({name: value}))
        clock[0] += 1
        kept.note(1, taken)
        clock[0] += 100  # a checkpoint
        kept.pause()
        for step in (2, 3):
            clock[0] += 4
            kept.note(step, taken)
    assert seen["machine/clips_per_second"] == pytest.approx(2 * 2 / 8)


def rank(number: int, launcher: psutil.Process) -> psutil.Process:
    """The process of that rank."""
    return next(p for p in launcher.children(recursive=True) if p.environ().get("RANK") == str(number))


@pytest.mark.slow
def test_every_stage_learns_on_two_processes_what_it_does_on_one(tmp_path: Path) -> None:
    """Also of a video model whose AppearNet has no keyframe on one of them in the first step, on both in the second."""
    coders = {key: str(ROOT / "weights" / f"toybox-{name}.safetensors") for key, name in CODERS.items()}
    image = str(ROOT / "weights" / "toybox-image.safetensors")
    stages: dict[str, dict[str, str | int]] = {
        "autoencoder": {"batch": 2},
        "text_encoder": {"batch": 2},
        "image": coders,
        "tsr": {**coders, "preset": "toybox_tsr"},
        "video": {**coders, "image": image, "prior_lambda": 0, "seed": 19},
    }
    for stage, top in stages.items():
        for path, out in ((tmp_path / f"go-{stage}.toml", f"two-{stage}"), (tmp_path / "one.config", f"one-{stage}")):
            configured(path, out, stage=stage, **({"start_from": ""} | top))
            clip = "frames = 5" if stage == "tsr" else "frames = 3"
            path.write_text(path.read_text().replace("frames = 3", clip).replace("[data]", "[data]\nno_keyframe = 0.5"))
        on_one(tmp_path / "one.config")
    expect_done(on_two(str(SCRIPT), str(tmp_path)))
    for stage in stages:
        expect_same(tmp_path / f"one-{stage}", tmp_path / f"two-{stage}")


ALL_LEAN = 'shard = true\nlearns = "temporal"\naverage = "cpu"\ngradient_checkpointing = true'


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "precision", "recipe"), [(1, "fp32", ""), (0, "bf16", ALL_LEAN)], ids=str)
def test_a_killed_process_ends_the_run_which_then_goes_on(
    tmp_path: Path, killed: int, precision: str, recipe: str
) -> None:
    """By the command itself, on two processes."""
    words = ["-m", "microcinema_core.cli", "train"]
    steps = {"steps": 12, "precision": precision, "keep": 12}
    whole = configured(tmp_path / "whole.toml", "whole", recipe, **steps)
    expect_done(on_two(*words, str(whole)))
    config, out = configured(tmp_path / "run.toml", "run", recipe, **steps), tmp_path / "run"
    process = on_two(*words, str(config))
    launcher = psutil.Process(process.pid)
    while len(checkpoints(out)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    others = launcher.children(recursive=True)
    rank(killed, launcher).send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode != 0
    psutil.wait_procs(others, timeout=60)
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in others)
    last = checkpoints(out)[-1]
    for name in (MODEL, AVERAGE, OPTIMISER):
        read_kept(last / name)
    said = expect_done(on_two(*words, str(config)))
    assert f"at step {int(last.name[-8:])} of 12" in said
    a, b = (load_file(folder / "checkpoint-00000012" / MODEL) for folder in (tmp_path / "whole", out))
    assert all(torch.equal(value, b[key]) for key, value in a.items())
