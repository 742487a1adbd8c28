"""A LoRA: low-rank parts beside layers of a U-Net that stays as it is, and the file of these parts alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn

from ..checkpoint.lora_file import DOWN, UP, Part, save_lora_file
from ..checkpoint.lora_header import LoraHeader, layout_of
from ..errors import ConfigError
from ..models.modelscope import TemporalAttentions, TemporalConvs
from ..models.temporal import TemporalConv, TemporalTransformer
from ..models.unet import VideoUNet
from .config import LoraConfig
from .shares import gathered
from .trainee import Trainee

TEMPORAL = (TemporalConv, TemporalTransformer, TemporalConvs, TemporalAttentions)
Layer = nn.Linear | nn.Conv2d


def add_lora_(unet: VideoUNet, config: LoraConfig) -> list[nn.Parameter]:
    """Put a part beside each chosen layer, without effect until it learns; returns their parameters.

    What the network had keeps its names. Raises ConfigError for patterns that no layer's name fits.
    """
    chosen = [layer for _, layer in _chosen(unet, config.layers)]
    scale = 1.0 if config.alpha is None else config.alpha / config.rank
    for layer in chosen:
        down, up = _halves(layer, config.rank)
        layer.add_module(DOWN, down)
        layer.add_module(UP, up)
        layer.register_forward_hook(partial(_plus_part, scale))
    return [p for layer in chosen for half in (DOWN, UP) for p in layer.get_submodule(half).parameters()]


def _halves(layer: Layer, rank: int) -> tuple[nn.Module, nn.Module]:
    """Down reads as the layer does and up writes as it does; up is zero."""
    where: dict[str, Any] = {"bias": False, "device": layer.weight.device}
    down: nn.Linear | nn.Conv2d
    up: nn.Linear | nn.Conv2d
    if isinstance(layer, nn.Linear):
        down, up = nn.Linear(layer.in_features, rank, **where), nn.Linear(rank, layer.out_features, **where)
    else:
        taps: Any = (layer.kernel_size, layer.stride, layer.padding)
        down, up = nn.Conv2d(layer.in_channels, rank, *taps, **where), nn.Conv2d(rank, layer.out_channels, 1, **where)
    nn.init.zeros_(up.weight)
    return down, up


def _plus_part(scale: float, layer: nn.Module, given: tuple[Tensor], made: Tensor) -> Tensor:
    """A layer's output with its part's: a forward hook."""
    return torch.add(made, layer.get_submodule(UP)(layer.get_submodule(DOWN)(given[0])), alpha=scale)


def _chosen(unet: VideoUNet, patterns: tuple[str, ...]) -> Iterator[tuple[str, Layer]]:
    """By name: what any of the patterns fits; without patterns, all in temporal layers."""
    layers = {name: layer for name, layer in unet.named_modules() if isinstance(layer, Layer)}
    if not patterns:
        temporal = {inside for part in unet.modules() if isinstance(part, TEMPORAL) for inside in part.modules()}
        yield from ((name, layer) for name, layer in layers.items() if layer in temporal)
        return
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in layers):
            raise ConfigError(
                f"[recipe.lora] layers: no layer's name fits {pattern!r}; names are like {', '.join(list(layers)[-3:])}"
            )
    yield from ((name, layer) for name, layer in layers.items() if any(fnmatchcase(name, p) for p in patterns))


@dataclass(frozen=True, slots=True)
class LoraExport:
    """Writes the parts alone, as they are when it is called."""

    trainee: Trainee
    config: LoraConfig

    def __call__(self, path: Path, provenance: dict[str, Any]) -> None:
        """The main process writes. Raises CheckpointError for numbers that are not finite."""
        state, earlier = self.trainee.networks.unet.state_dict(), self.trainee.earlier
        layers = [key.removesuffix(f".{UP}.weight") for key in state if key.endswith(f".{UP}.weight")]
        own = [f"{name}.{half}.weight" for name in layers for half in (DOWN, UP)]
        learnt = gathered((name, state[name]) for name in own)
        if not PartialState().is_main_process:
            return
        header = LoraHeader(
            self.trainee.config.name,
            layout_of({name: value.shape for name, value in state.items() if name not in learnt}),
            self.config.rank,
            self.config.rank if self.config.alpha is None else self.config.alpha,
            self.config.words,
            provenance=provenance,
        )
        if earlier is not None:
            header = replace(header, licence=earlier.licence)
        parts = {name: Part(learnt[f"{name}.{DOWN}.weight"], learnt[f"{name}.{UP}.weight"]) for name in layers}
        save_lora_file(path, header, parts)
