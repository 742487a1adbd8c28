"""AppearNet (Sec. 3.2): SD's encoder and middle block again, reading the clean keyframe, once per clip."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import Injection, UNetConfig
from .blocks import Conditions, DownLevel, MidLevel
from .embedding import EmbeddingMLP, time_embedding
from .guide import Guide, with_along, with_known
from .injection import MID_LEVEL, Appearance, down_level, injected_levels, resblocks_of
from .zero_start import Adds, starts_at_zero


class SpadeHead(nn.Module):
    """A feature to the (gamma, beta) of one ResBlock's second norm."""

    def __init__(self, channels: int, hidden: int, backend: Backend) -> None:
        super().__init__()
        self.conv_in = backend.conv(channels, hidden, 3)
        self.conv_out = starts_at_zero(backend.conv(hidden, 2 * channels, 3), Adds.APPEARANCE)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, 2C, h, w]."""
        out: Tensor = self.conv_out(F.silu(self.conv_in(x)))
        return out


class AppearNet(nn.Module):
    """Guide -> Appearance. It sees neither noise level nor prompt, so its output depends on the guide alone.

    Its time input is the constant 0 and its text input the null prompt's embedding, kept in the checkpoint.
    """

    null_context: Tensor

    def __init__(self, config: UNetConfig, backend: Backend | None = None, *, text_length: int = 77) -> None:
        super().__init__()
        backend = backend or Backend()
        self.config = config
        channels = config.block_out_channels
        if config.injection is Injection.CONCAT:
            read = (1 + config.along_guide) * config.in_channels + config.guide_mask
            self.concat = starts_at_zero(backend.conv(read, channels[0], 3), Adds.APPEARANCE)
            return
        context = torch.zeros(1, text_length, config.cross_attention_dim, **backend.factory)
        self.register_buffer("null_context", context)
        self.time_embedding = EmbeddingMLP(channels[0], config.time_embed_dim, backend)
        self.conv_in = backend.conv(config.in_channels, channels[0], 3)
        self.down_blocks = nn.ModuleList(DownLevel(i, config, backend, temporal=False) for i in range(len(channels)))
        self.mid_block = MidLevel(config, backend, temporal=False)
        levels = injected_levels(config)
        self.add = nn.ModuleDict(
            {name: starts_at_zero(backend.conv(c, c, 1), Adds.APPEARANCE) for name, c in levels.items()}
        )
        self.spade = nn.ModuleDict()
        if config.injection is Injection.ADD_BOTH_SPADE:
            for level, c in levels.items():
                for name in resblocks_of(level, config):
                    self.spade[name] = SpadeHead(c, config.spade_hidden, backend)

    def forward(self, guide: Guide) -> Appearance:
        """Of latents [B, C, T, h, w]: T = 1 for a keyframe, or one for each frame (TSR).

        Whatever is known of them; with `guide_mask` that is read too, and with `along_guide` what the line goes along.
        """
        latents = self._read(guide)
        frames = latents.shape[2]
        folded = latents.transpose(1, 2).flatten(0, 1)  # [B*T, C, h, w]

        def per_clip(x: Tensor) -> Tensor:
            return x.unflatten(0, (-1, frames))

        if self.config.injection is Injection.CONCAT:
            return Appearance(concat=per_clip(self.concat(folded)))
        features = self._features(folded)
        source = {name: features[name.replace("up", "down")] for name in self.add}
        add = {name: per_clip(conv(source[name])) for name, conv in self.add.items()}
        spade = {name: per_clip(head(source[name.rpartition("_")[0]])) for name, head in self.spade.items()}
        return Appearance(add=add, spade=spade)

    def _read(self, guide: Guide) -> Tensor:
        """[B, C, T, h, w], or with more channels."""
        if self.config.along_guide:
            return with_along(guide)
        return with_known(guide) if self.config.guide_mask else guide.latents

    def _features(self, x: Tensor) -> dict[str, Tensor]:
        """The output of every level, before its downsampling."""
        t = torch.zeros(x.shape[0], device=x.device, dtype=x.dtype)
        emb = time_embedding(self.time_embedding, t, self.config, x.dtype)
        context = self.null_context.to(x).expand(x.shape[0], -1, -1)
        given = Conditions(F.silu(emb), context, frames=1)
        h = self.conv_in(x)
        features = {}
        for i, block in enumerate(self.down_blocks):
            skips = block(h, given)
            features[down_level(i)] = skips[self.config.layers_per_block - 1]
            h = skips[-1]
        features[MID_LEVEL] = self.mid_block(h, given)
        return features
