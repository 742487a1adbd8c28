"""The parts of the training loop that can be wrong without a run noticing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from microcinema_core.errors import ConfigError
from microcinema_core.training.config import OptimiserConfig, TrainConfig
from microcinema_core.training.optim import WeightAverage, learning_rate
from microcinema_core.training.stage import Draw


def test_draw_is_a_function_of_seed_step_and_rank() -> None:
    def numbers(seed: int, step: int, rank: int) -> tuple[float, float]:
        draw = Draw.of(seed, step, rank)
        return draw.rng.random(), torch.rand(1, generator=draw.generator).item()

    assert numbers(1, 2, 3) == numbers(1, 2, 3)
    others = [numbers(0, 2, 3), numbers(1, 0, 3), numbers(1, 2, 0)]
    assert len({numbers(1, 2, 3), *others}) == 4


def test_learning_rate_warms_up_and_ends_low() -> None:
    config = OptimiserConfig(lr=1e-3, warmup=10, final_lr=0.05)
    rates = [learning_rate(step, 100, config) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[100] == pytest.approx(5e-5)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_weight_average_follows_and_swaps_back() -> None:
    model = nn.Linear(2, 1, bias=False)
    average = WeightAverage(model, decay=0.5)
    nn.init.constant_(model.weight, 1.0)
    start = average.average["weight"].clone()
    average.update(model.named_parameters())
    # The first update's decay is 1/11, whatever the final one.
    assert torch.allclose(average.average["weight"], start / 11 + 10 / 11)
    kept = average.average["weight"].clone()
    average.swap(model)
    assert torch.equal(model.weight, kept)
    average.swap(model)
    assert torch.equal(model.weight, torch.ones(1, 2))
    assert torch.equal(average.average["weight"], kept)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = 'nothing'\nout = 'x'", "stage: 'nothing' is none of autoencoder"),
        ("stage = 'video'\nout = 'x'\nsteps = 0", "at least 1"),
        ("stage = 'video'\nout = 'x'\nstpes = 5", "unknown key 'stpes'"),
        ("stage = 'video'\nout = 'x'\n[optimiser]\nlr = nan", "lr: expected a number, got nan"),
        ("stage = 'video'\nout = 'x'\n[optimiser]\nlr = -1", "lr and clip_norm must be positive"),
        ("stage = ", "Invalid value"),
    ],
)
def test_bad_configuration_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig.load(path)
    assert str(path) in str(caught.value)
