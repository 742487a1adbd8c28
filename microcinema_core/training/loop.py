"""The training loop: one for every stage and size, on accelerate.

A run owns the folder `config.out`:
    checkpoint-00000500/   everything needed to go on; renamed into place only when whole
    samples/               what the averaged weights do, as pictures
    tensorboard/           curves
    model.safetensors      the averaged weights, written with every sample sheet; lora.safetensors of a LoRA
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, DistributedType, PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor

from ..errors import ConfigError, shown
from ..files import check_writable
from ..standalone.precision import bfloat16_pays, default_device
from ..standalone.workspace import in_use, lock_of
from .budget import REPORT, SAVE, TimeBudget
from .checkpoints import Progress, resume, save_checkpoint
from .config import Learns, TrainConfig
from .frozen import checksum, halve_frozen_
from .journal import Journal, Taken
from .memory import check_fits
from .optim import WeightAverage, learning_rate, make_optimiser, set_rate
from .provenance import provenance
from .recipe import checkpoint_activations_
from .sharding import shard_
from .shares import whole
from .stage import Draw, Findings, Group, Stage

FILES = {Learns.LORA: "lora.safetensors"}  # else MODEL
MODEL = "model.safetensors"
# Of processes, for one that reports or makes latents. When one has died, their launcher ends them all.
WAIT = timedelta(days=1)
HALF = 0.5  # of a limited time: what its end will need is measured by then


def file_of(config: TrainConfig) -> Path:
    """What a run exports."""
    return Path(config.out) / FILES.get(config.recipe.learns, MODEL)


def train(
    config: TrainConfig,
    build: Callable[[TrainConfig], Stage[Any]],
    *,
    progress: bool = True,
    on_step: Callable[[int], None] | None = None,
    budget: TimeBudget | None = None,
) -> Path:
    """Run or resume a stage to its last step, or until its time is over; returns the exported file.

    With a budget that has a limit, half of it gone, a checkpoint and a report are made that say what the end will need.
    Raises InputError where `config.out` cannot be written, holds a file that is read, or is another run's.
    """
    read = (config.autoencoder, config.text_encoder, config.image, config.start_from)
    check_writable(file_of(config), sources=[Path(name) for name in read if name])
    torch.manual_seed(config.seed)
    PartialState(cpu=default_device().type == "cpu", timeout=WAIT)
    config = replace(config, precision=_precision(config.precision))
    accelerator = accelerator_for(config)
    check_fits(config, accelerator.device, accelerator.num_processes)
    main, out = accelerator.is_main_process, Path(config.out)
    with in_use(out, lock_of(out)) if main else nullcontext():
        run = Run(config, build(config), accelerator, budget)
        run.resume()
        _go_on(run, main=main, bar=progress, on_step=on_step)
    return run.file


def accelerator_for(config: TrainConfig) -> Accelerator:
    """Of this process, among those of its launcher. Raises ConfigError where that is to share models in its own way."""
    # Gradients have no second copy. AppearNet's may be those of some processes alone.
    how = DistributedDataParallelKwargs(
        gradient_as_bucket_view=True, find_unused_parameters=config.data.no_keyframe > 0
    )
    precision, cpu = "bf16" if config.precision == "bf16" else "no", default_device().type == "cpu"
    accelerator = Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[how])
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise ConfigError(
            f"accelerate is told to use {accelerator.distributed_type}; leave that out of its configuration, and say "
            "[recipe] shard = true where the model is to be shared"
        )
    return accelerator


def _go_on(run: Run, *, main: bool, bar: bool, on_step: Callable[[int], None] | None) -> None:
    """From the step the run is at to its last one."""
    config, reports = run.config, main or run.sharded
    with Journal(config, run.step, kept=main, bar=bar) as journal:
        while not run.over:
            taken = run.take_step()
            journal.note(run.step, taken)
            last, rehearsal = run.over, run.rehearsal
            if last or rehearsal or run.step % config.checkpoint_every == 0:
                run.save()
                journal.pause()
            if reports and not last and (rehearsal or run.step % config.sample_every == 0):
                journal.show(run.step, run.report())
                journal.pause()
                run.look_at_the_clock()
            if on_step is not None:
                on_step(run.step)
        if reports and run.step != run.reported:  # also when one that was killed after its last checkpoint is resumed
            journal.show(run.step, run.report())


def _precision(asked: str) -> str:
    """`auto` as what pays on this machine; the main process measures for all."""
    measured = ["bf16" if asked == "auto" and bfloat16_pays(default_device()) else "fp32"]
    broadcast_object_list(measured)
    return measured[0] if asked == "auto" else asked


class Run:
    """A stage with what accelerate made of it, at some step."""

    def __init__(
        self, config: TrainConfig, stage: Stage[Any], accelerator: Accelerator, budget: TimeBudget | None = None
    ) -> None:
        self.config, self.stage, self.accelerator = config, stage, accelerator
        recipe, optimiser = config.recipe, config.optimiser
        self.own = range(accelerator.process_index, recipe.micro_batches, accelerator.num_processes)
        if recipe.micro_batches % accelerator.num_processes:
            raise ConfigError(
                f"[recipe] micro_batches = {recipe.micro_batches} cannot be shared among {accelerator.num_processes} "
                "processes; give a multiple of their number"
            )
        if recipe.gradient_checkpointing:
            checkpoint_activations_(stage.model)
        if config.precision == "bf16" and config.start_from:  # which still has them as they were
            halve_frozen_(stage.model)
        still = checksum(stage.model)
        self.sharded = recipe.shard and accelerator.num_processes > 1
        groups = self._shard() if self.sharded else stage.groups
        self.optimiser = accelerator.prepare(make_optimiser(groups, optimiser, recipe, accelerator.device))
        self.model = stage.model if self.sharded else accelerator.prepare(stage.model)
        self.average = WeightAverage(stage.model, optimiser.ema, recipe.average)
        self.progress = Progress(config, stage.model, self.average, self.optimiser, still)
        self.budget = self.progress.budget = budget or TimeBudget()
        self.elapsed, self.rehearsal, self.reported = 0.0, False, -1
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.file = file_of(config)

    def _shard(self) -> list[Group]:
        return shard_(
            self.stage.model, self.stage.groups, self.accelerator.device, bf16=self.config.precision == "bf16"
        )

    @property
    def step(self) -> int:
        """Steps taken."""
        return self.progress.step

    @property
    def over(self) -> bool:
        """Whether the last step has been taken: of all, or of those that there is time for."""
        return self.step >= self.config.steps or self.elapsed >= 1

    def resume(self) -> None:
        """From the newest whole checkpoint, where there is one."""
        with self.accelerator.main_process_first():  # which sets damaged ones aside
            found = resume(self.progress, Path(self.config.out))
        if found is not None:
            self.accelerator.print(f"resuming {shown(self.config.out)} at step {self.step} of {self.config.steps}")
        self.look_at_the_clock()

    def look_at_the_clock(self) -> None:
        """What the main process's says, for all."""
        if math.isinf(self.budget.seconds):
            return
        share = self.budget.share
        told: list[Any] = [share, share >= HALF and not self.budget.measured]
        broadcast_object_list(told)
        self.elapsed, self.rehearsal = told

    def take_step(self) -> Taken:
        """Its micro-batches through the model, and what follows from them for the weights."""
        with self.budget.stepping():
            taken = self._stepped()
        self.look_at_the_clock()
        return taken

    def _stepped(self) -> Taken:
        optimiser, settings = self.optimiser, self.config.optimiser
        losses = mean_of([self._back(micro) for micro in self.own])
        norm = self.accelerator.clip_grad_norm_(self.stage.model.parameters(), settings.clip_norm)
        rate = learning_rate(self.step, self.config.steps, settings, self.elapsed)
        set_rate(optimiser, rate)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        self.average.update(self.stage.model.named_parameters())
        self.progress.step += 1
        return Taken(self.accelerator.reduce(losses, "mean"), whole(norm), rate)

    def _back(self, micro: int) -> dict[str, Tensor]:
        """One micro-batch's losses, its share of the gradients taken; processes meet at the last, or layer by layer."""
        draw = Draw.of(self.config.seed, self.step, micro)
        batch = self.stage.source(draw).to(self.accelerator.device)
        together = self.sharded or micro == self.own[-1]
        with nullcontext() if together else self.accelerator.no_sync(self.model):
            with self.accelerator.autocast():
                losses = self.stage.loss(self.forward, batch, draw)
            self.accelerator.backward(torch.stack(list(losses.values())).sum() / len(self.own))
        return {name: loss.detach() for name, loss in losses.items()}

    def save(self) -> None:
        """A checkpoint of this step. Raises OSError where the disk refuses."""
        with self.budget.ending(SAVE):
            if self.accelerator.is_main_process:
                save_checkpoint(self.progress, Path(self.config.out), self.config.keep)
            elif self.sharded:
                self.progress.give()
            self.accelerator.wait_for_everyone()

    def report(self) -> Findings:
        """Held-out figures, a sheet and the exported file, all of the averaged weights.

        Of the main process; where the model is shared, of all at the same time, to the same figures.
        """
        with self.budget.ending(REPORT), self.average.in_place(self.stage.model):
            with torch.no_grad(), self.accelerator.autocast():
                found = self.stage.report()
                found = replace(found, figures={**found.figures, **self.stage.validation()})
            self.stage.export(self.file, provenance(self.config, self.step))
        self.reported = self.step
        return found


def mean_of(losses: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Of each loss, over micro-batches that have the same ones."""
    return {name: torch.stack([one[name] for one in losses]).mean() for name in losses[0]}
