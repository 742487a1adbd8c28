"""LoRAs of video models: the file that training leaves, and what any such file makes of a model's U-Net.

Names are those that ComfyUI's own LoRA loaders read for our MODEL: `diffusion_model.` and the layer's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError, shown
from ..files import disk_errors, written_whole
from .addition import Addition
from .format import UNET, Checkpoint
from .lora import added, lora_layers
from .lora_header import LoraHeader, layout_of
from .stored import Stored, open_file

DOWN, UP, ALPHA = "lora_down", "lora_up", "alpha"
NETWORK = "diffusion_model."
WANTED = "a LoRA of a video model (.safetensors)"
ELSEWHERE = "merge it in the program that it was made for"


@dataclass(frozen=True, slots=True)
class Part:
    """Both halves beside a layer: down [r, inputs, ...] as its weight, up [outputs, r] or [outputs, r, 1, 1]."""

    down: Tensor
    up: Tensor


def save_lora_file(path: str | Path, header: LoraHeader, parts: Mapping[str, Part]) -> None:
    """Write atomically, in float16. parts: by the layer's name.

    Raises CheckpointError, and leaves an older file alone, for a number that float16 does not have.
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    for name, part in parts.items():
        for role, value in ((DOWN, part.down), (UP, part.up)):
            tensors[f"{NETWORK}{name}.{role}.weight"] = value.detach().to("cpu", torch.float16).contiguous()
        tensors[f"{NETWORK}{name}.{ALPHA}"] = torch.tensor(float(header.alpha))
    for key, value in tensors.items():
        if not value.isfinite().all():
            raise CheckpointError(f"{path}: not written: {key} holds NaN, infinity or numbers beyond float16")
    with disk_errors(path), written_whole(path) as temporary:
        save_file(tensors, temporary, metadata=header.to_metadata())


def missing_words(lora: Path, prompt: str) -> str:
    """The words that a LoRA was taught with, where a prompt has not all of them; else an empty text."""
    header = LoraHeader.of(open_file(lora, WANTED)[1], lora)
    words = "" if header is None else header.words
    return words if any(word not in prompt.lower() for word in words.lower().split()) else ""


def unet_of(path: Path) -> dict[str, Stored]:
    """A model's U-Net, none of whose tensors is read yet. Raises CheckpointError for no safetensors file."""
    start = f"{UNET}."
    return {key.removeprefix(start): value for key, value in open_file(path)[0].items() if key.startswith(start)}


def with_loras(checkpoint: Checkpoint, path: Path, loras: Sequence[Addition]) -> Checkpoint:
    """A model that was read from `path`, with LoRAs in its U-Net. Raises CheckpointError as `merged` does."""
    state = {
        key: Stored(tuple(value.shape), partial(_itself, value)) for key, value in checkpoint.sections[UNET].items()
    }
    changed = {key: stored.read() for key, stored in merged(state, path, loras).items()}
    return replace(checkpoint, sections=checkpoint.sections | {UNET: checkpoint.sections[UNET] | changed})


def _itself(value: Tensor) -> Tensor:
    return value


def merged(unet: Mapping[str, Stored], model: Path, loras: Sequence[Addition]) -> dict[str, Stored]:
    """The weights that LoRAs change, as they become; unet: all that the model has.

    Raises CheckpointError for a LoRA of another layout, and where any part of one has no place or another size.
    """
    places, changed = dict(_places(unet)), dict[str, Stored]()
    for lora in loras:
        state, metadata = open_file(lora.path, WANTED)
        header = LoraHeader.of(metadata, lora.path)
        if header is not None and header.layout != layout_of({key: value.shape for key, value in unet.items()}):
            raise CheckpointError(
                f"{lora.path}: was trained on {shown(header.base)}, whose U-Net is of another layout than that of "
                f"{model.name}; give the model that it was trained on"
            )
        for name, layer in lora_layers(lora.path, state, ELSEWHERE).items():
            if name not in places:
                raise CheckpointError(
                    f"{lora.path}: its layer {shown(name)} has no place in {model.name}: it was made for another kind "
                    "of model, or for a text encoder (`microcinema inflate --lora` merges such a one)"
                )
            key = places[name]
            changed[key] = added(lora, name, changed.get(key, unet[key]), layer)
    return changed


def _places(unet: Mapping[str, Stored]) -> Iterator[tuple[str, str]]:
    """Every name that a LoRA may have for a layer, with the key of its weight: ComfyUI's, kohya's, diffusers'."""
    for key, stored in unet.items():
        layer = key.removesuffix(".weight")
        if layer != key and len(stored.shape) > 1:
            yield f"lora_unet_{layer.replace('.', '_')}", key
            for name in (layer, layer.replace("to_out.0", "to_out")):  # older files leave the number out
                yield f"{NETWORK}{name}", key
                yield f"unet.{name}", key
                yield name, key
