"""VideoUNet (Sec. 3.1): Stable Diffusion's U-Net with temporal layers, called at every denoising step."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import Positions, TemporalLayers, UNetConfig
from .blocks import Conditions, DownLevel, LevelInjection, MidLevel, UpLevel, norm_frames, temporal_conv
from .embedding import FRAME_TIME_CHANNELS, EmbeddingMLP, Turns, frame_time_features, time_embedding
from .filling import expected_v
from .injection import MID_LEVEL, Appearance, down_level, injected_levels, resblocks_of, up_level
from .modelscope import INPUT_HEADS, TemporalAttentions
from .zero_start import Adds, starts_at_zero


class VideoUNet(nn.Module):
    """Noisy latents to raw network output (eps or v). It never scales, guides or knows sigma.

    Key names of the spatial part are those of diffusers' UNet2DConditionModel.
    """

    def __init__(self, config: UNetConfig, backend: Backend | None = None) -> None:
        super().__init__()
        backend = backend or Backend()
        self.config = config
        channels = config.block_out_channels
        self.time_embedding = EmbeddingMLP(channels[0], config.time_embed_dim, backend)
        self.frame_time_embedding = (
            EmbeddingMLP(FRAME_TIME_CHANNELS, config.time_embed_dim, backend)
            if config.frame_time and config.temporal
            else None
        )
        if self.frame_time_embedding is not None:
            starts_at_zero(self.frame_time_embedding.linear_2, Adds.TIME)
        self.pooled_text_embedding = (
            EmbeddingMLP(config.cross_attention_dim, config.time_embed_dim, backend) if config.pooled_text else None
        )
        self.conv_in = backend.conv(config.read_channels, channels[0], 3)
        self.temporal_conv_in = temporal_conv(channels[0], config, backend, temporal=config.temporal)
        self.transformer_in = (
            TemporalAttentions(channels[0], INPUT_HEADS, config, backend)
            if config.temporal and config.temporal_layers is TemporalLayers.MODELSCOPE
            else None
        )
        levels = range(len(channels))
        self.down_blocks = nn.ModuleList(DownLevel(i, config, backend, temporal=config.temporal) for i in levels)
        self.mid_block = MidLevel(config, backend, temporal=config.temporal)
        self.up_blocks = nn.ModuleList(UpLevel(i, config, backend) for i in reversed(levels))
        self.conv_norm_out = backend.group_norm(config.norm_groups, channels[0])
        self.conv_out = backend.conv(channels[0], config.in_channels, 3)
        if config.fills:
            starts_at_zero(self.conv_out, Adds.FILLING)
        self.temporal_conv_out = temporal_conv(config.in_channels, config, backend, temporal=config.temporal)
        gated = injected_levels(config) if config.temporal else {}
        self.gates = nn.ModuleDict(
            {
                name: starts_at_zero(backend.linear(config.time_embed_dim, c, bias=False), Adds.TIME)
                for name, c in gated.items()
            }
        )

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor,
        appearance: Appearance | None = None,
        frame_time: Tensor | None = None,
        shared_frame: int | None = None,
    ) -> Tensor:
        """
        x: noisy model-space latents [B, C, T, h, w]; any h, w. Of a model that fills, what is known beside them
            (`models/guide.py`): [B, 2C + 1, T, h, w], of which noisy latents alone come out.
        t: schedule time, a scalar or [B].
        context: text [B, L, D].
        appearance: AppearNet's output for B clips, or for B/2 shared by both branches of guidance;
            None for single images.
        frame_time: each frame's seconds from the keyframe, [T] or [B, T].
        shared_frame: the frame of each clip whose keys and values every frame's spatial self-attention reads beside its
            own; None: each frame reads its own alone.
        """
        batch, _, frames = x.shape[:3]
        guessed = expected_v(x, t.expand(batch)) if self.config.fills else None
        emb = F.silu(self._embed(t, context, frame_time, batch, frames, x.dtype))
        h = self.conv_in(x.transpose(1, 2).flatten(0, 1))
        given = Conditions(emb, context, frames, shared_frame, self._turns(frames, h))
        if appearance is not None and appearance.concat is not None:
            clips = h.view(-1, appearance.concat.shape[0], frames, *h.shape[1:])
            h = (clips + appearance.concat.to(h.dtype)).view_as(h)
        if self.temporal_conv_in is not None:
            h = self.temporal_conv_in(h, frames)
        if self.transformer_in is not None:
            h = self.transformer_in(h, frames)
        skips = [h]
        for i, down in enumerate(self.down_blocks):
            skips += down(skips[-1], given, self._inject(down_level(i), appearance, emb))
        h = self.mid_block(skips[-1], given, self._inject(MID_LEVEL, appearance, emb))
        for i, up in zip(reversed(range(len(self.up_blocks))), self.up_blocks, strict=True):
            h = up(h, skips, given, self._inject(up_level(i), appearance, emb))
        h = F.silu(norm_frames(self.conv_norm_out, h, frames, self.config.norm_over_frames))
        h = self.conv_out(h)
        if self.temporal_conv_out is not None:
            h = self.temporal_conv_out(h, frames)
        out = h.unflatten(0, (batch, frames)).transpose(1, 2)
        return out if guessed is None else out + guessed

    def _embed(
        self, t: Tensor, context: Tensor, frame_time: Tensor | None, batch: int, frames: int, dtype: torch.dtype
    ) -> Tensor:
        """The time embedding of each frame [B*T, D]."""
        emb = time_embedding(self.time_embedding, t.expand(batch), self.config, dtype)
        if self.pooled_text_embedding is not None:
            emb = emb + self.pooled_text_embedding(context[:, -1])
        per_frame = emb[:, None].expand(-1, frames, -1)
        if self.frame_time_embedding is not None and frame_time is not None:
            seconds = frame_time_features(frame_time).to(dtype)
            per_frame = per_frame + self.frame_time_embedding(seconds)
        return per_frame.flatten(0, 1)

    def _turns(self, frames: int, like: Tensor) -> Turns | None:
        """Rotary positions of the frames, the same in every temporal layer."""
        config = self.config
        if not config.temporal or config.temporal_positions is not Positions.ROTARY:
            return None
        return Turns.of(frames, config.temporal_head_dim, like)

    def _inject(self, level: str, appearance: Appearance | None, emb: Tensor) -> LevelInjection | None:
        if appearance is None or level not in appearance.add:
            return None
        gate = 1 + self.gates[level](emb)[:, :, None, None]
        spade = [appearance.spade[name] for name in resblocks_of(level, self.config) if name in appearance.spade]
        return LevelInjection(gate, appearance.add[level], spade)


def temporal_parameters(unet: VideoUNet) -> set[str]:
    """Names of the parameters that the image stage does not have: temporal layers, frame time and gates."""
    image = VideoUNet(replace(unet.config, temporal=False), Backend(device="meta"))
    return {name for name, _ in unet.named_parameters()} - {name for name, _ in image.named_parameters()}
