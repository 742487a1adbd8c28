"""A source's autoencoder: its tensors under CompVis' names, which are the host's, whole and of one network's shapes."""

from __future__ import annotations

import re

import torch

from ..checkpoint.names import vae_to_compvis
from ..errors import CheckpointError, shown
from ..standalone.autoencoder_kl import outline_of
from .keys import renamed
from .lazy import State, below, expect_stored, shapes_of

PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
ATTENTION = re.compile(r"mid\.attn_1\.(q|k|v|proj_out)\.weight$")


def single_vae(state: State, where: str) -> State:
    """The autoencoder in a single file, under either names; empty where there is none.

    Raises CheckpointError, naming `where`, for a part of one and for tensors of other shapes.
    """
    found = {key: value for key, value in below(state, "first_stage_model.").items() if key.startswith(PARTS)}
    if any(key.startswith(("encoder.down_blocks.", "decoder.up_blocks.")) for key in found):
        return folder_vae(found, where)
    return _fitting(found, where)


def folder_vae(state: State, where: str) -> State:
    """The tensors of diffusers' AutoencoderKL under CompVis' names.

    Attention's matrices [C, C] become convolutions [C, C, 1, 1]. Raises CheckpointError, naming `where`, for a name
    that has no place there and for tensors of other shapes.
    """
    levels = len({m[1] for key in state if (m := re.match(r"encoder\.down_blocks\.(\d+)\.", key))})
    try:
        named = renamed(state, lambda key: vae_to_compvis(key, levels))
    except KeyError as error:
        raise CheckpointError(
            f"{where}: {shown(error.args[0])} is no tensor of Stable Diffusion's autoencoder (AutoencoderKL); give the "
            "folder of an unchanged one"
        ) from error
    return _fitting(
        {
            key: value.reshaped(*value.shape, 1, 1) if ATTENTION.search(key) and len(value.shape) == 2 else value
            for key, value in named.items()
        },
        where,
    )


def _fitting(state: State, where: str) -> State:
    """The same tensors, where they are all of an autoencoder's, in its shapes; none is read for that."""
    if not state:
        return {}
    with torch.device("meta"):
        network, given = outline_of({key: torch.empty(value.shape) for key, value in state.items()}, where)
    names = dict(zip(given, state, strict=True))  # of the network, to those here
    wanted = shapes_of(network.state_dict())
    known = {names.get(key, key): shape for key, shape in wanted.items()}
    flat = {key: state[key].reshaped(*given[name].shape) for name, key in names.items()}
    expect_stored(known, flat, where, "Stable Diffusion's autoencoder", "get the model anew")
    return state
