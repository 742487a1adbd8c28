"""What a person watches while a model trains: curves in TensorBoard, a bar, sheets of pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from .config import TrainConfig
from .sheets import save_sheet
from .stage import Findings

EVERY = 20  # steps; reading a figure waits for the device


@dataclass(frozen=True, slots=True)
class Taken:
    """One step: losses by name and the gradients' norm, not yet read from the device; the learning rate."""

    losses: Mapping[str, Tensor]
    norm: Tensor
    rate: float

    def figures(self) -> dict[str, float]:
        losses = {name: value.item() for name, value in self.losses.items()}
        return losses | {"grad_norm": float(self.norm), "lr": self.rate}


class Journal:
    """Of the main process; the others keep none.

    Clips a second are those of steps alone, of all processes; memory is the most that the main one's card held.
    """

    def __init__(self, config: TrainConfig, step: int, *, kept: bool, bar: bool) -> None:
        self.config, self.samples = config, Path(config.out) / "samples"
        self.writer = SummaryWriter(str(Path(config.out) / "tensorboard")) if kept else None
        self.clips = config.batch * config.recipe.micro_batches  # of a step
        self.pause()
        self.bar = tqdm(total=config.steps, initial=step, desc=config.stage, disable=not (bar and kept))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()
        if self.writer is not None:
            self.writer.close()

    def pause(self) -> None:
        """After what is no step and has waited for the device: clips a second are counted anew."""
        self.since, self.steps = time.perf_counter(), 0

    def note(self, step: int, taken: Taken) -> None:
        """One step more."""
        self.bar.update()
        self.steps += 1
        if self.writer is not None and step % EVERY == 0:
            figures = taken.figures()
            self._curves("train", step, figures)
            self._curves("machine", step, self._machine())
            self.bar.set_postfix({name: f"{value:.4f}" for name, value in figures.items()})

    def show(self, step: int, found: Findings) -> None:
        """A report: its figures as curves and as a line, its rows as `samples/step-00000500.png`."""
        if self.writer is None:
            return
        self.samples.mkdir(exist_ok=True)
        if found.rows:
            save_sheet(self.samples / f"step-{step:08d}.png", found.rows)
        self._curves("held_out", step, found.figures)
        figures = ", ".join(f"{name} {value:.4f}" for name, value in found.figures.items())
        tqdm.write(f"{self.config.stage} step {step}: {figures}")

    def _machine(self) -> dict[str, float]:
        """Once the device has been waited for."""
        figures = {"clips_per_second": self.steps * self.clips / (time.perf_counter() - self.since)}
        if torch.cuda.is_initialized():
            figures["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        self.pause()
        return figures

    def _curves(self, group: str, step: int, figures: Mapping[str, float]) -> None:
        if self.writer is not None:
            for name, value in figures.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)
