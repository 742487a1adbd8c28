"""Stable Diffusion's autoencoder, diffusers' AutoencoderKL, from tensors under the names of CompVis and of the host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..checkpoint.limits import MAX_BLOCKS
from ..checkpoint.names import KL_MARK, vae_to_diffusers
from ..errors import CheckpointError, shown

ATTENTION = re.compile(r"attentions\.0\.to_(q|k|v|out\.0)\.weight$")


class Mean(nn.Module):
    """The mean of a latent's distribution."""

    def forward(self, moments: Tensor) -> Tensor:
        """Mean and log variance [N, 2C, h, w] -> the mean [N, C, h, w]."""
        return moments.chunk(2, dim=1)[0]


class Autoencoder(nn.Module):
    """Two halves, as `LatentCodec` calls them. Pixels -1..1 in and out, latents [B, 4, H/8, W/8]."""

    def __init__(self, channels: tuple[int, ...], layers: int, latent_channels: int) -> None:
        super().__init__()
        from diffusers import AutoencoderKL

        levels = len(channels)
        self.latent_channels, self.downscale = latent_channels, 2 ** (levels - 1)
        whole: Any = AutoencoderKL(
            block_out_channels=channels,
            layers_per_block=layers,
            latent_channels=latent_channels,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
        )
        self.encoder = nn.Sequential(whole.encoder, whole.quant_conv, Mean())
        self.decoder = nn.Sequential(whole.post_quant_conv, whole.decoder)


PLACES = {
    "encoder.": "encoder.0.",
    "quant_conv.": "encoder.1.",
    "post_quant_conv.": "decoder.0.",
    "decoder.": "decoder.1.",
}


def outline_of(given: Mapping[str, Tensor], what: str) -> tuple[Autoencoder, dict[str, Tensor]]:
    """A module of the sizes that the tensors tell, and the tensors under its names; to be loaded strictly.

    Attention's 1x1 convolutions [C, C, 1, 1] become matrices [C, C]. Raises CheckpointError, beginning with `what`, for
    names that are none of this autoencoder's.
    """
    levels = len({key.split(".")[2] for key in given if re.match(r"encoder\.down\.\d+\.block\.0\.", key)})
    layers = len({key.split(".")[4] for key in given if re.match(r"encoder\.down\.0\.block\.\d+\.", key)})
    try:
        channels = tuple(given[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels))
        named = {vae_to_diffusers(key, levels): value for key, value in given.items()}
        if not 0 < levels * layers <= MAX_BLOCKS or any(count % 32 or not count for count in channels):
            raise KeyError("encoder.down")
        if len(named) < len(given):
            raise KeyError("a tensor under two names")
        latent_channels = given[KL_MARK].shape[1]
        if not latent_channels:
            raise KeyError(KL_MARK)
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{what}: {shown(str(error))} does not fit Stable Diffusion's; get the file anew"
        ) from error
    state = {}
    for key, value in named.items():
        prefix = next(prefix for prefix in PLACES if key.startswith(prefix))
        flat = (
            value.flatten(1) if ATTENTION.search(key) and value.ndim == 4 else value
        )  # a 1x1 convolution there, a matrix here
        state[PLACES[prefix] + key.removeprefix(prefix)] = flat
    return Autoencoder(channels, layers, latent_channels), state
