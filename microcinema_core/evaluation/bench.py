"""The models under test: files become callables that remember what they made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..autoencoder import LatentCodec
from ..checkpoint.components import load_codec
from ..checkpoint.format import read_header, sha256_of
from ..clip.settings import SamplingConfig
from ..media import to_uint8
from ..pipeline import ImagePipeline, MicroCinemaPipeline
from ..toybox.triples import TIMES, Triple
from ..toybox.world import render
from .appearance import RoundTrip
from .cases import SIZE, Animate, Frames, Shot
from .journal import ClipStore, Journal, code_fingerprint, fingerprint
from .toybox import GenerateImages


@dataclass(frozen=True)
class Bench:
    """A video file with sampling settings, and the folder that keeps what is done."""

    model: Path
    sampling: SamplingConfig
    folder: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What a clip follows from, beside the shot: the file's hash (it names its companions') and the sampling."""
        return {"sha256": sha256_of(self.model), **self.sampling.to_dict()}

    @cached_property
    def pipeline(self) -> MicroCinemaPipeline:
        return MicroCinemaPipeline.from_pretrained(self.model)

    @cached_property
    def codec(self) -> LatentCodec:
        return load_codec(self.model)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        return read_header(self.model).provenance

    @cached_property
    def animate(self) -> Animate:
        """Clips of shots that share their keyframe's position, or stored ones."""
        return ClipStore(self.folder / f"clips-{fingerprint(self.settings)}").remember(self._generate)

    def _generate(self, shots: Sequence[Shot]) -> list[Frames]:
        (position,) = {shot.keyframe_at for shot in shots}
        made = self.pipeline(
            [shot.keyframe for shot in shots],
            [shot.prompt for shot in shots],
            seed=[shot.seed for shot in shots],
            keyframe_at=position,
            steps=self.sampling.steps,
            cfg=self.sampling.cfg,
            sampler=self.sampling.sampler,
            gamma=self.sampling.gamma,
        )
        return list(made.frames)

    def journal(self, part: str, cases: Sequence[dict[str, Any]]) -> Journal:
        """The records of a part with these cases, model, settings and measuring code."""
        key = fingerprint(self.settings, part, list(cases), code_fingerprint())
        return Journal(self.folder / f"{part}-{key}.jsonl")


def round_trip_of(codec: LatentCodec) -> RoundTrip:
    """Frames [T, H, W, 3] through encoder and decoder."""

    def round_trip(frames: Frames) -> Frames:
        pixels = torch.from_numpy(frames).movedim(-1, 1).float() / 255
        return to_uint8(codec.decode(codec.encode(pixels)))

    return round_trip


def reconstruction(codec: LatentCodec, triples: Sequence[Triple]) -> dict[str, float]:
    """PSNR in dB of the autoencoder on whole frames of combinations that were held out of training."""
    scenes = [triple.scene for triple in triples if triple.held_out]
    times = np.resize(TIMES, len(scenes))
    frames = np.concatenate([render(s, [float(t)], SIZE) for s, t in zip(scenes, times, strict=True)])
    pixels = torch.from_numpy(frames).movedim(-1, 1).float() / 255
    error = (codec.decode(codec.encode(pixels)) - pixels).square().mean(dim=(1, 2, 3))
    decibels = -10 * torch.log10(error)
    return {"n": len(frames), "median": decibels.median().item(), "lowest": decibels.min().item()}


def pictures_of(model: Path, sampling: SamplingConfig) -> GenerateImages:
    """Prompts and seeds -> pictures [H, W, 3] of an image-stage file."""
    images = ImagePipeline.from_pretrained(model)

    def draw(texts: list[str], seeds: list[int]) -> list[NDArray[np.uint8]]:
        made = images(texts, seed=seeds, steps=sampling.steps, cfg=sampling.cfg, sampler=sampling.sampler)
        return list(made.pictures)

    return draw
