"""The models under test: files become callables that remember what they made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microcinema_core.checkpoint.addition import Addition
from microcinema_core.checkpoint.format import read_header
from microcinema_core.errors import InputError
from microcinema_core.files import sha256_of
from microcinema_core.media import to_pixels, to_uint8
from microcinema_core.shot.cascade import super_resolve
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import TSR_BATCH, PictureConfig, SamplingConfig
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.standalone.components import load_codec
from microcinema_core.standalone.pipeline import ImagePipeline, MicroCinemaPipeline
from microcinema_core.standalone.sampling import Text
from microcinema_core.worlds.toybox.triples import FPS, TIMES, Triple
from microcinema_core.worlds.toybox.world import render

from ..cases import SIZE, Animate, Frames, Shot
from ..journal import ClipStore, Journal, code_fingerprint, fingerprint
from .anchor import AS_TRAINED, Binding
from .appearance import RoundTrip
from .scores import GenerateImages
from .tsr import Interpolate


@dataclass(frozen=True)
class Bench:
    """A video file with sampling settings, and the folder that keeps what is done."""

    model: Path
    sampling: SamplingConfig
    folder: Path
    motion: float = 1.0
    binding: Binding = AS_TRAINED
    loras: tuple[Addition, ...] = ()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What a clip follows from, beside the shot: the file's hash (it names its companions') and the sampling."""
        moved = {} if self.motion == 1 else {"motion": self.motion}
        asked = asdict(self.binding)
        bound = {f.name: asked[f.name] for f in fields(Binding) if asked[f.name] != f.default}
        added = {"loras": [(sha256_of(one.path), one.strength) for one in self.loras]} if self.loras else {}
        return {"sha256": sha256_of(self.model), **self.sampling.to_dict(), **moved, **bound, **added}

    @cached_property
    def pipeline(self) -> MicroCinemaPipeline:
        made = MicroCinemaPipeline.from_pretrained(self.model, loras=self.loras)
        config, prior_lambda = made.bundle.config, self.binding.prior_lambda
        if prior_lambda is not None:
            made.bundle.config = replace(config, diffusion=replace(config.diffusion, prior_lambda=prior_lambda))
        return made

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
        gamma = self.binding.prior_gamma
        made = self.pipeline(
            [shot.keyframe for shot in shots],
            [shot.prompt for shot in shots],
            ShotConfig(
                keyframe_at=position,
                motion=self.motion,
                strength=self.binding.strength,
                exact_keyframe=self.binding.exact_keyframe,
                share_attention=self.binding.share_attention,
            ),
            sampling=self.sampling if gamma is None else replace(self.sampling, gamma=gamma),
            seed=[shot.seed for shot in shots],
        )
        return list(made.frames)

    def chains(self, clips: int) -> Animate:
        """Shots of so many chained clips after the first frame, at the model's own rate."""
        controls = ShotConfig(keyframe_at="first", after=clips - 1, passes=0)

        def chain(shots: Sequence[Shot]) -> list[Frames]:
            shoot = partial(self.pipeline.shoot, shot=controls, sampling=self.sampling)
            return [np.stack(list(shoot(s.keyframe, s.prompt, seed=s.seed))) for s in shots]

        key = fingerprint(self.settings, "chains", clips)
        return ClipStore(self.folder / f"clips-{key}").remember(chain)

    def interpolate(self, level: int, prompts: Sequence[str], sampling: SamplingConfig) -> Interpolate:
        """One pass of the temporal super-resolution model: 0 is 2 to 8 frames a second, 1 is 8 to 32.

        Latents [B, C, T, h, w] and one seed for each clip; the clip's prompt is the seed's remainder by their number.
        """
        tsr = self.pipeline.tsr
        if tsr is None:
            raise InputError(f"{self.model}: no temporal super-resolution model beside it; put one there")
        bundle = self.pipeline.bundle
        read = bundle.prompts(list(prompts))

        def one(latents: Tensor, seed: int) -> Tensor:
            i = seed % len(prompts)
            segments = tsr.interpolate(Text(read.prompt[i : i + 1], read.null), seed, FPS, sampling)
            given = latents.to(bundle.device).unbind(1)
            return torch.stack(list(super_resolve(given, segments, level, TSR_BATCH)), dim=1).to(latents)

        return lambda latents, seeds: torch.stack([one(*pair) for pair in zip(latents, seeds, strict=True)])

    def journal(self, part: str, cases: Sequence[dict[str, Any]]) -> Journal:
        """The records of a part with these cases, model, settings and measuring code."""
        key = fingerprint(self.settings, part, list(cases), code_fingerprint())
        return Journal(self.folder / f"{part}-{key}.jsonl")


def round_trip_of(codec: LatentCodec) -> RoundTrip:
    """Frames [T, H, W, 3] through encoder and decoder."""

    def round_trip(frames: Frames) -> Frames:
        return to_uint8(codec.decode(codec.encode(to_pixels(frames))))

    return round_trip


def reconstruction(codec: LatentCodec, triples: Sequence[Triple]) -> dict[str, float]:
    """PSNR in dB of the autoencoder on whole frames of combinations that were held out of training."""
    scenes = [triple.scene for triple in triples if triple.held_out]
    times = np.resize(TIMES, len(scenes))
    frames = np.concatenate([render(s, [float(t)], SIZE) for s, t in zip(scenes, times, strict=True)])
    pixels = to_pixels(frames)
    error = (codec.decode(codec.encode(pixels)) - pixels).square().mean(dim=(1, 2, 3))
    decibels = -10 * torch.log10(error)
    return {"n": len(frames), "median": decibels.median().item(), "lowest": decibels.min().item()}


def pictures_of(model: Path, sampling: SamplingConfig) -> GenerateImages:
    """Prompts and seeds -> pictures [H, W, 3] of an image-stage file."""
    images = ImagePipeline.from_pretrained(model)
    picture = PictureConfig(steps=sampling.steps, cfg=sampling.cfg, sampler=sampling.sampler)

    def draw(texts: list[str], seeds: list[int]) -> list[NDArray[np.uint8]]:
        return list(images(texts, picture, seed=seeds).pictures)

    return draw
