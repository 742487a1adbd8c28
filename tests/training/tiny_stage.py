"""A stage of a few numbers, for what is not about learning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from microcinema_core.training.config import TrainConfig
from microcinema_core.training.stage import Draw, Findings, Stage, all_of


@dataclass(frozen=True)
class Inputs:
    x: Tensor

    def to(self, device: torch.device) -> Inputs:
        return Inputs(self.x.to(device))


def build(_: TrainConfig) -> Stage[Inputs]:
    model = nn.Sequential(nn.Linear(3, 300), nn.Linear(300, 1))

    def source(draw: Draw) -> Inputs:
        return Inputs(torch.rand(4, 3, generator=draw.generator))

    def loss(forward: Any, batch: Inputs, _: Draw) -> dict[str, Tensor]:
        return {"squared": (forward(batch.x) - batch.x.sum()).square().mean()}

    def export(path: Path, _: dict[str, Any]) -> None:
        save_file(model.state_dict(), path)

    return Stage(model, source, loss, lambda: Findings({"slope": 0.0}), export, all_of(model))
