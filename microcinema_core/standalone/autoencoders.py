"""The tiny autoencoder: TAESD's architecture, as diffusers implements it and ComfyUI loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from ..config import LatentConfig, VAEConfig

LEVELS = 4
# Of the frames that go through together: 8 of 128x128, and one by one from 320x320 on. Stable Diffusion's autoencoder
# takes 3 KB for each pixel in float32, and more frames at once make neither it nor this one faster on a CPU.
PIXELS = 8 * 128 * 128


def build_autoencoder(config: VAEConfig) -> Any:
    """An untrained autoencoder of these sizes. Pixels -1..1 in and out, latents [B, 4, H/8, W/8]."""
    return AutoencoderTiny(
        encoder_block_out_channels=(config.channels,) * LEVELS,
        decoder_block_out_channels=(config.channels,) * LEVELS,
        num_encoder_blocks=(1, *(config.blocks,) * (LEVELS - 1)),
        num_decoder_blocks=(*(config.blocks,) * (LEVELS - 1), 1),
        latent_channels=config.latent_channels,
    )


def to_host_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """diffusers' key names -> those of the host's TAESD class, whose decoder counts its clamp as layer 0.

    Raises KeyError for a name that is none of this autoencoder's.
    """
    renamed = {}
    for key, value in state.items():
        part, layers, index, rest = key.split(".", 3)
        if part not in ("encoder", "decoder") or layers != "layers":
            raise KeyError(key)
        renamed[f"taesd_{part}.{int(index) + (part == 'decoder')}.{rest}"] = value
    return renamed


def from_host_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Key names of the host's TAESD class, whose decoder counts its clamp as layer 0 -> diffusers' key names.

    Raises ValueError for a name without a layer's number.
    """
    renamed = {}
    for key, value in state.items():
        part, index, rest = key.split(".", 2)
        part = part.removeprefix("taesd_")
        renamed[f"{part}.layers.{int(index) - (part == 'decoder')}.{rest}"] = value
    return renamed


class LatentCodec:
    """Pictures to model-space latents and back, a few frames at a time, whose activations alone are in memory.

    Channels-last, in which a CPU runs these convolutions faster.
    """

    def __init__(self, vae: Any, latent: LatentConfig) -> None:
        self.vae, self.downscale = vae, latent.downscale
        self.mean = torch.tensor(latent.mean).view(1, -1, 1, 1)
        self.std = torch.tensor(latent.std).view(1, -1, 1, 1)

    def at_once(self, height: int, width: int) -> int:
        """How many frames of this size, in latents, go through the autoencoder together: at least one."""
        return max(1, PIXELS // (height * width * self.downscale**2))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [N, 3, H, W] in 0..1 -> model-space latents [N, C, H/8, W/8], float32 on the pixels' device."""
        height, width = (side // self.downscale for side in pixels.shape[-2:])
        parts = pixels.split(self.at_once(height, width))
        latents = torch.cat([self.vae.encoder(_channels_last(2 * part - 1)).float() for part in parts]).contiguous()
        return (latents - self.mean.to(latents)) / self.std.to(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Model-space latents [N, C, h, w] -> pixels [N, 3, 8h, 8w] in 0..1, float32."""
        height, width = (side * self.downscale for side in latents.shape[-2:])
        pixels = latents.new_empty(len(latents), 3, height, width, dtype=torch.float32)
        done = 0
        for part in self.decoded(latents):
            pixels[done : done + len(part)] = part
            done += len(part)
        return pixels

    @torch.no_grad()
    def decoded(self, latents: Tensor) -> Iterator[Tensor]:
        """Model-space latents [N, C, h, w] -> pixels in 0..1, float32, a few frames [n, 3, 8h, 8w] at a time."""
        for part in latents.split(self.at_once(*latents.shape[-2:])):
            raw = part * self.std.to(part) + self.mean.to(part)
            yield (self.vae.decoder(_channels_last(raw)).float() / 2 + 0.5).clamp(0, 1)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
