"""The training loop: one for every stage and size, on accelerate.

A run owns the folder `config.out`:
    checkpoint-00000500/   everything needed to go on; renamed into place only when whole
    samples/               what the averaged weights do, as pictures
    tensorboard/           curves
    model.safetensors      the averaged weights, written with every sample sheet
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..errors import ConfigError
from ..standalone.precision import bfloat16_pays
from .config import TrainConfig
from .optim import WeightAverage, learning_rate, total
from .stage import Draw, Stage

PREFIX = "checkpoint-"


class Progress:
    """The step count as accelerate stores it, beside the configuration it belongs to."""

    def __init__(self, config: TrainConfig) -> None:
        self.step = 0
        self.config = config.to_dict()

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "config": json.dumps(self.config)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        stored = json.loads(state["config"])
        ignored = {"checkpoint_every", "sample_every", "reported", "keep", "out"}
        wanted = json.loads(json.dumps(self.config))
        for key in sorted(set(wanted) & set(stored) - ignored):
            if stored[key] != wanted[key]:
                raise ConfigError(
                    f"the checkpoint was trained with {key} = {stored[key]!r}, "
                    f"the configuration says {wanted[key]!r}; restore the value or choose another `out` folder"
                )
        self.step = state["step"]


def checkpoints(out: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(p for p in out.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())


def save_checkpoint(accelerator: Accelerator, out: Path, step: int, keep: int) -> None:
    """Write under a temporary name, flush to disk, rename: a checkpoint exists whole or not at all."""
    final = out / f"{PREFIX}{step:08d}"
    partial = out / f"partial-{step:08d}"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:  # Windows flushes only what may be written
                os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in checkpoints(out)[:-keep]:
        shutil.rmtree(old)


def provenance(config: TrainConfig, step: int) -> dict[str, Any]:
    """How these weights came to be: command, commit, seed, steps, data."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else "unknown"

    return {
        "command": "microcinema train " + " ".join(sys.argv[2:]),
        "commit": git("rev-parse", "HEAD")
        + ("-modified" if git("status", "--porcelain", "-uno") not in ("", "unknown") else ""),
        "seed": config.seed,
        "steps": step,
        "data": f"{Path(config.videos).name or 'Toybox, procedural'}; {config.data.clips} clips",
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "config": config.to_dict(),
    }


def train(
    config: TrainConfig,
    build: Callable[[TrainConfig], Stage],
    *,
    progress: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> Path:
    """Run or resume a stage to its last step; returns the exported file."""
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    cpu = not torch.cuda.is_available()
    if config.precision == "auto":
        config = replace(config, precision="bf16" if bfloat16_pays(torch.device("cpu" if cpu else "cuda")) else "fp32")
    accelerator = Accelerator(cpu=cpu, mixed_precision="bf16" if config.precision == "bf16" else "no")
    stage = build(config)
    parameters = stage.groups(config.optimiser.lr)
    optimiser = torch.optim.AdamW(
        parameters, betas=(config.optimiser.beta1, config.optimiser.beta2), weight_decay=config.optimiser.weight_decay
    )
    model, optimiser = accelerator.prepare(stage.model, optimiser)
    average = WeightAverage(stage.model, config.optimiser.ema)
    state = Progress(config)
    accelerator.register_for_checkpointing(average, state)
    whole = checkpoints(out)
    if whole:
        accelerator.load_state(str(whole[-1]))
        accelerator.print(f"resuming {config.out} at step {state.step} of {config.steps}")
    forward = torch.compile(model) if config.compile else model
    writer = SummaryWriter(str(out / "tensorboard")) if accelerator.is_main_process else None
    bar = tqdm(
        total=config.steps,
        initial=state.step,
        desc=config.stage,
        disable=not (progress and accelerator.is_main_process),
    )
    while state.step < config.steps:
        draw = Draw.of(config.seed, state.step, accelerator.process_index)
        batch = send_to_device(stage.batch(draw), accelerator.device)
        with accelerator.autocast():
            losses = stage.losses(forward, batch, draw)
        accelerator.backward(total(losses))
        norm = accelerator.clip_grad_norm_(stage.model.parameters(), config.optimiser.clip_norm)
        rate = learning_rate(state.step, config.steps, config.optimiser)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(stage.model.named_parameters())
        state.step += 1
        bar.update()
        if writer is not None and state.step % 20 == 0:
            figures = {name: value.item() for name, value in losses.items()} | {"grad_norm": float(norm), "lr": rate}
            for name, value in figures.items():
                writer.add_scalar(f"train/{name}", value, state.step)
            bar.set_postfix({name: f"{value:.4f}" for name, value in figures.items()})
        last = state.step == config.steps
        if last or state.step % config.checkpoint_every == 0:
            save_checkpoint(accelerator, out, state.step, config.keep)
        if writer is not None and not last and state.step % config.sample_every == 0:
            _report(accelerator, stage, average, out, state.step, config, writer)
        if on_step is not None:
            on_step(state.step)
    if writer is not None:  # also when a run that was killed after its last checkpoint is resumed
        _report(accelerator, stage, average, out, state.step, config, writer)
    bar.close()
    if writer is not None:
        writer.close()
    return out / "model.safetensors"


def _report(
    accelerator: Accelerator,
    stage: Stage,
    average: WeightAverage,
    out: Path,
    step: int,
    config: TrainConfig,
    writer: SummaryWriter,
) -> None:
    """Pictures, held-out figures and the exported file, all of the averaged weights."""
    samples = out / "samples"
    samples.mkdir(exist_ok=True)
    average.swap(stage.model)
    stage.model.eval()
    try:
        with torch.no_grad(), accelerator.autocast():
            figures = stage.report(samples, step)
        stage.export(out / "model.safetensors", provenance(config, step))
    finally:
        stage.model.train()
        average.swap(stage.model)
    for name, value in figures.items():
        writer.add_scalar(f"held_out/{name}", value, step)
    tqdm.write(f"{config.stage} step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
