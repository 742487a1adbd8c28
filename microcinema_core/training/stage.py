"""What the one training loop asks of a stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .config import TrainConfig


@dataclass(frozen=True, slots=True)
class Draw:
    """All randomness of one step on one process. It follows from (seed, step, rank), so resuming stores none."""

    rng: np.random.Generator
    generator: torch.Generator

    @classmethod
    def of(cls, seed: int, step: int, rank: int = 0) -> Draw:
        sequence = np.random.SeedSequence([seed, step, rank])
        generator = torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        return cls(np.random.default_rng(sequence), generator)


class Stage(ABC):
    """A model, its data and its loss. The loop owns optimiser, precision, averaging, checkpoints and reports."""

    model: nn.Module

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    @abstractmethod
    def batch(self, draw: Draw) -> dict[str, Any]:
        """One batch, on the CPU; tensors are moved to the device by the loop."""

    @abstractmethod
    def losses(self, model: Callable[..., Any], batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        """Named scalar losses; their sum is minimised. `model` is `self.model`, perhaps wrapped or compiled."""

    @abstractmethod
    def report(self, folder: Path, step: int) -> dict[str, float]:
        """Held-out figures for TensorBoard, and pictures written to `folder`; the averaged weights are in place."""

    @abstractmethod
    def export(self, path: Path, provenance: dict[str, Any]) -> None:
        """Write the stage's checkpoint file; the averaged weights are in place."""

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """Parameter groups; `scale` multiplies the scheduled learning rate."""
        return [{"params": [p for p in self.model.parameters() if p.requires_grad], "scale": 1.0, "lr": lr}]
