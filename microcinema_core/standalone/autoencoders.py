"""The tiny autoencoder: TAESD's architecture, as diffusers implements it and ComfyUI loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from ..config import LatentConfig, VAEConfig
from ..diffusion.samplers import is_finite

LEVELS = 4
# Of the frames that go through together. On a CPU 8 of 128x128, and one by one from 320x320 on: more at once make it no
# faster. A GPU is idle with one by one: 8 of 320x320, for which Stable Diffusion's autoencoder takes 1.6 GB in float16.
PIXELS, GPU_PIXELS = 8 * 128 * 128, 8 * 320 * 320


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
        self.half = False
        self.mean = torch.tensor(latent.mean).view(1, -1, 1, 1)
        self.std = torch.tensor(latent.std).view(1, -1, 1, 1)

    def to_(self, device: torch.device, dtype: torch.dtype) -> None:
        """The autoencoder to a device, for networks of that precision.

        In float16 beside any that is not float32, unless on a CPU; what does not fit into it is done in float32.
        """
        self.half = device.type != "cpu" and dtype != torch.float32
        self.vae.to(device, torch.float16 if self.half else None)

    def at_once(self, height: int, width: int, device: torch.device) -> int:
        """How many frames of this size, in latents, go through the autoencoder together there: at least one."""
        pixels = PIXELS if device.type == "cpu" else GPU_PIXELS
        return max(1, pixels // (height * width * self.downscale**2))

    @torch.no_grad()
    def encode(self, pixels: Tensor, together: int | None = None) -> Tensor:
        """Pixels [N, 3, H, W] in 0..1 -> model-space latents [N, C, H/8, W/8], float32 on the pixels' device.

        together: how many frames go through at once, in the place of what `at_once` says.
        """
        height, width = (side // self.downscale for side in pixels.shape[-2:])
        parts = pixels.split(together or self.at_once(height, width, pixels.device))
        latents = torch.cat([self._through("encoder", 2 * part - 1) for part in parts]).contiguous()
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
        height, width = latents.shape[-2:]
        for part in latents.split(self.at_once(height, width, latents.device)):
            raw = part * self.std.to(part) + self.mean.to(part)
            yield (self._through("decoder", raw) / 2 + 0.5).clamp(0, 1)

    def _through(self, half: str, x: Tensor) -> Tensor:
        """One half of the autoencoder, `encoder` or `decoder`, on x [n, C, H, W]; float32."""
        x, network = _channels_last(x), getattr(self.vae, half)
        if not self.half:
            return cast(Tensor, network(x).float())
        made: Tensor = network(x.half()).float()
        if not is_finite(made) and is_finite(x):
            self.half = False
            self.vae.float()
            made = network(x.float())
        return made


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
