"""What a stage is put together from: a model, a source of batches, a loss, a report and the file that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..diffusion.streams import generator_of
from ..media import Frames


@dataclass(frozen=True, slots=True)
class Draw:
    """All randomness of one micro-batch. It follows from (seed, step, its number), so resuming stores none, and it is
    the same on whichever process it runs."""

    rng: np.random.Generator
    generator: torch.Generator

    @classmethod
    def of(cls, seed: int, step: int, micro: int = 0) -> Draw:
        words = (seed, step, micro)
        return cls(np.random.default_rng(np.random.SeedSequence(words)), generator_of(*words))


class Batch(Protocol):
    """A frozen dataclass of tensors, and of what else a loss reads."""

    def to(self, device: torch.device) -> Self:
        """The same batch with its tensors there."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that learn at `scale` times the scheduled rate."""

    parameters: Sequence[nn.Parameter]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """Held-out figures by name, and a sheet for a person to look at: rows of frames, each uint8 [T, H, W, 3]."""

    figures: dict[str, float]
    rows: Sequence[Frames] = ()


B = TypeVar("B", bound=Batch)
Source = Callable[[Draw], B]  # one batch, on the CPU
Loss = Callable[
    [Callable[..., Any], B, Draw], Mapping[str, Tensor]
]  # (model, batch, draw) -> scalars; their sum counts
Report = Callable[[], Findings]
Validation = Callable[[], Mapping[str, float]]  # held-out losses by name
Export = Callable[[Path, dict[str, Any]], None]  # (file, provenance)


@dataclass(frozen=True, slots=True)
class Stage(Generic[B]):
    """The loop owns optimiser, precision, averaging and checkpoints, and knows of a stage no more than this.

    loss: is given `model`, perhaps wrapped or compiled, and a batch on the device.
    report, validation, export: are called while the averaged weights are in place.
    groups: what learns; parameters in none of them stay as they are.
    """

    model: nn.Module
    source: Source[B]
    loss: Loss[B]
    report: Report
    export: Export
    groups: Sequence[Group]
    validation: Validation = dict


def all_of(model: nn.Module) -> list[Group]:
    """Every parameter at the scheduled rate."""
    return [Group(list(model.parameters()))]
