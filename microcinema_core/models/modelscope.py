"""The temporal layers of ModelScope's text-to-video models, with diffusers' key names (UNet3DConditionModel).

They lie elsewhere than the paper's: one transformer after conv_in, four convolutions after each ResBlock, a transformer
after each spatial one. All three normalise over a clip's frames. In a model of theirs none is an identity; one that
is trained from nothing here starts with all of them as identities.
Activations arrive with the frames folded into the batch, [B*T, C, H, W].
"""

from __future__ import annotations

from torch import Tensor, nn

from ..backend import Backend
from ..config import UNetConfig
from .slices import in_slices, rows_at_once
from .spatial import WIDEST, TransformerBlock
from .zero_start import Adds, starts_at_zero

INPUT_HEADS = 8  # of the transformer after conv_in, whatever its width


def frames_as_rows(x: Tensor, frames: int) -> Tensor:
    """[B*T, C, H, W] -> [B, C, T, H*W]: pictures whose rows are frames, so that group norm spans a clip."""
    return x.unflatten(0, (-1, frames)).transpose(1, 2).flatten(3)


def add_rows(x: Tensor, rows: Tensor) -> Tensor:
    """The sum of x [B*T, C, H, W] and rows [B, C, T, H*W], in the shape of x."""
    return (x.unflatten(0, (rows.shape[0], -1)).flatten(3) + rows.transpose(1, 2)).reshape(x.shape)


class TemporalConvs(nn.Module):
    """Four times group norm, SiLU and a 3-tap convolution over time; residual.

    Frames lie in rows, so the convolution is a 2-D one of 3x1 taps: `weight` is [C, C, 3, 1], diffusers' without its
    last dimension. The dropout in front of it is left out.
    """

    def __init__(self, channels: int, config: UNetConfig, backend: Backend) -> None:
        super().__init__()

        def stage(*between: nn.Module) -> nn.Sequential:
            norm = backend.group_norm(config.norm_groups, channels)
            return nn.Sequential(norm, nn.SiLU(inplace=True), *between, backend.conv_rows(channels, channels, 3))

        self.conv1 = stage()
        self.conv2, self.conv3, self.conv4 = (stage(nn.Identity()) for _ in range(3))  # where the dropout was
        starts_at_zero(self.conv4[-1], Adds.MOTION)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> same."""
        return add_rows(x, self.conv4(self.conv3(self.conv2(self.conv1(frames_as_rows(x, frames))))))


class TemporalAttentions(nn.Module):
    """Residual transformer over time: self-attention twice and GEGLU, no positions."""

    def __init__(self, channels: int, heads: int, config: UNetConfig, backend: Backend) -> None:
        super().__init__()
        inner = heads * config.temporal_head_dim
        self.norm = backend.group_norm(config.norm_groups, channels, eps=1e-6)
        self.proj_in = backend.linear(channels, inner)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(inner, heads, inner, backend)])
        self.proj_out = starts_at_zero(backend.linear(inner, channels), Adds.MOTION)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> same."""
        sequences = self.norm(frames_as_rows(x, frames)).permute(0, 3, 2, 1)  # [B, H*W, T, C]
        rows = rows_at_once(x, WIDEST * sequences[0, 0].numel())
        if rows >= sequences.shape[1]:
            out = self._branch(sequences.flatten(0, 1)).view(sequences.shape)
        else:
            out = x.new_empty(sequences.shape)
            for clip, into in zip(sequences, out, strict=True):
                in_slices(self._branch, clip, into, rows)
        return add_rows(x, out.permute(0, 3, 2, 1))

    def _branch(self, sequences: Tensor) -> Tensor:
        """[N, T, C] -> same."""
        out: Tensor = self.proj_out(self.transformer_blocks[0](self.proj_in(sequences), None))
        return out
