"""The parts of the training loop that can be wrong without a run noticing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import hostile
import pytest
import torch
from torch import nn

from microcinema_core.config import ClipConfig, Kind
from microcinema_core.errors import ConfigError
from microcinema_core.training.config import DataConfig, OptimiserConfig, TrainConfig
from microcinema_core.training.optim import WeightAverage, learning_rate
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage


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
        ("stage = 'video'\nout = 'x'\nsteps = 0", "steps must be between 1 and 1000000000, got 0"),
        ("stage = 'video'\nout = 'x'\nsteps = 1" + "0" * 400, "steps: expected a number, got 10000"),
        ("stage = 'video'\nout = 'x'\nsteps = 1" + "0" * 5000, "is not TOML"),
        ("stage = 'video'\nout = 'x'\nsteps = 0x" + "f" * 5000, "steps: expected a number, got int beyond all measure"),
        ("stage = 'video'\nout = 'x'\nsteps = true", "steps: expected int, got True"),
        ("stage = 'video'\nout = 'x'\nsteps = 5.0", "steps: expected int, got 5.0"),
        ("stage = 'video'\nout = 'x'\nbatch = 1000000", "batch must be between 1 and 65536"),
        ("stage = 'video'\nout = 'x'\nseed = -1", "seed must be between 0 and"),
        ("stage = 'video'\nout = 'x'\n[seed]\na = 1", "seed: expected int"),
        ("stage = 'video'\nout = 'x'\n[data]\nother_rates = [2, 0]", "fps must be between 0.01 and 1000"),
        ("stage = 'video'\nout = 'x'\n[data]\nno_text = 1e308", "no_text: expected a number"),
        ("stage = 'video'\nout = 'x'\n[data]\nclips = " + "[" * 5000, "is not TOML .maximum recursion"),
        ("stage = 'video'\nout = 'x'\n[clip]\nframes = 0", "frames must be between 1 and 4096"),
        ("a." * 9000 + "a = 1", "unknown key 'a'"),
        ("#" * 1_000_000, "is too long: 1,000,000 bytes, 20,000 at most"),
        ("stage = 'video'\nout = 'x'\nstpes = 5", "unknown key 'stpes'"),
        ("stage = 'video'\nout = 'x'\n[optimiser]\nlr = nan", "lr: expected a number, got nan"),
        ("stage = 'video'\nout = 'x'\n[optimiser]\nlr = -1", "lr must be above 0 and at most 10, got -1"),
        ("stage = ", "Invalid value"),
    ],
)
def test_bad_configuration_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a pipe or device; give a stage's configuration"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no text in UTF-8"),
    ],
)
def test_what_is_no_configuration_file(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make(tmp_path / "stage.toml")
    with pytest.raises(ConfigError, match=message):
        TrainConfig.load(tmp_path / "stage.toml")


def test_every_number_of_a_configuration_is_bounded() -> None:
    """Whatever stands in the place of a value, it is taken or refused by name."""
    config = TrainConfig(Kind.VIDEO, "out", clip=ClipConfig(), data=DataConfig(other_rates=(4.0,)))
    whole = json.loads(json.dumps(config.to_dict()))
    taken = 0
    for _, text in hostile.odd_json(whole, (*hostile.ODD_JSON, "1e29", "-1e29", str(10**29))):
        with suppress(ConfigError):
            again = TrainConfig.from_dict(json.loads(text))
            numbers = [again.to_dict(), again.optimiser.to_dict(), again.data.to_dict()]
            floats = [v for part in numbers for v in part.values() if type(v) in (int, float)]
            assert all(abs(v) < 2**64 for v in floats)
            taken += 1
    assert taken > len(whole)  # strings, and numbers that are as good as the defaults


def test_crops_that_the_autoencoder_cannot_have() -> None:
    for crop in (12, 136):
        with pytest.raises(ConfigError, match="crop must be a multiple of 8 and at most 128"):
            build_stage(TrainConfig(Kind.AUTOENCODER, "out", data=DataConfig(crop=crop)))


ROWS = {
    "a pipe, a folder, a circle of links, no UTF-8, more than 20,000 bytes": test_what_is_no_configuration_file,
    "brackets in brackets, a number of 5,000 digits, no TOML": test_bad_configuration_is_named,
    "a table where a value belongs, 5.0 or true for a whole number, NaN, 10^400": test_bad_configuration_is_named,
    "a number that is negative, zero or enormous": test_every_number_of_a_configuration_is_bounded,
    "crops that the autoencoder cannot have": test_crops_that_the_autoencoder_cannot_have,
}


def test_the_page_lists_these_cases() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hostile-input.md").read_text(encoding="utf-8")
    assert hostile.rows(page, "Training configurations") == sorted(ROWS)
