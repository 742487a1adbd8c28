"""Spatial self-attention that other nodes replace in blocks they name, or whose results they change in all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..microcinema_core.errors import InputError
from ..microcinema_core.models.spatial import Attention, SpatialTransformer
from ..microcinema_core.models.unet import VideoUNet
from .guests import AFTER_ATTENTION, SELF_ATTENTION, maker, no_place

Place = tuple[str, int]  # as the host names a block: `input`, `middle` or `output`, and a number
HIDDEN = ("patches", "patches_replace")  # of transformer_options, which the host keeps from these functions


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another node's function in the place of attention. rows: [B*T] of the whole call, which it may count on."""

    function: Callable[[Tensor, Tensor, Tensor, dict[str, Any]], Tensor]
    options: dict[str, Any]
    rows: int

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        """q, k, v [B*T, N, C] -> same. Raises InputError where they are not of one frame each, all frames at once."""
        if k.shape != q.shape or q.shape[0] != self.rows:
            raise InputError(_apart(self.function))
        sizes = {"n_heads": heads, "dim_head": q.shape[-1] // heads, "attn_precision": torch.float32}
        return self.function(q, k, v, self.options | sizes)


@dataclass(frozen=True, slots=True)
class After:
    """Other nodes' functions of what self-attention adds to each frame, in their order; a forward hook."""

    functions: list[Callable[[Tensor, dict[str, Any]], Tensor]]
    options: dict[str, Any]
    rows: int

    def __call__(self, layer: nn.Module, given: tuple[Any, ...], out: Tensor) -> Tensor:
        """out [B*T, N, C] -> same. Raises InputError where it is not all frames at once."""
        for function in self.functions:
            if out.shape[0] != self.rows:
                raise InputError(_apart(function))
            out = function(out, self.options)
        return out


@contextmanager
def replaced(unet: VideoUNet, options: Mapping[str, Any], shape: torch.Size) -> Iterator[None]:
    """For one forward of x [B*T, C, h, w], of that shape: what transformer_options asks of self-attention.

    Raises InputError for a block that this network does not have.
    """
    asked = (options.get("patches_replace") or {}).get(SELF_ATTENTION) or {}
    after = (options.get("patches") or {}).get(AFTER_ATTENTION) or []
    layers = self_attentions(unet) if asked or after else {}
    shown = {name: value for name, value in options.items() if name not in HIDDEN} | {"original_shape": list(shape)}
    with ExitStack() as undo:
        for place, function in asked.items():
            layer = layers.get(place[:2]) if place[2:] in ((), (0,)) else None
            if layer is None:
                raise InputError(no_place(maker(function), f"{SELF_ATTENTION} of {' '.join(map(str, place))}"))
            undo.callback(setattr, layer, "attention", layer.attention)
            layer.attention = Replaced(function, shown | _named(place[:2]), shape[0])
        for place, layer in layers.items() if after else ():
            undo.callback(layer.register_forward_hook(After(after, shown | _named(place), shape[0])).remove)
        yield


def self_attentions(unet: VideoUNet) -> dict[Place, Attention]:
    """Each spatial self-attention, by the host's name of its block."""
    step = unet.config.layers_per_block + 1
    found = {("middle", 0): unet.mid_block.attentions[0]}
    for kind, levels, first in (("input", unet.down_blocks, 1), ("output", unet.up_blocks, 0)):
        for i, level in enumerate(levels):
            found |= {(kind, first + i * step + j): each for j, each in enumerate(level.attentions)}
    return {place: cast(SpatialTransformer, each).transformer_blocks[0].attn1 for place, each in found.items()}


def _named(place: Place) -> dict[str, Any]:
    return {"block": place, "block_index": 0}


def _apart(function: Any) -> str:
    return (
        f"MicroCinema: {maker(function)} changes attention within each frame, and here frames share it or are too "
        "large for all at once on a CPU; turn share_attention off, or take that node out"
    )
