"""Stable Diffusion's spatial layers, with the key names of diffusers' UNet2DConditionModel.

Frames are folded into the batch: [B*T, C, H, W].
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import UNetConfig


class FeedForward(nn.Module):
    """GEGLU feed-forward. [B, N, C] -> same."""

    def __init__(self, channels: int, backend: Backend) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [GEGLU(channels, 4 * channels, backend), nn.Identity(), backend.linear(4 * channels, channels)]
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net[2](self.net[0](x))
        return out


class GEGLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, backend: Backend) -> None:
        super().__init__()
        self.proj = backend.linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class Attention(nn.Module):
    """Self- or cross-attention. x [B, N, C], context [B, M, D] -> [B, N, C]."""

    def __init__(self, channels: int, context_dim: int, heads: int, backend: Backend) -> None:
        super().__init__()
        self.heads, self.attention = heads, backend.attention
        self.to_q = backend.linear(channels, channels, bias=False)
        self.to_k = backend.linear(context_dim, channels, bias=False)
        self.to_v = backend.linear(context_dim, channels, bias=False)
        self.to_out = nn.ModuleList([backend.linear(channels, channels), nn.Identity()])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        out: Tensor = self.to_out[0](self.attention(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))
        return out


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the text or a second self-attention, feed-forward. [B*T, N, C] -> same."""

    def __init__(self, channels: int, heads: int, context_dim: int, backend: Backend) -> None:
        super().__init__()
        self.norm1 = backend.layer_norm(channels)
        self.attn1 = Attention(channels, channels, heads, backend)
        self.norm2 = backend.layer_norm(channels)
        self.attn2 = Attention(channels, context_dim, heads, backend)
        self.norm3 = backend.layer_norm(channels)
        self.ff = FeedForward(channels, backend)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """context [B, M, D]: one per clip, whose frames are one long query: keys and values are made once per clip.

        None: the second attention is a self-attention too.
        """
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        normed = self.norm2(x)
        if context is None:
            x = x + self.attn2(normed, normed)
        else:
            clips = normed.reshape(context.shape[0], -1, x.shape[-1])  # [B, T*N, C]
            x = x + self.attn2(clips, context).view_as(x)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class SpatialTransformer(nn.Module):
    """diffusers' Transformer2DModel with one block. [B*T, C, H, W] -> same."""

    def __init__(self, channels: int, heads: int, config: UNetConfig, backend: Backend) -> None:
        super().__init__()
        self.linear_projection = config.linear_projection
        self.norm = backend.group_norm(config.norm_groups, channels, eps=1e-6)
        project = backend.linear if config.linear_projection else lambda i, o: backend.conv(i, o, 1)
        self.proj_in = project(channels, channels)
        block = TransformerBlock(channels, heads, config.cross_attention_dim, backend)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = project(channels, channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        h = self.norm(x)
        if self.linear_projection:
            h = self.proj_in(h.flatten(2).transpose(1, 2))
        else:
            h = self.proj_in(h).flatten(2).transpose(1, 2)
        h = self.transformer_blocks[0](h, context)
        if self.linear_projection:
            h = self.proj_out(h).transpose(1, 2).unflatten(2, (height, width))
        else:
            h = self.proj_out(h.transpose(1, 2).unflatten(2, (height, width)))
        return x + h
