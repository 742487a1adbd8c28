"""Every stage of training on Toybox: some steps, reports, a checkpoint, a stop, and on from it to the exported file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.config import Kind
from microcinema_core.training.config import DataConfig, OptimiserConfig, TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Stage
from microcinema_core.training.stages import build_stage

from .part import Figure, Gate, Task
from .sizes import peak_mib

STEPS, TINY_STEPS = 20, 4


class Stopped(Exception):
    """As someone would stop a run."""


@dataclass(slots=True)
class Seen:
    """Of one run: the steps it took, when, and its losses. stop: the step after which it is stopped."""

    stop: int = 0
    steps: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def built(self, config: TrainConfig) -> Stage[Any]:
        """The stage, whose losses are noted."""
        stage = build_stage(config)

        def noted(model: Callable[..., Any], batch: Any, draw: Any) -> Mapping[str, Tensor]:
            made = stage.loss(model, batch, draw)
            self.losses.append(sum(float(loss.detach()) for loss in made.values()))
            return made

        return replace(stage, loss=noted)

    @property
    def seconds(self) -> list[float]:
        """Between steps; those with a report among them are few."""
        return [b - a for a, b in pairwise(self.moments)]

    def on_step(self, step: int) -> None:
        """Raises Stopped where it is time."""
        self.steps.append(step)
        self.moments.append(time.perf_counter())
        if step == self.stop:
            raise Stopped


def configuration(kind: Kind, task: Task) -> TrainConfig:
    """The smallest run of a stage that has a report and a checkpoint on the way."""
    steps = TINY_STEPS if task.tiny else STEPS
    coded = kind in (Kind.IMAGE, Kind.VIDEO, Kind.TSR)
    return TrainConfig(
        stage=kind,
        out=str(task.folder / "run"),
        preset="toybox_tsr" if kind is Kind.TSR else "toybox",
        residual=kind is Kind.TSR,
        steps=steps,
        batch=2 if task.tiny else 8,
        precision="auto" if task.cuda else "fp32",
        autoencoder=str(embedded(Kind.AUTOENCODER)) if coded else "",
        text_encoder=str(embedded(Kind.TEXT_ENCODER)) if coded else "",
        image=str(embedded(Kind.IMAGE)) if kind is Kind.VIDEO else "",
        checkpoint_every=steps // 2,
        sample_every=steps // 2,
        reported=1,
        data=DataConfig(clips=4),
        optimiser=OptimiserConfig(warmup=0),
    )


def run(task: Task, gate: Gate) -> Iterator[Figure]:
    """option: the stage."""
    config = configuration(Kind(task.option), task)
    gate()
    first, second = Seen(stop=config.checkpoint_every + 1), Seen()
    with suppress(Stopped):
        train(config, first.built, progress=False, on_step=first.on_step)
    file = train(config, second.built, progress=False, on_step=second.on_step)
    yield Figure("steps until it was stopped, and after it went on", len(first.steps) + len(second.steps))
    yield Figure("step it went on from", second.steps[0] - 1, limit=config.checkpoint_every, least=True)
    losses = torch.tensor([*first.losses, *second.losses])
    yield Figure("losses that are no numbers", int((~losses.isfinite()).sum()), limit=0)
    yield Figure("a step", median([*first.seconds, *second.seconds]), "s")
    sections = read_checkpoint(file).sections
    wrong = sum(not value.isfinite().all() for state in sections.values() for value in state.values())
    yield Figure("tensors of the file that are not finite", wrong, limit=0)
    if task.cuda:
        yield Figure("peak of memory", peak_mib(task), "MiB")
