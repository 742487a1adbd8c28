"""The embedded file: small, float16, complete; and files that are not it."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from microcinema_core.errors import CheckpointError
from microcinema_core.places.network import Network
from microcinema_core.places.stored import FILE, embedded, load


def test_it_is_small_and_float16_and_says_how_it_came_to_be() -> None:
    assert FILE.stat().st_size <= 2_000_000
    with safe_open(FILE, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}
        assert {"command", "commit", "data", "settings"} <= set(file.metadata()["provenance"].split('"'))


def test_it_is_read_once() -> None:
    assert embedded(torch.device("cpu")) is embedded(torch.device("cpu"))


def test_it_fills_every_weight_with_its_own() -> None:
    stored, network = load_file(FILE), load(FILE)
    state = network.state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(value.float(), state[name]) for name, value in stored.items())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def changed(tmp_path: Path, change: str) -> Path:
    stored = {name: value.half() for name, value in Network().state_dict().items()}
    if change == "short":
        stored.pop("out.bias")
    elif change == "long":
        stored["more"] = torch.zeros(1)
    else:
        stored["out.bias"] = torch.zeros(3)
    save_file(stored, tmp_path / "other.safetensors")
    return tmp_path / "other.safetensors"


@pytest.mark.parametrize("change", ["short", "long", "shape"])
def test_a_file_of_other_weights_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(CheckpointError, match=r"other\.safetensors: is no network that finds places"):
        load(changed(tmp_path, change))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("text")
    for name in ("text.safetensors", "missing.safetensors"):
        with pytest.raises(CheckpointError, match=name):
            load(tmp_path / name)
