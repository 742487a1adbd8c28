"""Temporal layers (Sec. 3.1): residual branches that start at zero, so the video U-Net starts as the image U-Net.

Activations arrive with the frames folded into the batch, [B*T, C, H, W]: spatial layers need no reshape.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import Positions, UNetConfig
from .embedding import rotate, sinusoid
from .spatial import FeedForward


class TemporalConv(nn.Module):
    """Residual 3-tap convolution over time, one sequence per pixel. [B*T, C, H, W] -> same.

    The three taps are one 1x1 convolution C -> 3C whose parts are shifted in time and added: the same map as
    Conv1d(C, C, 3) without a transposed copy of the activations.
    """

    def __init__(self, channels: int, backend: Backend) -> None:
        super().__init__()
        self.taps = backend.conv(channels, 3 * channels, 1, bias=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        before, here, after = self.taps(x).unflatten(0, (-1, frames)).chunk(3, dim=2)
        pad = (0, 0) * 3
        mixed = here + F.pad(before[:, :-1], (*pad, 1, 0)) + F.pad(after[:, 1:], (*pad, 0, 1))
        return x + mixed.flatten(0, 1)


class TemporalTransformer(nn.Module):
    """Residual transformer over time: self-attention and GEGLU, one sequence per pixel. [B*T, C, H, W] -> same.

    Only `proj_out` starts at zero: with a second projection at zero its first gradient would have rank 1.
    """

    def __init__(self, channels: int, config: UNetConfig, backend: Backend) -> None:
        super().__init__()
        self.heads = channels // config.temporal_head_dim
        self.positions, self.attention = config.temporal_positions, backend.attention
        self.proj_in = backend.linear(channels, channels)
        self.norm_1 = backend.layer_norm(channels)
        self.to_qkv = backend.linear(channels, 3 * channels, bias=False)
        self.to_out = backend.linear(channels, channels)
        self.norm_2 = backend.layer_norm(channels)
        self.ff = FeedForward(channels, backend)
        self.proj_out = backend.linear(channels, channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        height, width = x.shape[-2:]
        sequences = x.unflatten(0, (-1, frames)).permute(0, 3, 4, 1, 2).flatten(0, 2)  # [B*H*W, T, C]
        out = self.proj_out(self._block(self.proj_in(sequences)))
        return x + out.unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2).flatten(0, 1)

    def _block(self, h: Tensor) -> Tensor:
        normed = self.norm_1(h)
        if self.positions is Positions.SINUSOIDAL:
            normed = normed + sinusoid(torch.arange(h.shape[1], device=h.device), h.shape[2]).to(normed)
        q, k, v = self.to_qkv(normed).chunk(3, dim=-1)
        if self.positions is Positions.ROTARY:
            q, k = rotate(q, self.heads), rotate(k, self.heads)
        h = h + self.to_out(self.attention(q, k, v, self.heads))
        out: Tensor = h + self.ff(self.norm_2(h))
        return out
