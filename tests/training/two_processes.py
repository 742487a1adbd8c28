"""Run by each of two processes: `two_processes.py FOLDER`, in which the configurations are named for what is done."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import Run, accelerator_for, train
from microcinema_core.training.shares import own
from microcinema_core.training.stages import build_stage


def stop(step: int) -> None:
    raise KeyboardInterrupt


def expect_shares(config: TrainConfig) -> None:
    """Each process has about half of every parameter, gradient, moment and average, and no more."""
    run = Run(config, build_stage(config), accelerator_for(config))
    held = [run._back(micro) for micro in run.own]
    assert len(held) == 1
    learning = [p for p in run.stage.model.parameters() if p.requires_grad]
    assert all(isinstance(p.grad, DTensor) for p in learning if p.grad is not None)
    run.optimiser.step()
    moments = [v for state in run.optimiser.state.values() for v in state.values() if v.ndim]
    gradients = [p.grad for p in learning if p.grad is not None]
    for tensors in (list(run.stage.model.parameters()), gradients, moments):
        assert tensors
        assert all(isinstance(value, DTensor) for value in tensors)
        assert sum(own(v).numel() for v in tensors) < 0.55 * sum(v.numel() for v in tensors)
    average = sum(value.numel() for value in run.average.average.values())
    assert 0 < average < 0.55 * sum(p.numel() for p in learning)


def main(folder: Path) -> None:
    for path in sorted(folder.glob("*.toml")):
        config, what = TrainConfig.load(path), path.stem.partition("-")[0]
        if what == "shares":
            expect_shares(config)
        elif what == "stop":
            with suppress(KeyboardInterrupt):
                train(config, build_stage, progress=False, on_step=stop)
        else:
            train(config, build_stage, progress=False)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
