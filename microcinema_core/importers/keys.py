"""The names of one network's tensors in two layouts: CompVis' (single files, ComfyUI) and diffusers'.

Those of the autoencoder, which MicroCinema's own files use, are in `checkpoint/names.py`. Names are read off both
libraries' modules. Each map is a function of a key alone, or of a key and the network's outline, and raises KeyError
for a key that has no place in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..checkpoint.names import inverse, replaced
from .lazy import State, Stored

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ENDS = {"time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2"} | {
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def unet_to_diffusers(key: str, layers: int) -> str:
    """A name of CompVis' U-Net -> that of diffusers' UNet2DConditionModel.

    layers: ResBlocks of a down level; an up level has one more. Raises KeyError for a name that has no place there.
    """
    block = re.fullmatch(r"(input_blocks|output_blocks|middle_block)\.(\d+)\.(.+)", key)
    if block is None or key.startswith("input_blocks.0."):
        return replaced(key, ENDS)
    side, number, rest = block[1], int(block[2]), block[3]
    if side == "middle_block":
        place = MIDDLE.get(block[2], "")
        return f"mid_block.{place}.{_inside(place, rest, key)}"
    part, _, rest = rest.partition(".")
    if side == "input_blocks":
        level, layer = divmod(number - 1, layers + 1)
        if layer == layers:
            return f"down_blocks.{level}.downsamplers.0.{replaced(rest, {'op': 'conv'})}"
        name = f"down_blocks.{level}"
    else:
        level, layer = divmod(number, layers + 1)
        name = f"up_blocks.{level}"
        if rest.startswith("conv.") and part in ("1", "2"):
            return f"{name}.upsamplers.0.{rest}"
    kind = {"0": "resnets", "1": "attentions"}.get(part, "")
    return f"{name}.{kind}.{layer}.{_inside(kind, rest, key)}"


def _inside(place: str, rest: str, key: str) -> str:
    if place.startswith("resnets"):
        return replaced(rest, RESNET)
    if not place.startswith("attentions"):
        raise KeyError(key)
    return rest


def unet_to_compvis(key: str, layers: int, attention: Sequence[bool]) -> str:
    """A name of diffusers' UNet2DConditionModel -> that of CompVis' U-Net.

    layers: ResBlocks of a down level. attention: of each level from the largest picture on, whether it has any.
    Raises KeyError for a name that has no place there.
    """
    block = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", key)
    if key.startswith("mid_block."):
        name = replaced(key.removeprefix("mid_block."), inverse(MIDDLE))
        place, _, rest = name.partition(".")
        return f"middle_block.{place}.{rest if place == '1' else replaced(rest, inverse(RESNET))}"
    if block is None:
        return replaced(key, inverse(ENDS))
    level, kind, layer, rest = int(block[2]), block[3], int(block[4]), block[5]
    side, first = ("input_blocks", 1) if block[1] == "down" else ("output_blocks", 0)
    number = first + level * (layers + 1)
    if kind == "downsamplers":
        return f"{side}.{number + layers}.0.{replaced(rest, {'conv': 'op'})}"
    if kind == "upsamplers":
        return f"{side}.{number + layers}.{2 if attention[-1 - level] else 1}.{rest}"
    if kind == "attentions":
        return f"{side}.{number + layer}.1.{rest}"
    return f"{side}.{number + layer}.0.{replaced(rest, inverse(RESNET))}"


OPEN_CLIP = {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
OPEN_CLIP_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
IN_PROJECTION = ("attn.in_proj_weight", "attn.in_proj_bias")
UNUSED = ("text_projection", "logit_scale", "attn_mask")  # of a whole CLIP, for its comparison with pictures


def open_clip_to_transformers(state: Mapping[str, Stored]) -> State:
    """OpenCLIP's text transformer -> `text_model.*`, with q, k and v apart. All layers."""
    found: State = {}
    for key, stored in state.items():
        layer = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", key)
        if key in UNUSED:
            continue
        if layer is None:
            found[OPEN_CLIP[key]] = stored
            continue
        prefix = f"text_model.encoder.layers.{layer[1]}."
        if layer[2] in IN_PROJECTION:
            for part, name in enumerate("qkv"):
                found[f"{prefix}self_attn.{name}_proj.{layer[2].rpartition('_')[2]}"] = stored.rows(part, 3)
        else:
            found[prefix + replaced(layer[2], OPEN_CLIP_LAYER)] = stored
    return found


def renamed(state: Mapping[str, Stored], rename: Callable[[str], str]) -> State:
    """The tensors under the names that `rename` gives them."""
    return {rename(key): stored for key, stored in state.items()}


def ema_name(key: str) -> str:
    """What CompVis calls the running average of `model.KEY`: its name without dots, under `model_ema.`"""
    return "model_ema." + key.removeprefix("model.").replace(".", "")
