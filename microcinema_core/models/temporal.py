"""Temporal layers (Sec. 3.1): residual branches that start at zero, so the video U-Net starts as the image U-Net.

Activations arrive with the frames folded into the batch, [B*T, C, H, W]: spatial layers need no reshape.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import Positions, UNetConfig
from .embedding import Turns, rotate, sinusoid
from .slices import in_slices, rows_at_once
from .spatial import WIDEST, FeedForward
from .zero_start import Adds, starts_at_zero

SMALL = 256  # pixels of a frame, Toybox's, up to which one product is for all three taps


class TemporalConv(nn.Module):
    """Residual 3-tap convolution over time, one sequence per pixel.

    The three taps are one 1x1 convolution C -> 3C whose parts are shifted in time and added: the same map as
    Conv1d(C, C, 3) without a transposed copy of the activations.
    """

    def __init__(self, channels: int, backend: Backend) -> None:
        super().__init__()
        self.taps = starts_at_zero(backend.conv(channels, 3 * channels, 1, bias=False), Adds.MOTION)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> same."""
        if torch.is_grad_enabled():
            return self._out_of_place(x, frames)
        return self._by_tap(x, frames) if self._plain(x) else self._in_place(x, frames)

    def _plain(self, x: Tensor) -> bool:
        """Whether the weights may be used without the layer, and it pays.

        A layer of the host's, or one with a low-rank part, which is a hook, has to be called, and so has one whose
        weights are in another format (autocast); a compiler adds better.
        """
        large, alike = x.shape[-2] * x.shape[-1] > SMALL, x.dtype == self.taps.weight.dtype
        bare = type(self.taps) is nn.Conv2d and not self.taps._forward_hooks
        return large and alike and bare and not torch.compiler.is_compiling()

    def _by_tap(self, x: Tensor, frames: int) -> Tensor:
        """Three products, each added to what is there: nothing of 3C channels is ever made."""
        before, here, after = cast(nn.Conv2d, self.taps).weight.view(3, x.shape[1], x.shape[1])
        flat = x.flatten(2)
        summed = torch.baddbmm(flat, here.expand(len(flat), -1, -1), flat)
        if frames > 1:
            between = (frames - 1, -1, -1)
            for clip, into in zip(flat.split(frames), summed.split(frames), strict=True):
                into[1:].baddbmm_(before.expand(between), clip[:-1])
                into[:-1].baddbmm_(after.expand(between), clip[1:])
        return summed.view(x.shape)

    def _out_of_place(self, x: Tensor, frames: int) -> Tensor:
        """As autograd wants it."""
        before, here, after = self.taps(x).unflatten(0, (-1, frames)).chunk(3, dim=2)
        pad = (0, 0) * 3
        mixed = here + F.pad(before[:, :-1], (*pad, 1, 0)) + F.pad(after[:, 1:], (*pad, 0, 1))
        return x + mixed.flatten(0, 1)

    def _in_place(self, x: Tensor, frames: int) -> Tensor:
        clips = x.unflatten(0, (-1, frames))
        rows = rows_at_once(x, 3 * len(clips) * x[0].numel())
        if rows >= frames:
            before, here, after = self.taps(x).unflatten(0, (-1, frames)).chunk(3, dim=2)
            summed = clips + here
            summed[:, 1:].add_(before[:, :-1])
            summed[:, :-1].add_(after[:, 1:])
            return summed.flatten(0, 1)
        summed = clips.clone()
        for start in range(0, frames, rows):
            part = clips[:, start : start + rows]
            taps = self.taps(part.flatten(0, 1)).unflatten(0, part.shape[:2])
            before, here, after = taps.chunk(3, dim=2)
            end, first = start + part.shape[1], max(0, start - 1)
            summed[:, start:end].add_(here)
            summed[:, start + 1 : end + 1].add_(before[:, : frames - 1 - start])
            summed[:, first : end - 1].add_(after[:, first + 1 - start :])
        return summed.flatten(0, 1)


class TemporalTransformer(nn.Module):
    """Residual transformer over time: self-attention and GEGLU, one sequence per pixel.

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
        self.proj_out = starts_at_zero(backend.linear(channels, channels), Adds.MOTION)

    def forward(self, x: Tensor, frames: int, turns: Turns | None = None) -> Tensor:
        """[B*T, C, H, W] -> same. turns: the frames' rotary positions, where the layers of a network share them."""
        if turns is None and self.positions is Positions.ROTARY:
            turns = Turns.of(frames, x.shape[1] // self.heads, x)
        sequences = _sequences(x, frames)
        rows = rows_at_once(x, WIDEST * sequences[0, 0].numel())
        if rows >= sequences.shape[1]:
            done = self._branch(sequences.flatten(0, 1), turns).view(sequences.shape)
            return x + done.permute(0, 2, 3, 1).reshape(x.shape)
        out = x.new_empty(x.shape)
        for clip, into in zip(sequences, _sequences(out, frames), strict=True):
            in_slices(lambda part: part + self._branch(part.contiguous(), turns), clip, into, rows)
        return out

    def _branch(self, sequences: Tensor, turns: Turns | None) -> Tensor:
        """[N, T, C] -> same."""
        out: Tensor = self.proj_out(self._block(self.proj_in(sequences), turns))
        return out

    def _block(self, h: Tensor, turns: Turns | None) -> Tensor:
        normed = self.norm_1(h)
        if self.positions is Positions.SINUSOIDAL:
            normed = normed + sinusoid(torch.arange(h.shape[1], device=h.device), h.shape[2]).to(normed)
        qkv = self.to_qkv(normed)
        q, k, v = qkv.chunk(3, dim=-1)
        if turns is not None:
            q, k = rotate(qkv[..., : -v.shape[-1]], 2 * self.heads, turns).chunk(2, dim=-1)
        h = h + self.to_out(self.attention(q, k, v, self.heads))
        out: Tensor = h + self.ff(self.norm_2(h))
        return out


def _sequences(x: Tensor, frames: int) -> Tensor:
    """[B*T, C, H, W] -> [B, H*W, T, C], a view of it."""
    return x.unflatten(0, (-1, frames)).flatten(3).permute(0, 3, 1, 2)
