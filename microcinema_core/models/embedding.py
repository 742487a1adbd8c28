"""Sinusoidal embeddings: of the noise level's time, of a frame's distance from the keyframe, of frame positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import UNetConfig

FRAME_TIME_CHANNELS = 32
LONGEST_SECONDS, SHORTEST_SECONDS = 32.0, 0.125


def _precise(x: Tensor) -> Tensor:
    """float64 stays; everything else is embedded in float32."""
    return x if x.dtype == torch.float64 else x.float()


def sinusoid(t: Tensor, channels: int) -> Tensor:
    """Time [...] -> [..., channels], cosines first, as Stable Diffusion embeds its timesteps."""
    t = _precise(t)
    half = channels // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=t.dtype, device=t.device) / half)
    angles = t[..., None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def frame_time_features(seconds: Tensor) -> Tensor:
    """Seconds from the keyframe [...] -> [..., FRAME_TIME_CHANNELS]; periods from 32 s to 1/8 s."""
    seconds = _precise(seconds)
    half = FRAME_TIME_CHANNELS // 2
    octaves = torch.linspace(0, 1, half, dtype=seconds.dtype, device=seconds.device)
    periods = LONGEST_SECONDS * (SHORTEST_SECONDS / LONGEST_SECONDS) ** octaves
    angles = seconds[..., None] * (2 * math.pi / periods)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class EmbeddingMLP(nn.Module):
    """Linear, SiLU, Linear."""

    def __init__(self, inputs: int, outputs: int, backend: Backend) -> None:
        super().__init__()
        self.linear_1 = backend.linear(inputs, outputs)
        self.linear_2 = backend.linear(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        out: Tensor = self.linear_2(F.silu(self.linear_1(x)))
        return out


def time_embedding(mlp: EmbeddingMLP, t: Tensor, config: UNetConfig, dtype: torch.dtype) -> Tensor:
    """Schedule time [...] -> [..., 4 * channels]."""
    embedded: Tensor = mlp(sinusoid(t * config.timestep_scale, config.block_out_channels[0]).to(dtype))
    return embedded


def rotate(x: Tensor, heads: int) -> Tensor:
    """Rotary positions over the sequence. [B, T, H*D] -> same."""
    frames, dim = x.shape[1], x.shape[2] // heads
    position = torch.arange(frames, device=x.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10000) * torch.arange(0, dim, 2, device=x.device) / dim)
    angles = (position[:, None] * frequencies).to(_precise(x).dtype)
    cos, sin = (f(angles).to(x.dtype)[None, :, None] for f in (torch.cos, torch.sin))
    first, second = x.unflatten(-1, (heads, 2, dim // 2)).unbind(-2)
    return torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-2).flatten(2)
