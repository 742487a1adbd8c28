"""Run by each of two processes: `two_processes.py FOLDER`, in which configurations are named for what is done."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import Run, accelerator_for, train
from microcinema_core.training.shares import own
from microcinema_core.training.stage import Findings, Stage
from microcinema_core.training.stages import build_stage


def build(config: TrainConfig) -> Stage[Any]:
    """The stage without pictures, which take longer than its steps."""
    return replace(build_stage(config), report=lambda: Findings({}))


def stop(step: int) -> None:
    raise KeyboardInterrupt


def expect_shares(config: TrainConfig) -> None:
    """Each process has about half of every parameter, gradient, moment and average, and no more."""
    run = Run(config, build(config), accelerator_for(config))
    for micro in run.own:
        run._back(micro)
    parameters = list(run.stage.model.parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    run.optimiser.step()
    moments = [value for state in run.optimiser.state.values() for value in state.values() if value.ndim]
    assert len(moments) == 2 * len(gradients)
    for tensors in (parameters, gradients, moments):
        assert all(isinstance(value, DTensor) for value in tensors)
        assert sum(own(v).numel() for v in tensors) < 0.55 * sum(v.numel() for v in tensors)
    average = sum(value.numel() for value in run.average.average.values())
    assert 0 < average < 0.55 * sum(p.numel() for p in parameters if p.requires_grad)


def main(folder: Path) -> None:
    """In the order of the configurations' names; a report with pictures of those that are `seen`."""
    for path in sorted(folder.glob("*.toml")):
        config, what = TrainConfig.load(path), path.stem.partition("-")[0]
        match what:
            case "shares":
                expect_shares(config)
            case "stop":
                with suppress(KeyboardInterrupt):
                    train(config, build, progress=False, on_step=stop)
            case _:
                train(config, build_stage if what == "seen" else build, progress=False)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
