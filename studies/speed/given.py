"""What all contestants are given: a clip's noisy latents, a text, a keyframe; and networks with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from microcinema_core.config import UNetConfig

TEXT_LENGTH = 77


@dataclass(frozen=True, slots=True)
class Place:
    """Where and in what precision everything runs."""

    device: torch.device
    dtype: torch.dtype

    def random(self, *shape: int) -> Tensor:
        """Unit Gaussian numbers [*shape] on the device."""
        return torch.randn(shape, device=self.device, dtype=self.dtype)

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True, slots=True)
class Given:
    """The input of one forward.

    x: noisy model-space latents [B, C, T, h, w]; t: a timestep of Stable Diffusion; text [B, L, D];
    keyframe: its model-space latent [1, C, 1, h, w]; pixels: the same per frame as a picture [T, 3, 8h, 8w], 0..1.
    """

    x: Tensor
    t: Tensor
    text: Tensor
    keyframe: Tensor
    pixels: Tensor

    @classmethod
    def of(cls, config: UNetConfig, place: Place, frames: int, pixels: int, rows: int = 1) -> Given:
        """rows: clips at once, each with a text of its own and all around one keyframe."""
        side, channels = pixels // 8, config.in_channels
        return cls(
            place.random(rows, channels, frames, side, side),
            torch.tensor([500], device=place.device),
            place.random(rows, TEXT_LENGTH, config.cross_attention_dim),
            place.random(1, channels, 1, side, side),
            place.random(frames, 3, pixels, pixels),
        )


@torch.no_grad()
def random_network(build: Callable[[], Any], place: Place) -> Any:
    """A network as its library initialises it; what that leaves at zero is drawn too, so that no layer is idle."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(place.dtype)
    try:
        with place.device:
            network = build()
    finally:
        torch.set_default_dtype(before)
    for parameter in network.parameters():
        if place.device.type != "meta" and not parameter.any():
            parameter.normal_(std=0.02)
    return network.to(place.device).eval().requires_grad_(False)  # some tensors ignore the context
