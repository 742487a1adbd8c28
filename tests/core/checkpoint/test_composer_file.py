"""A composer's file: read back as it was written, and refused where it is another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from microcinema_core.checkpoint.format import COMPOSER, Checkpoint, Header, read_checkpoint, save_checkpoint_file
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.load import load_composer
from microcinema_core.config import POCKET, ComposerConfig, Kind
from microcinema_core.errors import CheckpointError
from microcinema_core.models.composer import Composer

SMALL = replace(POCKET, composer=ComposerConfig(channels=8, deep=8))


def written(path: Path, change: Callable[[dict[str, Tensor]], object] = len, **changed: object) -> Path:
    assert SMALL.composer is not None
    torch.manual_seed(0)
    state = Composer(SMALL.composer).state_dict()
    change(state)
    header = replace(Header(Kind.COMPOSER, SMALL), **changed)
    save_checkpoint_file(path, Checkpoint(header, {COMPOSER: state}), torch.float32)
    return path


def test_a_composer_comes_back_from_its_file(tmp_path: Path) -> None:
    path = written(tmp_path / "pocket-composer.safetensors")
    network, stored = load_composer(path), read_checkpoint(path).sections[COMPOSER]
    assert not network.training
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())


def test_inspect_says_what_it_is(tmp_path: Path) -> None:
    found = identify(written(tmp_path / "pocket-composer.safetensors"))
    assert found.title == "MicroCinema composer, which puts a picture's own detail back into what a model made"
    assert found.details["network"] == "8 and 8 channels on blocks of 4 pixels"
    assert found.details["composer"].endswith(" parameters")


@pytest.mark.parametrize(
    ("change", "changed", "said"),
    [
        (lambda state: state.pop("out.bias"), {}, "1 tensors missing"),
        (lambda state: state.update({"more": torch.zeros(1)}), {}, "1 unexpected"),
        (lambda state: state.update({"out.bias": torch.zeros(3)}), {}, r"out.bias has shape \[3\]"),
        (len, {"config": replace(SMALL, composer=None)}, "its configuration describes none"),
        (len, {"config": replace(SMALL, composer=ComposerConfig(4096, 4096, 16))}, "has shape"),
        (len, {"kind": Kind.AUTOENCODER}, "unexpected tensor"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_no_time(
    change: Callable[[dict[str, Tensor]], object], changed: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=said):
        load_composer(written(tmp_path / "bad.safetensors", change, **changed))
