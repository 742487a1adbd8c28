"""LoRAs of video models: what they make of a U-Net, and what is refused. docs/hostile-input.md says the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from microcinema_core.checkpoint.addition import Addition
from microcinema_core.checkpoint.format import PREFIX, read_checkpoint, read_header
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.lora_file import Part, merged, save_lora_file, unet_of, with_loras
from microcinema_core.checkpoint.lora_header import LoraHeader, layout_of
from microcinema_core.errors import CheckpointError

LAYERS = ("temporal_conv_in.taps", "mid_block.temporal_attentions.0.to_qkv", "mid_block.resnets.0.conv1")
RANK, ALPHA = 3, 1.5
Tensors = dict[str, Tensor]


@pytest.fixture
def model(weights: Path) -> Path:
    return weights / "toybox-video.safetensors"


@pytest.fixture
def lora(model: Path, tmp_path: Path) -> Path:
    """Random parts beside a convolution over time, a temporal and a spatial layer."""
    unet, generator = read_checkpoint(model).sections["unet"], torch.Generator().manual_seed(3)
    parts = {}
    for name in LAYERS:
        outputs, inputs, *kernel = unet[f"{name}.weight"].shape
        down = torch.randn(RANK, inputs, *kernel, generator=generator)
        parts[name] = Part(down, 0.1 * torch.randn(outputs, RANK, *(1 for _ in kernel), generator=generator))
    layout = layout_of({key: value.shape for key, value in unet.items()})
    header = LoraHeader("toybox", layout, RANK, ALPHA, "spins", provenance={"seed": 7})
    save_lora_file(tmp_path / "lora.safetensors", header, parts)
    return tmp_path / "lora.safetensors"


def added(lora: Path, name: str) -> Tensor:
    """What the file adds to a layer at strength 1, by its definition."""
    file = load_file(lora)
    down, up = (file[f"diffusion_model.{name}.lora_{half}.weight"].float() for half in ("down", "up"))
    return ALPHA / RANK * torch.einsum("or,r...->o...", up.flatten(1), down)


def unet_with(model: Path, *loras: Addition) -> Tensors:
    return with_loras(read_checkpoint(model), model, loras).sections["unet"]


@pytest.mark.parametrize("strengths", [(0.0,), (1.0,), (0.5, -2.0)], ids=str)
def test_a_lora_adds_its_parts_by_their_strength(model: Path, lora: Path, strengths: tuple[float, ...]) -> None:
    """Nothing at 0; two of them add up; all other tensors stay."""
    plain, made = read_checkpoint(model).sections["unet"], unet_with(model, *(Addition(lora, s) for s in strengths))
    assert made.keys() == plain.keys()
    for key, value in plain.items():
        name = key.removesuffix(".weight")
        if name not in LAYERS:
            assert made[key] is not value or torch.equal(made[key], value)
            continue
        wanted = value.float() + sum(strengths) * added(lora, name)
        assert torch.allclose(made[key], wanted, rtol=1e-5, atol=1e-6)  # sums in another order
        assert torch.equal(made[key], value.float()) == (sum(strengths) == 0)


def test_other_trainers_names_are_read_too(model: Path, lora: Path, tmp_path: Path) -> None:
    """kohya's and PEFT's; without our metadata nothing is known of the layout, so shapes alone decide."""
    ours = unet_with(model, Addition(lora))
    file = load_file(lora)
    kohya, peft = {}, {}
    for key, value in file.items():
        layer, _, rest = key.removeprefix("diffusion_model.").partition(".lora_" if "lora_" in key else ".alpha")
        kohya[f"lora_unet_{layer.replace('.', '_')}" + (f".lora_{rest}" if rest else ".alpha")] = value
        if rest:
            half = {"down": "A", "up": "B"}[rest.split(".")[0]]
            peft[f"unet.{layer}.lora_{half}.weight"] = value * (ALPHA / RANK if half == "B" else 1.0)
    for tensors in (kohya, peft):
        save_file(tensors, tmp_path / "theirs.safetensors")
        theirs = unet_with(model, Addition(tmp_path / "theirs.safetensors"))
        assert all(torch.allclose(theirs[key], value, rtol=1e-3, atol=1e-3) for key, value in ours.items())  # float16


def test_inspect_tells_a_lora_from_a_model(model: Path, lora: Path) -> None:
    found = identify(lora)
    assert "MicroCinema LoRA" in found.title
    told = {key: found.details[key] for key in ("rank", "words", "provenance seed")}
    assert told == {"rank": "3, alpha 1.5", "words": "spins", "provenance seed": "7"}
    with pytest.raises(CheckpointError, match="is a LoRA, which changes a model; give the model, and this file with"):
        read_header(lora)


def rewritten(path: Path, change: Callable[[Tensors, dict[str, str]], None]) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(path)
    change(tensors, metadata)
    save_file({key: value.clone().contiguous() for key, value in tensors.items()}, path, metadata=metadata)


KEY = "diffusion_model.mid_block.temporal_attentions.0.to_qkv"


def of_another_layout(tensors: Tensors, metadata: dict[str, str]) -> None:
    metadata[PREFIX + "lora"] = metadata[PREFIX + "lora"].replace('"layout": "', '"layout": "0')


def of_another_size(tensors: Tensors, metadata: dict[str, str]) -> None:
    tensors[f"{KEY}.lora_down.weight"] = torch.zeros(RANK, 99)


def with_an_unknown_layer(tensors: Tensors, metadata: dict[str, str]) -> None:
    for half in ("down", "up"):
        tensors[f"diffusion_model.lips.lora_{half}.weight"] = tensors[f"{KEY}.lora_{half}.weight"]


def for_a_text_encoder(tensors: Tensors, metadata: dict[str, str]) -> None:
    for half in ("down", "up"):
        name = f"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_{half}.weight"
        tensors[name] = tensors[f"{KEY}.lora_{half}.weight"]


def without_one_half(tensors: Tensors, metadata: dict[str, str]) -> None:
    del tensors[f"{KEY}.lora_up.weight"]


def of_another_kind(tensors: Tensors, metadata: dict[str, str]) -> None:
    tensors[f"{KEY}.hada_w1_a"] = torch.zeros(2, 2)


def not_finite(tensors: Tensors, metadata: dict[str, str]) -> None:
    tensors[f"{KEY}.lora_up.weight"][0] = torch.nan


def with_an_alpha_that_is_none(tensors: Tensors, metadata: dict[str, str]) -> None:
    tensors[f"{KEY}.alpha"] = torch.tensor(torch.inf)


def with_whole_numbers(tensors: Tensors, metadata: dict[str, str]) -> None:
    tensors[f"{KEY}.lora_up.weight"] = tensors[f"{KEY}.lora_up.weight"].int()


def without_its_description(tensors: Tensors, metadata: dict[str, str]) -> None:
    metadata[PREFIX + "lora"] = "[" * 100_000


WRONG = [
    (of_another_layout, "was trained on toybox, whose U-Net is of another layout than that of toybox-video"),
    (
        of_another_size,
        r"to_qkv is of shape \[144, 3\] x \[3, 99\], the model's is \[144, 48\]; give a LoRA of the same",
    ),
    (with_an_unknown_layer, "its layer diffusion_model.lips has no place in toybox-video.safetensors"),
    (for_a_text_encoder, "no place in .*or for a text encoder \\(`microcinema inflate --lora` merges such a one\\)"),
    (without_one_half, "lacks one half of its LoRA; get the file anew"),
    (of_another_kind, "is no tensor of a plain LoRA, which alone is merged here"),
    (not_finite, "its layer .*to_qkv is not finite; get the file anew"),
    (with_an_alpha_that_is_none, "the alpha of its layer .*to_qkv is no number"),
    (with_whole_numbers, "to_qkv holds whole numbers"),
    (without_its_description, "bad metadata: .*is not JSON"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[change.__name__ for change, _ in WRONG])
def test_wrong_loras_are_refused_in_one_line(model: Path, lora: Path, change: Any, message: str) -> None:
    rewritten(lora, change)
    with pytest.raises(CheckpointError, match=message) as error:
        unet_with(model, Addition(lora))
    assert str(error.value).startswith(str(lora))
    assert str(error.value).isprintable()


def test_what_is_wrong_is_known_before_a_tensor_is_read(model: Path, lora: Path) -> None:
    """A program that only asks whether a LoRA fits reads headers alone."""
    fitting = merged(unet_of(model), model, [Addition(lora)])
    assert fitting.keys() == {f"{name}.weight" for name in LAYERS}
    rewritten(lora, of_another_size)
    with pytest.raises(CheckpointError, match="the model's is"):
        merged(unet_of(model), model, [Addition(lora)])


@pytest.mark.parametrize("what", ["missing", "folder", "model", "text"])
def test_other_files_are_named(model: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "other.safetensors"
    if what == "folder":
        path.mkdir()
    elif what == "model":
        path = model
    elif what == "text":
        path.write_text("hello")
    messages = {"missing": "does not exist; give a LoRA of a video model", "folder": "is a folder; give a LoRA",
                "model": "is a MicroCinema keyframe-and-text-to-video model, and .* is no tensor of a plain LoRA",
                "text": "not a safetensors file"}  # fmt: skip
    with pytest.raises(CheckpointError, match=messages[what]):
        unet_with(model, Addition(path))


def test_numbers_that_float16_does_not_have_are_not_written(lora: Path) -> None:
    header = LoraHeader("toybox", "0", RANK, ALPHA)
    before = lora.read_bytes()
    with pytest.raises(CheckpointError, match=r"not written: .*numbers beyond float16"):
        save_lora_file(lora, replace(header, words="x"), {"a": Part(torch.full((1, 1), 1e6), torch.ones(1, 1))})
    assert lora.read_bytes() == before
