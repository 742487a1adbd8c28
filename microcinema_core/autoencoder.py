"""The tiny autoencoder: TAESD's architecture, as diffusers implements it and ComfyUI loads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from .config import LatentConfig, VAEConfig

LEVELS = 4


def build_autoencoder(config: VAEConfig) -> Any:
    """Structure only. Pixels -1..1 in and out, latents [B, 4, H/8, W/8]."""
    return AutoencoderTiny(
        encoder_block_out_channels=(config.channels,) * LEVELS,
        decoder_block_out_channels=(config.channels,) * LEVELS,
        num_encoder_blocks=(1, *(config.blocks,) * (LEVELS - 1)),
        num_decoder_blocks=(*(config.blocks,) * (LEVELS - 1), 1),
        latent_channels=config.latent_channels,
    )


def to_host_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """diffusers' key names -> those of the host's TAESD class, whose decoder counts its clamp as layer 0."""
    renamed = {}
    for key, value in state.items():
        part, layers, index, rest = key.split(".", 3)
        if part not in ("encoder", "decoder") or layers != "layers":
            raise KeyError(key)
        renamed[f"taesd_{part}.{int(index) + (part == 'decoder')}.{rest}"] = value
    return renamed


def from_host_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_host_keys`."""
    renamed = {}
    for key, value in state.items():
        part, index, rest = key.split(".", 2)
        part = part.removeprefix("taesd_")
        renamed[f"{part}.layers.{int(index) - (part == 'decoder')}.{rest}"] = value
    return renamed


class LatentCodec:
    """Pictures to model-space latents and back, a few frames at a time.

    Channels-last, in which a CPU runs these convolutions faster.
    """

    def __init__(self, vae: Any, latent: LatentConfig, *, chunk: int = 16) -> None:
        self.vae, self.chunk, self.downscale = vae, chunk, latent.downscale
        self.mean = torch.tensor(latent.mean).view(1, -1, 1, 1)
        self.std = torch.tensor(latent.std).view(1, -1, 1, 1)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [N, 3, H, W] in 0..1 -> model-space latents [N, C, H/8, W/8], float32 on the pixels' device."""
        parts = [self.vae.encoder(2 * part - 1) for part in _channels_last(pixels).split(self.chunk)]
        latents = torch.cat(parts).float().contiguous()
        return (latents - self.mean.to(latents)) / self.std.to(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Model-space latents [N, C, h, w] -> pixels [N, 3, 8h, 8w] in 0..1."""
        raw = latents * self.std.to(latents) + self.mean.to(latents)
        parts = [self.vae.decoder(part) for part in _channels_last(raw).split(self.chunk)]
        return (torch.cat(parts).float() / 2 + 0.5).clamp(0, 1)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
