"""The TSR stage (Sec. 3.1): segments of a few frames, denoised around the straight line between their end frames.

One model learns every pass of the cascade; frame time tells it which one it is at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checkpoint.format import APPEARNET, UNET, read_checkpoint, read_header
from ..checkpoint.inflate import inflate_
from ..config import TOYBOX, Kind, ModelConfig
from ..models.appearnet import AppearNet
from ..models.guide import Guide
from ..models.unet import VideoUNet
from ..models.zero_start import zero_start_
from ..shot.segments import Segments, ends_of, linear_frames
from ..shot.settings import TSR_SAMPLING
from ..standalone.sampling import NoiseStream, Text, sample_segments
from ..worlds.toybox.captions import caption
from ..worlds.toybox.triples import TIMES
from ..worlds.toybox.world import render
from .config import TrainConfig
from .diffusion import DiffusionStage, VideoModel, existing, select_triples
from .latents import Excerpt
from .sheets import save_sheet, to_uint8
from .stage import Draw

PASSES = 2
SCALED = 250  # clips whose remainders are measured
SHOWN = 4  # segments of each pass on a sheet: what was made, and below it the truth


class TSRStage(DiffusionStage):
    """End frames and text to the frames between them."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        clip = self.base.clip
        segments = Segments.of(self.base)
        self.given_fps = clip.fps / segments.factor  # of what the first pass is given
        self.rates = [segments.rate(self.given_fps, level) for level in range(PASSES)]
        whole = replace(TOYBOX.clip, width=clip.width, height=clip.height)
        # In float32: the result is held against frames whose only error is the autoencoder's own.
        counts = [config.data.clips] + [config.data.later_pass_clips or config.data.clips] * (PASSES - 1)
        excerpts = [Excerpt(replace(clip, fps=rate), whole) for rate in self.rates]
        self.clips = [self.cached(e, bf16=False, count=n) for e, n in zip(excerpts, counts, strict=True)]
        self.model_config = self._scaled(self.base)
        self.unet = VideoUNet(self.base.unet)
        self.appearnet = AppearNet(self.base.unet, text_length=self.null.shape[1])
        self.model = VideoModel(self.unet, self.appearnet)
        if self.go_on_from(Kind.TSR, {UNET: self.unet, APPEARNET: self.appearnet}):
            return
        if config.image:
            image = read_checkpoint(existing(config.image, "image", Kind.IMAGE))
            inflate_(self.unet, self.appearnet, image.sections[UNET], self.null)
            return
        zero_start_(self.unet)
        zero_start_(self.appearnet)
        self.appearnet.null_context.copy_(self.null)

    def _scaled(self, model: ModelConfig) -> ModelConfig:
        """With the deviations of what the line leaves: of the file gone on from, or of these clips."""
        if self.config.start_from:
            earlier = read_header(existing(self.config.start_from, "start_from", Kind.TSR)).config
            return replace(model, diffusion=earlier.diffusion)
        if not self.config.residual:
            return model
        std = tuple(_remainder(clips.latents[:SCALED].transpose(1, 2).float()).std().item() for clips in self.clips)
        return replace(model, diffusion=replace(model.diffusion, residual_std=std))

    def batch(self, draw: Draw) -> dict[str, Any]:
        segments, texts, levels = [], [], []
        rules = Segments.of(self.model_config)
        for _ in range(self.config.batch):
            first = draw.rng.random() < self.config.data.first_pass_share
            level = 0 if first else int(draw.rng.integers(1, PASSES))
            clips = self.clips[level]
            index, backwards = int(draw.rng.integers(len(clips))), bool(draw.rng.random() < 0.5)
            latents, scene = clips.clip(index, backwards=backwards)
            segments.append(latents)
            texts.append(caption(scene, draw.rng))
            levels.append(level)
        stacked = torch.stack(segments).transpose(1, 2)  # [B, C, T, h, w]
        line = rules.line(ends_of(stacked))
        rates = torch.tensor([self.rates[level] for level in levels])
        return {
            "latents": rules.remainder(stacked, line, levels),
            "z_c": line.latents,
            "frame_time": torch.arange(stacked.shape[2]) / rates[:, None],
            "texts": self.drop(draw, texts),
            "t": self.times(draw, self.config.batch),
        }

    def losses(self, model: Callable[..., Any], batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        guide = Guide(batch["z_c"])
        given = {"guide": guide, "frame_time": batch["frame_time"]}
        return {"denoising": self.pairs(model, batch, draw, guide, given)}

    def report(self, folder: Path, step: int) -> dict[str, float]:
        """Squared error of the frames between, as a share of what the straight line between the ends has."""
        figures: dict[str, float] = {}
        rows = []
        for level, rate in enumerate(self.rates):
            truth = self._true_segments(rate)
            ends = ends_of(truth)
            made = self._interpolate(ends, level)
            line = linear_frames(ends, truth.shape[2])
            share = (made - truth).square().mean() / (line - truth).square().mean()
            figures[f"error_share_{rate:g}fps"] = share.item()
            shown = [to_uint8(self.decode(segments[:SHOWN])) for segments in (made, truth)]
            rows += [segment for pair in zip(*shown, strict=True) for segment in pair]
        save_sheet(folder / f"step-{step:08d}.png", rows)
        return figures

    def _true_segments(self, rate: float) -> Tensor:
        """Of the scenes for choosing checkpoints, around their keyframes. [N, C, T, h, w]."""
        frames = self.base.clip.frames
        times = [TIMES[len(TIMES) // 2] + i / rate for i in range(frames)]
        pictures = np.concatenate([render(t.scene, times, self.base.clip.width) for t in self._triples])
        pixels = torch.from_numpy(pictures).movedim(-1, 1).float() / 255
        return self.codec.encode(pixels).unflatten(0, (-1, frames)).transpose(1, 2)

    @property
    def _triples(self) -> Sequence[Any]:
        return select_triples(self.config.reported)

    def _interpolate(self, ends: Tensor, level: int) -> Tensor:
        noise = [NoiseStream.segment(triple.seed, level, 0) for triple in self._triples]
        networks, text = (self.unet, self.appearnet), Text(self.null, self.null)
        with torch.autocast(ends.device.type, enabled=False):
            return sample_segments(networks, self.model_config, ends, level, self.given_fps, text, noise, TSR_SAMPLING)

    def export(self, path: Path, provenance: dict[str, Any]) -> None:
        self.save(path, Kind.TSR, provenance, {UNET: self.unet, APPEARNET: self.appearnet})


def _remainder(segments: Tensor) -> Tensor:
    """What the line between the ends leaves of the frames between them. [N, C, T, h, w] -> [N, C, T-2, h, w]."""
    return (segments - linear_frames(ends_of(segments), segments.shape[2]))[:, :, 1:-1]
