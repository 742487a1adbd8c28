"""Run by each of two processes: `two_processes.py FOLDER`, in which configurations are named for what is done."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.shares import own
from microcinema_core.training.stage import Findings, Stage
from microcinema_core.training.stages import build_stage


def build(config: TrainConfig) -> Stage[Any]:
    """The stage without pictures, which take longer than its steps."""
    return replace(build_stage(config), report=lambda: Findings({}))


def stop(step: int) -> None:
    raise KeyboardInterrupt


def expect_shares(optimiser: torch.optim.Optimizer, *_: Any) -> None:
    """Each process has about half of every parameter, gradient and moment, and no more."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters if p.grad is not None]
    moments = [value for state in optimiser.state.values() for value in state.values() if value.ndim]
    assert len(moments) == 2 * len(gradients) > 100
    for tensors in (parameters, gradients, moments):
        assert all(isinstance(value, DTensor) for value in tensors)
        assert sum(own(v).numel() for v in tensors) < 0.55 * sum(v.numel() for v in tensors)
    print("shares")


def main(folder: Path) -> None:
    """In the order of the configurations' names; a report with pictures of those that are `seen`."""
    for path in sorted(folder.glob("*.toml")):
        config, (what, _, kind) = TrainConfig.load(path), path.stem.partition("-")
        looking = register_optimizer_step_post_hook(expect_shares) if kind == "shared" else None
        with suppress(KeyboardInterrupt):
            made = build_stage if what == "seen" else build
            train(config, made, progress=False, on_step=stop if what == "stop" else None)
        if looking is not None:
            looking.remove()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
