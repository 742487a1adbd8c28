"""Sinusoidal embeddings: of the noise level's time, of a frame's distance from the keyframe, of frame positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Turns:
    """Rotary positions: the cosine and sine by which each frame's pairs of numbers are turned.

    cos: [1, T, 1, 1, D / 2]; sin: [1, T, 1, 2, D / 2], negative for the first number of a pair.
    """

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, frames: int, dim: int, like: Tensor) -> Turns:
        """For heads D = `dim` wide, in the format of `like` and on its device."""
        position = torch.arange(frames, device=like.device, dtype=torch.float32)
        frequencies = torch.exp(-math.log(10000) * torch.arange(0, dim, 2, device=like.device) / dim)
        angles = position[:, None] * frequencies
        if like.dtype == torch.float64:
            angles = angles.double()
        cos, sin = torch.cos(angles), torch.sin(angles)
        return cls(cos[None, :, None, None].to(like.dtype), torch.stack([-sin, sin], 1)[None, :, None].to(like.dtype))


def rotate(x: Tensor, heads: int, turns: Turns) -> Tensor:
    """Each head [B, T, H*D] turned by its frame's position. -> same."""
    pairs = x.unflatten(-1, (heads, 2, -1))
    cos, sin = turns.cos.to(x.dtype), turns.sin.to(x.dtype)
    return torch.addcmul(pairs * cos, pairs.flip(-2), sin).flatten(2)
