"""LoRAs of any trainer: which layers a file has parts for, and what these add to a weight, in float32."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError, shown
from .addition import Addition
from .identify import identify
from .lora_header import MAX_ALPHA as MAX_ALPHA
from .stored import Stored

ROLES = {
    "down": (".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight",
             ".lora_linear_layer.down.weight", "_lora.down.weight"),
    "up": (".lora_up.weight", ".lora_B.weight", ".lora_B.default.weight", ".lora.up.weight",
           ".lora_linear_layer.up.weight", "_lora.up.weight"),
    "alpha": (".alpha",),
}  # fmt: skip
OTHERS = ("hada_", "lokr_", "dora_scale", "lora_magnitude", "lora_mid", ".diff", "oft_", "glora", "norm_")


@dataclass(slots=True)
class Layer:
    """What a LoRA adds to one layer: up @ down, times alpha over the rank."""

    parts: dict[str, Stored] = field(default_factory=dict)


def lora_layers(path: Path, state: Mapping[str, Stored], elsewhere: str) -> dict[str, Layer]:
    """A file's layers by their names in it. Raises CheckpointError for tensors of another kind than a plain LoRA's.

    elsewhere: what to do with these.
    """
    layers: dict[str, Layer] = {}
    for key, stored in state.items():
        role, ending = next(
            ((role, end) for role, endings in ROLES.items() for end in endings if key.endswith(end)), (None, "")
        )
        if role is None or any(mark in key for mark in OTHERS):
            title = identify(path).title
            raise CheckpointError(
                f"{path}: is a {title}, and {shown(key)} is no tensor of a plain LoRA, which alone is merged here; "
                f"{elsewhere}"
            )
        name = key.removesuffix(ending).replace(".processor.", ".")
        layers.setdefault(name, Layer()).parts[role] = stored
    for name, layer in layers.items():
        if not {"down", "up"} <= set(layer.parts):
            raise CheckpointError(f"{path}: {shown(name)} lacks one half of its LoRA; get the file anew")
    return layers


def added(addition: Addition, name: str, weight: Stored, layer: Layer, adapter_alpha: float | None = None) -> Stored:
    """A weight with one layer of a LoRA in it, float32. adapter_alpha: where the layer has none of its own.

    Raises CheckpointError, reading no more than an alpha, where the layer's shapes are not the weight's.
    """
    down, up = layer.parts["down"], layer.parts["up"]
    shapes = f"{list(up.shape)} x {list(down.shape)}"
    if len(down.shape) < 2 or len(up.shape) < 2 or 0 in (*down.shape, *up.shape):
        raise CheckpointError(f"{addition.path}: its layer {shown(name)} is misshapen, {shapes}; get the file anew")
    if not (down.fractions and up.fractions):
        raise CheckpointError(f"{addition.path}: its layer {shown(name)} holds whole numbers; get the file anew")
    rank = down.shape[0]
    fits = math.prod(down.shape[1:]) == math.prod(weight.shape[1:])
    if not fits or up.shape[0] != weight.shape[0] or math.prod(up.shape[1:]) != rank:
        raise CheckpointError(
            f"{addition.path}: its layer {shown(name)} is of shape {shapes}, the model's is {list(weight.shape)}; give "
            "a LoRA of the same kind of model"
        )
    alpha = _alpha(addition.path, name, layer.parts["alpha"]) if "alpha" in layer.parts else adapter_alpha
    scale = addition.strength * (1.0 if alpha is None else alpha / rank)

    def read() -> Tensor:
        change = up.read().float().flatten(1) @ down.read().float().flatten(1)
        if not change.isfinite().all():
            raise CheckpointError(f"{addition.path}: its layer {shown(name)} is not finite; get the file anew")
        return weight.read().float() + scale * change.view(weight.shape)

    return Stored(weight.shape, read)


def _alpha(path: Path, name: str, stored: Stored) -> float:
    """The one number of a tensor. Raises CheckpointError for any other."""
    value = stored.read() if math.prod(stored.shape) == 1 else None
    if value is None or value.is_complex() or not abs(value.item()) <= MAX_ALPHA:
        raise CheckpointError(f"{path}: the alpha of its layer {shown(name)} is no number; get the file anew")
    return float(value.item())
