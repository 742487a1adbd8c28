"""The names of Stable Diffusion's autoencoder: in our files, which use CompVis' and the host's, and diffusers' own.

Each map is a function of a key and the number of levels, and raises KeyError for a key that has no place in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def inverse(names: Mapping[str, str]) -> dict[str, str]:
    """The map from these values back to their keys."""
    return {value: key for key, value in names.items()}


def replaced(key: str, names: Mapping[str, str]) -> str:
    """The part of a key before its last dots, exchanged. Raises KeyError where it is none of them."""
    for name, other in names.items():
        if key.startswith(name + "."):
            return other + key[len(name) :]
    raise KeyError(key)


KL_MARK = "decoder.conv_in.weight"  # a tensor that, of all autoencoders in our files, only this one has
MID = {"mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2"}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OLDER = {"query": "q", "key": "k", "value": "v", "proj_attn": "proj_out"}  # what diffusers called them before


def _half(key: str) -> tuple[str, str]:
    """`encoder` or `decoder`, and the name within it. Raises KeyError for a name in neither."""
    half, _, rest = key.partition(".")
    if half not in ("encoder", "decoder"):
        raise KeyError(key)
    return half, rest


def vae_to_compvis(key: str, levels: int) -> str:
    """A name of diffusers' AutoencoderKL -> that of CompVis and of ComfyUI's own class.

    levels: of the picture's size. Raises KeyError for a name that has no place there.
    """
    if re.match(r"(post_)?quant_conv\.", key):
        return key
    half, rest = _half(key)
    if rest.startswith("mid_block.attentions.0."):
        rest = "mid.attn_1." + replaced(rest.removeprefix("mid_block.attentions.0."), ATTENTION | OLDER)
    elif rest.startswith("mid_block."):
        rest = replaced(rest, MID)
    elif level := re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)", rest):
        number = int(level[2]) if level[1] == "down" else levels - 1 - int(level[2])
        place = f"block.{level[4]}" if level[3] == "resnets" else level[3].removesuffix("rs")
        rest = f"{level[1]}.{number}.{place}.{level[5]}"
    else:
        rest = replaced(rest, {"conv_in": "conv_in", "conv_norm_out": "norm_out", "conv_out": "conv_out"})
    return f"{half}.{rest.replace('conv_shortcut', 'nin_shortcut')}"


def vae_to_diffusers(key: str, levels: int) -> str:
    """A name of CompVis' autoencoder, as our files have it -> that of today's AutoencoderKL in diffusers.

    levels: of the picture's size. Raises KeyError for a name that has no place there.
    """
    if re.match(r"(post_)?quant_conv\.", key):
        return key
    half, rest = _half(key)
    if rest.startswith("mid.attn_1."):
        rest = "mid_block.attentions.0." + replaced(rest.removeprefix("mid.attn_1."), inverse(ATTENTION))
    elif rest.startswith("mid."):
        rest = replaced(rest, inverse(MID))
    elif level := re.fullmatch(r"(down|up)\.(\d+)\.(block\.(?:\d+)|downsample|upsample)\.(.+)", rest):
        number = int(level[2]) if level[1] == "down" else levels - 1 - int(level[2])
        place = level[3].replace("block.", "resnets.") if "block." in level[3] else f"{level[3]}rs.0"
        rest = f"{level[1]}_blocks.{number}.{place}.{level[4]}"
    else:
        rest = replaced(rest, {"conv_in": "conv_in", "norm_out": "conv_norm_out", "conv_out": "conv_out"})
    return f"{half}.{rest.replace('nin_shortcut', 'conv_shortcut')}"
