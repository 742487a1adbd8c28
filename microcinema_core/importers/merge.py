"""LoRAs and fine-tunes merged into a source's weights: in float32, one tensor at a time, when it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..checkpoint.addition import Addition
from ..checkpoint.lora import MAX_ALPHA, added, lora_layers
from ..errors import CheckpointError, shown
from ..files import parse_json
from .keys import unet_to_compvis
from .lazy import Stored, open_file
from .source import Choices, Source, open_source
from .told import Told

ADAPTER = "lora_adapter_metadata"  # where diffusers keeps the settings that PEFT's key names leave out
ELSEWHERE = "merge it in the program that it was made for, and inflate the result"


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
    layers = lora_layers(addition.path, state, ELSEWHERE)
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
        target[key] = added(addition, name, target[key], layer, alphas.get(part))
    return replace(source, unet=unet, text=None if source.text is None else replace(source.text, state=text))


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
