"""ModelScope's text-to-video U-Nets, and fine-tunes such as ZeroScope: their names in both layouts and their sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..config import MODELSCOPE, Positions, TemporalLayers, UNetConfig
from ..errors import CheckpointError
from ..models.modelscope import INPUT_HEADS
from .keys import ENDS, RESNET
from .lazy import State, Stored, below

MARK = "temopral_conv"  # their spelling; what only the original layout holds
PLACES = ENDS | {"input_blocks.0.1": "transformer_in"}
LAYERS = {"0": "resnets", "1": "attentions", "2": "temp_attentions"}  # by place within an input or output block
MIDDLE = {"0": ("resnets", 0), "1": ("attentions", 0), "2": ("temp_attentions", 0), "3": ("resnets", 1)}


def to_diffusers(state: Mapping[str, Stored]) -> State:
    """Either layout -> diffusers' names; a name without a place in the original one stays as it is."""
    found = below(state, "model.diffusion_model.", "unet.", "")
    if not any(MARK in key for key in found):
        return found
    inner = {int(key.split(".")[1]) for key in found if re.fullmatch(r"input_blocks\.\d+\.op\.weight", key)}
    layers = min(inner, default=1 + _count(found, "input_blocks")) - 1
    return {_renamed(key, layers): stored for key, stored in found.items()}


def _renamed(key: str, layers: int) -> str:
    """layers: ResBlocks of a down level; an up level has one more."""
    for end, name in PLACES.items():
        if key.startswith(end + "."):
            return name + key[len(end) :]
    if down := re.fullmatch(r"input_blocks\.(\d+)\.op\.(.+)", key):
        return f"down_blocks.{(int(down[1]) - 1) // (layers + 1)}.downsamplers.0.conv.{down[2]}"
    if up := re.fullmatch(r"output_blocks\.(\d+)\.\d\.conv\.(.+)", key):
        return f"up_blocks.{int(up[1]) // (layers + 1)}.upsamplers.0.conv.{up[2]}"
    if middle := re.fullmatch(r"middle_block\.([0-3])\.(.+)", key):
        kind, number = MIDDLE[middle[1]]
        return f"mid_block.{_layer(kind, number, middle[2])}"
    if block := re.fullmatch(r"(in|out)put_blocks\.(\d+)\.([012])\.(.+)", key):
        side, first = ("down", 1) if block[1] == "in" else ("up", 0)
        level, layer = divmod(int(block[2]) - first, layers + 1)
        return f"{side}_blocks.{level}.{_layer(LAYERS[block[3]], layer, block[4])}"
    return key


def _layer(kind: str, number: int, rest: str) -> str:
    if kind == "resnets":
        if rest.startswith(MARK + "."):
            return f"temp_convs.{number}{rest.removeprefix(MARK)}"
        for name, other in RESNET.items():
            if rest.startswith(name + "."):
                return f"resnets.{number}.{other}{rest[len(name) :]}"
    return f"{kind}.{number}.{rest}"


def fitted(stored: Stored, shape: tuple[int, ...]) -> Stored:
    """A tensor in another shape where both differ only in ones at the end; any other as it is.

    1x1 convolutions are linear layers here, and kernels (3, 1, 1) are (3, 1).
    """

    def trimmed(sizes: tuple[int, ...]) -> tuple[int, ...]:
        while sizes and sizes[-1] == 1:
            sizes = sizes[:-1]
        return sizes

    same = trimmed(stored.shape) == trimmed(shape)
    return stored.reshaped(*shape) if same and stored.shape != shape else stored


def unet_config(state: Mapping[str, Stored], norm_groups: int = MODELSCOPE.unet.norm_groups) -> UNetConfig:
    """The sizes that tensors with diffusers' names show; how many groups a norm has, they do not.

    Raises CheckpointError where what tells them is missing, ConfigError where no network has such sizes.
    """

    def size(key: str, dimension: int) -> int:
        shape = state[key].shape if key in state else ()
        if len(shape) < 2:
            raise CheckpointError(f"tensor {key} is missing or misshapen")
        return shape[dimension]

    levels = range(_count(state, "down_blocks"))
    widths = tuple(size(f"down_blocks.{i}.resnets.0.conv1.weight", 0) for i in levels)
    head = size("transformer_in.proj_in.weight", 0) // INPUT_HEADS
    return UNetConfig(
        in_channels=size("conv_in.weight", 1),
        block_out_channels=widths,
        layers_per_block=_count(state, "down_blocks.0.resnets"),
        attention_levels=tuple(f"down_blocks.{i}.attentions.0.norm.weight" in state for i in levels),
        attention_heads=tuple(max(1, width // max(1, head)) for width in widths),
        cross_attention_dim=size("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1),
        norm_groups=norm_groups,
        temporal_layers=TemporalLayers.MODELSCOPE,
        temporal_head_dim=head,
        temporal_positions=Positions.NONE,
    )


def _count(state: Mapping[str, Stored], prefix: str) -> int:
    """How many blocks are numbered under this name."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    return len({found[1] for key in state if (found := pattern.match(key))})
