"""ResBlocks and levels: the parts that VideoUNet and AppearNet share.

With `temporal=True` a part carries the temporal layers that its configuration names, by default those of Sec. 3.1;
AppearNet's do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import TemporalLayers, UNetConfig
from .embedding import Turns
from .injection import add_appearance, denormalise
from .modelscope import TemporalAttentions, TemporalConvs
from .spatial import SpatialTransformer
from .temporal import TemporalConv, TemporalTransformer


@dataclass(frozen=True, slots=True)
class Conditions:
    """What every block of one forward sees.

    emb: activated time embedding of each frame [B*T, D]; context: text [B, L, D]; frames: T;
    shared_frame: as VideoUNet is given it; turns: the frames' rotary positions.
    """

    emb: Tensor
    context: Tensor
    frames: int
    shared_frame: int | None = None
    turns: Turns | None = None


@dataclass(frozen=True, slots=True)
class LevelInjection:
    """One level's appearance: the gate [B*T, C, 1, 1], the additive term and each ResBlock's (gamma, beta)."""

    gate: Tensor
    add: Tensor
    spade: list[Tensor]


def temporal_conv(channels: int, config: UNetConfig, backend: Backend, *, temporal: bool) -> TemporalConv | None:
    """The convolution over time that follows a spatial convolution, in the models that have it there."""
    return TemporalConv(channels, backend) if temporal and config.temporal_layers is TemporalLayers.NATIVE else None


def norm_frames(norm: nn.Module, x: Tensor, frames: int, over_frames: bool) -> Tensor:
    """Group norm of [B*T, C, H, W] with statistics per frame, or over a clip's frames."""
    if not over_frames:
        out: Tensor = norm(x)
        return out
    clips = x.unflatten(0, (-1, frames)).transpose(1, 2)  # [B, C, T, H, W]
    normed: Tensor = norm(clips).transpose(1, 2).flatten(0, 1)
    return normed


class ResBlock(nn.Module):
    """Stable Diffusion's residual block, between whose layers time and appearance enter."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig, backend: Backend, *, temporal: bool) -> None:
        super().__init__()
        self.over_frames = config.norm_over_frames and temporal
        self.norm1 = backend.group_norm(config.norm_groups, inputs)
        self.conv1 = backend.conv(inputs, outputs, 3)
        self.time_emb_proj = backend.linear(config.time_embed_dim, outputs)
        self.norm2 = backend.group_norm(config.norm_groups, outputs)
        self.conv2 = backend.conv(outputs, outputs, 3)
        self.conv_shortcut = backend.conv(inputs, outputs, 1) if inputs != outputs else None
        self.temporal_conv1 = temporal_conv(outputs, config, backend, temporal=temporal)
        self.temporal_conv2 = temporal_conv(outputs, config, backend, temporal=temporal)

    def forward(self, x: Tensor, given: Conditions, spade: Tensor | None = None, gate: Tensor | None = None) -> Tensor:
        """[B*T, C_in, H, W] -> [B*T, C_out, H, W].

        spade: (gamma, beta) of the second norm [B, T or 1, 2C_out, H, W]; gate: [B*T, C_out, 1, 1]. Both or neither.
        """
        h = self.conv1(F.silu(norm_frames(self.norm1, x, given.frames, self.over_frames)))
        if self.temporal_conv1 is not None:
            h = self.temporal_conv1(h, given.frames)
        h = h + self.time_emb_proj(given.emb)[:, :, None, None]
        h = norm_frames(self.norm2, h, given.frames, self.over_frames)
        if spade is not None and gate is not None:
            h = denormalise(h, spade, gate, given.frames)
        h = self.conv2(F.silu(h))
        if self.temporal_conv2 is not None:
            h = self.temporal_conv2(h, given.frames)
        out: Tensor = h + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        return out


class Resample(nn.Module):
    """A 3x3 convolution after halving (stride 2) or before it nearest upsampling; then its temporal convolution."""

    def __init__(self, channels: int, config: UNetConfig, backend: Backend, *, stride: int, temporal: bool) -> None:
        super().__init__()
        self.conv = backend.conv(channels, channels, 3, stride=stride)
        self.temporal_conv = temporal_conv(channels, config, backend, temporal=temporal)

    def forward(self, x: Tensor, frames: int, size: tuple[int, int] | None = None) -> Tensor:
        """[B*T, C, H, W] -> [B*T, C, H', W'], at stride 2 half the size.

        size: height and width to which x is upsampled first, at stride 1.
        """
        if size is not None:
            x = F.interpolate(x, size=size, mode="nearest")
        h: Tensor = self.conv(x)
        return h if self.temporal_conv is None else self.temporal_conv(h, frames)


class Level(nn.Module):
    """ResBlocks, the first `attended` of them each followed by a spatial and a temporal transformer.

    widths: channels in and out of each ResBlock; heads: of a spatial transformer.
    """

    def __init__(
        self,
        widths: list[tuple[int, int]],
        attended: int,
        heads: int,
        config: UNetConfig,
        backend: Backend,
        *,
        temporal: bool,
    ) -> None:
        super().__init__()
        outputs = [o for _, o in widths]
        self.resnets = nn.ModuleList(ResBlock(i, o, config, backend, temporal=temporal) for i, o in widths)
        self.attentions = nn.ModuleList(SpatialTransformer(o, heads, config, backend) for o in outputs[:attended])
        layers = config.temporal_layers if temporal else None
        native = outputs if layers is TemporalLayers.NATIVE else []
        self.temporal_attentions = nn.ModuleList(TemporalTransformer(o, config, backend) for o in native[:attended])
        theirs = outputs if layers is TemporalLayers.MODELSCOPE else []
        self.temp_convs = nn.ModuleList(TemporalConvs(o, config, backend) for o in theirs)
        self.temp_attentions = nn.ModuleList(
            TemporalAttentions(o, o // config.temporal_head_dim, config, backend) for o in theirs[:attended]
        )

    def resnet(self, i: int, x: Tensor, given: Conditions, inject: LevelInjection | None) -> Tensor:
        """The i-th ResBlock, [B*T, C_in, H, W] -> [B*T, C_out, H, W]; the additive term enters after the first."""
        if inject is None:
            h: Tensor = self.resnets[i](x, given)
        else:
            h = self.resnets[i](x, given, inject.spade[i] if inject.spade else None, inject.gate)
        if i < len(self.temp_convs):
            h = self.temp_convs[i](h, given.frames)
        return add_appearance(h, inject.add, inject.gate, given.frames) if inject is not None and i == 0 else h

    def attend(self, i: int, x: Tensor, given: Conditions) -> Tensor:
        """The transformers after the i-th ResBlock, spatial and over time, if there are any. [B*T, C, H, W] -> same."""
        if i < len(self.attentions):
            x = self.attentions[i](x, given.context, given.shared_frame)
        if i < len(self.temporal_attentions):
            x = self.temporal_attentions[i](x, given.frames, given.turns)
        if i < len(self.temp_attentions):
            x = self.temp_attentions[i](x, given.frames)
        return x


class DownLevel(Level):
    """A level on the way down."""

    def __init__(self, index: int, config: UNetConfig, backend: Backend, *, temporal: bool) -> None:
        channels = config.block_out_channels
        first = channels[max(0, index - 1)]
        widths = [(first if i == 0 else channels[index], channels[index]) for i in range(config.layers_per_block)]
        attended = len(widths) if config.attention_levels[index] else 0
        super().__init__(widths, attended, config.attention_heads[index], config, backend, temporal=temporal)
        last = index == len(channels) - 1
        self.downsamplers = nn.ModuleList(
            [] if last else [Resample(channels[index], config, backend, stride=2, temporal=temporal)]
        )

    def forward(self, x: Tensor, given: Conditions, inject: LevelInjection | None = None) -> list[Tensor]:
        """[B*T, C_in, H, W] -> the skips [B*T, C, H, W]: every layer's output, the downsampled one of half the size."""
        skips = []
        for i in range(len(self.resnets)):
            x = self.attend(i, self.resnet(i, x, given, inject), given)
            skips.append(x)
        for downsampler in self.downsamplers:
            skips.append(downsampler(x, given.frames))
        return skips


class MidLevel(Level):
    """ResBlock, attention, ResBlock."""

    def __init__(self, config: UNetConfig, backend: Backend, *, temporal: bool) -> None:
        channels = config.block_out_channels[-1]
        super().__init__([(channels, channels)] * 2, 1, config.attention_heads[-1], config, backend, temporal=temporal)

    def forward(self, x: Tensor, given: Conditions, inject: LevelInjection | None = None) -> Tensor:
        """[B*T, C, H, W] -> same."""
        x = self.attend(0, self.resnet(0, x, given, inject), given)
        return self.resnet(1, x, given, inject)


class UpLevel(Level):
    """A level on the way up."""

    def __init__(self, index: int, config: UNetConfig, backend: Backend) -> None:
        channels = config.block_out_channels
        here, below, above = channels[index], channels[min(index + 1, len(channels) - 1)], channels[max(0, index - 1)]
        layers = config.layers_per_block + 1
        inputs = [below if i == 0 else here for i in range(layers)]
        skips = [above if i == layers - 1 else here for i in range(layers)]
        widths = [(i + s, here) for i, s in zip(inputs, skips, strict=True)]
        attended = len(widths) if config.attention_levels[index] else 0
        super().__init__(widths, attended, config.attention_heads[index], config, backend, temporal=config.temporal)
        self.upsamplers = nn.ModuleList(
            [] if index == 0 else [Resample(here, config, backend, stride=1, temporal=config.temporal)]
        )

    def forward(
        self, x: Tensor, skips: list[Tensor], given: Conditions, inject: LevelInjection | None = None
    ) -> Tensor:
        """[B*T, C_in, H, W] -> [B*T, C, H', W'], upsampled to the size of the next skip where there is one.

        skips: of the way down, from the end of which each ResBlock takes one.
        """
        for i in range(len(self.resnets)):
            x = torch.cat([x, skips.pop()], dim=1)
            x = self.attend(i, self.resnet(i, x, given, inject), given)
        for upsampler in self.upsamplers:
            height, width = skips[-1].shape[-2:]
            x = upsampler(x, given.frames, (height, width))
        return x
