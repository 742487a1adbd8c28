"""A run with a limit of time, on a clock that its own work moves: at its end cooled down, reported and exported."""

from __future__ import annotations

import math
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.optim.optimizer import register_optimizer_step_post_hook

from microcinema_core import cli
from microcinema_core.errors import InputError
from microcinema_core.training import stages
from microcinema_core.training.budget import REPORT, SAVE, TimeBudget
from microcinema_core.training.checkpoints import checkpoints
from microcinema_core.training.config import OptimiserConfig, TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.optim import learning_rate
from microcinema_core.training.stage import Draw, Stage

build_tiny = runpy.run_path(str(Path(__file__).with_name("tiny_stage.py")))["build"]
STEP, REPORTING, SETTING_UP = 2.0, 8.0, 10.0  # seconds on the clock below


@dataclass
class Clock:
    """Moves when somebody works."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def build(self, config: TrainConfig) -> Stage[Any]:
        """The tiny stage, each of whose works takes its time."""
        self.now += SETTING_UP
        stage = build_tiny(config)

        def source(draw: Draw) -> Any:
            self.now += STEP
            return stage.source(draw)

        def report() -> Any:
            self.now += REPORTING
            return stage.report()

        return replace(stage, source=source, report=report)


@contextmanager
def rates() -> Iterator[list[float]]:
    """Those that the optimiser steps with."""
    seen: list[float] = []
    hook = register_optimizer_step_post_hook(lambda optimiser, *_: seen.append(optimiser.param_groups[0]["lr"]))
    yield seen
    hook.remove()


@pytest.fixture
def config(write_config: Callable[..., Path]) -> TrainConfig:
    """Of more steps than there is ever time for."""
    config = TrainConfig.load(write_config("autoencoder", steps=10**6, checkpoint_every=10**6, sample_every=10**6))
    return replace(config, optimiser=OptimiserConfig(lr=1e-3, warmup=4, final_lr=0.05))


def test_all_is_over_in_time_and_cooled_down(config: TrainConfig) -> None:
    clock, steps = Clock(), list[int]()
    budget = TimeBudget(200.0, clock)
    with rates() as seen:
        file = train(config, clock.build, progress=False, on_step=steps.append, budget=budget)
    used = clock.now - 1000
    assert 200 - 2 * STEP - REPORTING / 2 <= used <= 200
    assert len(steps) == (used - SETTING_UP - 2 * REPORTING) / STEP
    assert file.exists()
    assert checkpoints(Path(config.out))[-1].name == f"checkpoint-{len(steps):08d}"
    assert seen[:4] == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3], rel=0.05)
    assert all(a >= b for a, b in pairwise(seen[4:]))
    assert seen[-1] == pytest.approx(0.05e-3, rel=0.1)


def test_halfway_there_is_a_file_already(config: TrainConfig) -> None:
    clock = Clock()
    file, found = Path(config.out) / "model.safetensors", []
    budget = TimeBudget(200.0, clock)
    train(
        config, clock.build, progress=False, on_step=lambda _: found.append((clock.now, file.exists())), budget=budget
    )
    first = next(now for now, there in found if there) - 1000
    assert 90 <= first - REPORTING <= 100
    assert set(budget.parts) == {SAVE, REPORT}


def test_steps_that_end_sooner_rule(config: TrainConfig) -> None:
    few = replace(config, steps=20)
    with rates() as limited:
        a = train(few, Clock().build, progress=False, budget=TimeBudget(1e6, Clock()))
    other = replace(few, out=few.out + "-other")
    with rates() as unlimited:
        b = train(other, Clock().build, progress=False)
    assert limited == unlimited
    assert all(torch.equal(value, load_file(b)[key]) for key, value in load_file(a).items())


def test_a_run_that_goes_on_has_the_rest_of_its_time(config: TrainConfig) -> None:
    saved = replace(config, checkpoint_every=10)
    clock = Clock()

    def stop(step: int) -> None:
        if step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(saved, clock.build, progress=False, on_step=stop, budget=TimeBudget(200.0, clock))
    assert clock.now == 1000 + SETTING_UP + 30 * STEP
    clock.now += 5000  # which do not count
    with rates() as seen:
        train(saved, clock.build, progress=False, budget=TimeBudget(200.0, clock))
    assert 200 - 2 * STEP - REPORTING / 2 <= clock.now - 6000 <= 200
    assert seen[0] < 0.9e-3
    assert seen[-1] == pytest.approx(0.05e-3, rel=0.1)


def test_a_run_whose_time_is_over_reports_and_ends(config: TrainConfig) -> None:
    clock = Clock()
    with rates() as seen:
        file = train(config, clock.build, progress=False, budget=TimeBudget(5.0, clock))
    assert not seen
    assert file.exists()


def test_a_report_that_takes_all_that_is_left_is_the_last(config: TrainConfig) -> None:
    clock, steps = Clock(), list[int]()
    train(config, clock.build, progress=False, on_step=steps.append, budget=TimeBudget(30.0, clock))
    assert clock.now - 1000 == SETTING_UP + len(steps) * STEP + REPORTING


def test_the_rate_follows_whichever_is_further_on() -> None:
    config = OptimiserConfig(lr=1.0, warmup=10, final_lr=0.0)
    assert learning_rate(5, 100, config) == learning_rate(5, 100, config, 0.001) == 0.6
    assert learning_rate(5, 100, config, 1.0) == 0  # a run of few slow steps
    middle = 0.5 * (1 + math.cos(math.pi * 0.5))
    assert learning_rate(55, 100, config, 0.1) == learning_rate(20, 100, config, 0.5) == pytest.approx(middle)


def test_without_a_limit_time_does_not_count() -> None:
    assert TimeBudget().share == 0
    assert TimeBudget(before=1e9).share == 0


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_no_time_is_refused(config: TrainConfig, minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="give more than 0"):
        TimeBudget(60 * float(minutes))
    assert cli.run(["train", f"{config.out}.toml", "--minutes", minutes]) == 2
    assert "give more than 0" in capsys.readouterr().err


def test_the_command_ends_in_time(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "build_stage", build_tiny)
    assert cli.run(["train", f"{config.out}.toml", "--minutes", "0.01"]) == 0
    assert (Path(config.out) / "model.safetensors").exists()
