"""The loop on a stage of two numbers: what learns and how fast, and which weights are reported and exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from microcinema_core.training.config import TrainConfig
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Draw, Findings, Group, Stage


@dataclass(frozen=True)
class Inputs:
    x: Tensor

    def to(self, device: torch.device) -> Inputs:
        return Inputs(self.x.to(device))


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope, self.offset = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x + self.offset


@dataclass
class Trained:
    """A stage's model, and what its report and export were called with."""

    model: Line
    reported: list[float]
    exported: list[tuple[float, dict[str, Any]]]


def build(trained: Trained, groups: Callable[[Line], list[Group]], rows: bool = False) -> Stage[Inputs]:
    model = trained.model

    def report() -> Findings:
        trained.reported.append(model.slope.item())
        assert not model.training
        return Findings({"slope": model.slope.item()}, [np.zeros((2, 8, 8, 3), np.uint8)] if rows else [])

    def export(path: Path, provenance: dict[str, Any]) -> None:
        trained.exported.append((model.slope.item(), provenance))

    return Stage(
        model=model,
        source=lambda draw: Inputs(torch.rand(4, generator=draw.generator) + 1),
        loss=lambda forward, batch, draw: {"squared": (forward(batch.x) - 3 * batch.x - 1).square().mean()},
        report=report,
        export=export,
        groups=groups(model),
    )


@pytest.fixture
def config(write_config: Callable[..., Path]) -> TrainConfig:
    return TrainConfig.load(write_config("autoencoder", steps=2, sample_every=1))


def fresh() -> Trained:
    return Trained(Line(), [], [])


def test_parameters_move_at_their_groups_rate_and_others_not_at_all(config: TrainConfig) -> None:
    """Adam's first step is the learning rate, whatever the gradient."""
    one = replace(config, steps=1, optimiser=replace(config.optimiser, lr=0.1, final_lr=1.0, weight_decay=0.0))
    both, alone = fresh(), fresh()
    train(one, lambda _: build(both, lambda m: [Group([m.slope]), Group([m.offset], 0.01)]), progress=False)
    assert both.model.slope.item() == pytest.approx(0.1, rel=1e-4)
    assert both.model.offset.item() == pytest.approx(0.001, rel=1e-4)
    other = replace(one, out=f"{one.out}-other")
    train(other, lambda _: build(alone, lambda m: [Group([m.slope])]), progress=False)
    assert alone.model.offset.item() == 0


def test_reports_and_files_are_of_the_averaged_weights(config: TrainConfig) -> None:
    trained = fresh()
    train(config, lambda _: build(trained, lambda m: [Group(list(m.parameters()))], rows=True), progress=False)
    assert [provenance["steps"] for _, provenance in trained.exported] == [1, 2]
    assert [slope for slope, _ in trained.exported] == trained.reported
    assert 0 < trained.reported[1] < trained.model.slope.item()  # the average lags behind
    assert trained.model.training
    sheets = sorted(path.name for path in (Path(config.out) / "samples").iterdir())
    assert sheets == ["step-00000001.png", "step-00000002.png"]


def test_a_report_without_pictures_leaves_none(config: TrainConfig) -> None:
    train(config, lambda _: build(fresh(), lambda m: [Group(list(m.parameters()))]), progress=False)
    assert not list((Path(config.out) / "samples").iterdir())


def test_a_source_is_given_the_steps_own_randomness(config: TrainConfig) -> None:
    seen: list[float] = []

    def noting(_: TrainConfig) -> Stage[Inputs]:
        stage = build(fresh(), lambda m: [Group(list(m.parameters()))])

        def source(draw: Draw) -> Inputs:
            seen.append(draw.rng.random())
            return stage.source(draw)

        return replace(stage, source=source)

    train(config, noting, progress=False)
    assert seen == [Draw.of(config.seed, step).rng.random() for step in range(2)]
