"""Stable Diffusion's spatial layers, with the key names of diffusers' UNet2DConditionModel.

Frames are folded into the batch: [B*T, C, H, W].
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import UNetConfig
from .slices import in_slices, rows_at_once

KeysValues = tuple[Tensor, Tensor]
WIDEST = 8  # times the channels: what the feed-forward makes of each token


class FeedForward(nn.Module):
    """GEGLU feed-forward."""

    def __init__(self, channels: int, backend: Backend) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [GEGLU(channels, 4 * channels, backend), nn.Identity(), backend.linear(4 * channels, channels)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, C] -> same."""
        out: Tensor = self.net[2](self.net[0](x))
        return out


class GEGLU(nn.Module):
    """A linear layer whose second half, through GELU, gates its first."""

    def __init__(self, inputs: int, outputs: int, backend: Backend) -> None:
        super().__init__()
        self.proj = backend.linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class Attention(nn.Module):
    """Self- or cross-attention."""

    def __init__(self, channels: int, context_dim: int, heads: int, backend: Backend) -> None:
        super().__init__()
        self.heads, self.attention = heads, backend.attention
        self.to_q = backend.linear(channels, channels, bias=False)
        self.to_k = backend.linear(context_dim, channels, bias=False)
        self.to_v = backend.linear(context_dim, channels, bias=False)
        self.to_out = nn.ModuleList([backend.linear(channels, channels), nn.Identity()])

    def keys_values(self, context: Tensor) -> KeysValues:
        """Keys and values of a context [B, M, D], each [B, M, C]."""
        return self.to_k(context), self.to_v(context)

    def forward(self, x: Tensor, keys_values: KeysValues) -> Tensor:
        """x [B, N, C], keys and values [B, M, C] each -> [B, N, C]."""
        out: Tensor = self.to_out[0](self.attention(self.to_q(x), *keys_values, self.heads))
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

    def forward(self, x: Tensor, text: KeysValues | None, shared: KeysValues | None = None) -> Tensor:
        """text: what the second attention reads, one per clip [B, M, C], whose frames are one long query; None: that is
        a self-attention too. shared: what the first reads of another frame besides, one per clip [B, N, C].
        """
        normed = self.norm1(x)
        x = x + self.attn1(normed, self._own(normed, shared))
        normed = self.norm2(x)
        if text is None:
            x = x + self.attn2(normed, self.attn2.keys_values(normed))
        else:
            clips = normed.reshape(text[0].shape[0], -1, x.shape[-1])  # [B, T*N, C]
            x = x + self.attn2(clips, text).view_as(x)
        out: Tensor = x + self.ff(self.norm3(x))
        return out

    def _own(self, normed: Tensor, shared: KeysValues | None) -> KeysValues:
        own = self.attn1.keys_values(normed)
        if shared is None:
            return own
        frames = normed.shape[0] // shared[0].shape[0]
        pairs = zip(own, shared, strict=True)
        keys, values = (torch.cat([mine, other.repeat_interleave(frames, dim=0)], dim=1) for mine, other in pairs)
        return keys, values


class SpatialTransformer(nn.Module):
    """diffusers' Transformer2DModel with one block. [B*T, C, H, W] -> same."""

    def __init__(self, channels: int, heads: int, config: UNetConfig, backend: Backend) -> None:
        super().__init__()
        self.linear_projection = config.linear_projection
        self.reads_text = config.reads_text
        self.norm = backend.group_norm(config.norm_groups, channels, eps=1e-6)
        project = backend.linear if config.linear_projection else lambda i, o: backend.conv(i, o, 1)
        self.proj_in = project(channels, channels)
        read = config.cross_attention_dim if config.reads_text else channels
        block = TransformerBlock(channels, heads, read, backend)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = project(channels, channels)

    def forward(self, x: Tensor, context: Tensor, shared_frame: int | None = None) -> Tensor:
        """context [B, L, D]: one per clip, whose keys and values are made once, where text is read at all.

        shared_frame: the frame of each clip whose keys and values all its frames' self-attention reads beside its own.
        """
        clips = x.unflatten(0, (context.shape[0], -1))
        block = cast(TransformerBlock, self.transformer_blocks[0])
        text, shared = block.attn2.keys_values(context) if self.reads_text else None, None
        if shared_frame is not None:
            shared = block.attn1.keys_values(block.norm1(self._tokens(clips[:, shared_frame])))
        rows = rows_at_once(x, WIDEST * x[0].numel())
        if rows >= clips.shape[1]:
            return self._run(x, text, shared)
        out = torch.empty_like(x)
        for i, (clip, into) in enumerate(zip(clips, out.view_as(clips), strict=True)):
            own = [None if every is None else (every[0][i : i + 1], every[1][i : i + 1]) for every in (text, shared)]
            in_slices(partial(self._run, text=own[0], shared=own[1]), clip, into, rows)
        return out

    def _tokens(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, H*W, C]."""
        h = self.norm(x)
        if self.linear_projection:
            h = self.proj_in(h.flatten(2).transpose(1, 2))
        else:
            h = self.proj_in(h).flatten(2).transpose(1, 2)
        return h

    def _run(self, x: Tensor, text: KeysValues | None, shared: KeysValues | None) -> Tensor:
        size = x.shape[-2:]
        h = self.transformer_blocks[0](self._tokens(x), text, shared)
        if self.linear_projection:
            return x + self.proj_out(h).transpose(1, 2).unflatten(2, size)
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, size))
