"""LoRAs and fine-tunes merged into a source's weights: in float32, one tensor at a time, when it is written."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from ..checkpoint.identify import identify
from ..errors import CheckpointError, InputError, shown
from ..files import parse_json
from .keys import unet_to_compvis
from .lazy import State, Stored, open_file
from .source import Choices, Source, open_source
from .told import Told

ROLES = {
    "down": (".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight",
             ".lora_linear_layer.down.weight", "_lora.down.weight"),
    "up": (".lora_up.weight", ".lora_B.weight", ".lora_B.default.weight", ".lora.up.weight",
           ".lora_linear_layer.up.weight", "_lora.up.weight"),
    "alpha": (".alpha",),
}  # fmt: skip
OTHERS = ("hada_", "lokr_", "dora_scale", "lora_magnitude", "lora_mid", ".diff", "oft_", "glora", "norm_")
MAX_ALPHA = 1e6
ADAPTER = "lora_adapter_metadata"  # where diffusers keeps the settings that PEFT's key names leave out


@dataclass(frozen=True, slots=True)
class Addition:
    """A file and how much of it."""

    path: Path
    strength: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def parse(cls, text: str) -> Addition:
        """FILE or FILE:STRENGTH. Raises InputError for a strength that is no number between -10 and 10."""
        name, colon, strength = text.rpartition(":")
        if os.path.lexists(text) or not colon or "/" in strength or "\\" in strength:
            return cls(Path(text))
        try:
            value = float(strength)
        except ValueError:
            value = float("nan")
        if not -10 <= value <= 10:
            raise InputError(f"{text}: the strength {strength!r} is no number between -10 and 10; give FILE:STRENGTH")
        return cls(Path(name), value)


@dataclass(slots=True)
class _Layer:
    """What a LoRA adds to one layer: up @ down, times alpha over the rank."""

    parts: dict[str, Stored] = field(default_factory=dict)


def merge_finetune(source: Source, addition: Addition, choices: Choices) -> Source:
    """The U-Net's spatial weights moved towards another model's of the same kind. Raises CheckpointError for others."""
    other = open_source(addition.path, choices)
    if other.config.unet != source.config.unet:
        raise CheckpointError(
            f"{addition.path}: its U-Net is of another kind than that of {source.path.name}; merge models of one family"
        )
    share = addition.strength

    def blended(one: Stored, two: Stored) -> Stored:
        return Stored(one.shape, lambda: one.read().float().lerp(two.read().float(), share))

    return replace(source, unet={key: blended(value, other.unet[key]) for key, value in source.unet.items()})


def merge_lora(source: Source, addition: Addition) -> Source:
    """The source with a LoRA in its U-Net and text encoder; kohya's and diffusers' names, old and new.

    Raises CheckpointError for another kind of file, and where any part of it has no place in this model.
    """
    state, metadata = open_file(addition.path)
    layers = _layers(addition.path, state)
    alphas = _adapter_alphas(addition.path, metadata)
    places = dict(_places(source))
    unet = dict(source.unet)
    text = {} if source.text is None else dict(source.text.state)
    for name, layer in layers.items():
        if name not in places:
            raise CheckpointError(
                f"{addition.path}: its layer {shown(name)} has no place in {source.path.name}: it was made for another "
                "kind of model, or the text encoder is missing (--text-encoder)"
            )
        part, key = places[name]
        target = unet if part == "unet" else text
        target[key] = _added(addition, name, target[key], layer, alphas.get(part))
    return replace(source, unet=unet, text=None if source.text is None else replace(source.text, state=text))


def _layers(path: Path, state: State) -> dict[str, _Layer]:
    layers: dict[str, _Layer] = {}
    for key, stored in state.items():
        role, ending = next(
            ((role, end) for role, endings in ROLES.items() for end in endings if key.endswith(end)), (None, "")
        )
        if role is None or any(mark in key for mark in OTHERS):
            title = identify(path).title
            raise CheckpointError(
                f"{path}: is a {title}, and {shown(key)} is no tensor of a plain LoRA, which alone is merged here; "
                "merge it in the program that it was made for, and inflate the result"
            )
        name = key.removesuffix(ending).replace(".processor.", ".")
        layers.setdefault(name, _Layer()).parts[role] = stored
    for name, layer in layers.items():
        if not {"down", "up"} <= set(layer.parts):
            raise CheckpointError(f"{path}: {shown(name)} lacks one half of its LoRA; get the file anew")
    return layers


def _adapter_alphas(path: Path, metadata: Mapping[str, str]) -> dict[str, float]:
    """PEFT's alpha of each network. Raises CheckpointError for settings that are not followed here."""
    try:
        stored = parse_json(metadata.get(ADAPTER, "{}"), ADAPTER)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; get the file anew") from error
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path}: {ADAPTER} is no object; get the file anew")
    odd = [k for k, v in stored.items() if v and k.endswith(("_pattern", "use_rslora", "use_dora"))]
    if odd:
        raise CheckpointError(f"{path}: its setting {shown(odd[0])} is not followed here; merge it where it was made")
    told, keys = Told(path, stored), {part: f"{part}.lora_alpha" for part in ("unet", "text_encoder")}
    return {p: told.number(k, 0.0, -MAX_ALPHA, MAX_ALPHA) for p, k in keys.items() if stored.get(k) is not None}


def _places(source: Source) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every name that a LoRA may have for a layer, with the network and the key of the layer's weight."""
    unet = source.config.unet
    for key in source.unet:
        if key.endswith(".weight"):
            layer = key.removesuffix(".weight")
            compvis = unet_to_compvis(key, unet.layers_per_block, unet.attention_levels).removesuffix(".weight")
            for name in (layer, compvis):
                yield f"lora_unet_{name.replace('.', '_')}", ("unet", key)
            for name in (layer, layer.replace("to_out.0", "to_out")):  # older files leave the number out
                yield f"unet.{name}", ("unet", key)
                yield name, ("unet", key)
    for key in {} if source.text is None else source.text.state:
        if key.endswith(".weight"):
            layer = key.removesuffix(".weight")
            yield f"lora_te_{layer.replace('.', '_')}", ("text_encoder", key)
            yield f"text_encoder.{layer}", ("text_encoder", key)


def _added(addition: Addition, name: str, weight: Stored, layer: _Layer, adapter_alpha: float | None) -> Stored:
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
        return weight.read().float() + scale * change.view(weight.shape)

    return Stored(weight.shape, read)


def _alpha(path: Path, name: str, stored: Stored) -> float:
    """The one number of a tensor. Raises CheckpointError for any other."""
    value = stored.read() if math.prod(stored.shape) == 1 else None
    if value is None or value.is_complex() or not abs(value.item()) <= MAX_ALPHA:
        raise CheckpointError(f"{path}: the alpha of its layer {shown(name)} is no number; get the file anew")
    return float(value.item())
