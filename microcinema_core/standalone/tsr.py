"""Temporal super-resolution as a loaded model: a file's networks, made into what the cascade calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, tee
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ..backend import Backend, attention_named
from ..checkpoint.format import VAE, read_checkpoint
from ..checkpoint.load import Networks, networks_of
from ..config import Kind
from ..diffusion.samplers import Callback
from ..errors import CheckpointError
from ..models.guide import Guide, together
from ..shot.cascade import Guides, Interpolate, cascade
from ..shot.segments import Segments
from ..shot.settings import TSR_BATCH, TSR_SAMPLING, Compile, SamplingConfig, segments_at_once
from ..shot.timing import MAX_PASSES
from .bundle import Bundle, file_identity
from .compiling import compiled
from .sampling import NoiseStream, Text, sample_segments


class TemporalSuperResolution:
    """The TSR model of a shot. It works on the latents of the video model and reads prompts with that one's encoder."""

    def __init__(self, networks: Networks, path: Path, compile: Compile = Compile.NONE) -> None:
        if networks.appearnet is None:
            raise CheckpointError(f"{path}: has no AppearNet; a TSR model is needed here")
        self.unet, self.appearnet = compiled(networks.unet, compile, path.name), networks.appearnet
        self.fills = compile is not Compile.NONE
        self.config = networks.header.config
        self.segments = Segments.of(self.config)
        self.name, self.identity = path.name, file_identity(path)

    @classmethod
    def load(cls, path: str | Path, bundle: Bundle, attention: str = "sdpa", compile: Compile = Compile.NONE) -> Self:
        """A file's model on the bundle's device. Raises CheckpointError for one that does not belong to the bundle."""
        path = Path(path)
        checkpoint = read_checkpoint(path)
        networks = networks_of(checkpoint, path, Backend(attention=attention_named(attention)), kind=Kind.TSR)
        ours, theirs = (h.companions.get(VAE) for h in (checkpoint.header, bundle.networks.header))
        if ours is not None and theirs is not None and ours.sha256 != theirs.sha256:
            raise CheckpointError(
                f"{path}: was trained with another autoencoder than {bundle.name}; "
                f"give the TSR model that belongs to {bundle.name}"
            )
        if networks.header.config.unet.cross_attention_dim != bundle.config.unet.cross_attention_dim:
            raise CheckpointError(f"{path}: reads other texts than {bundle.name}; give the one that belongs to it")
        networks.to_(bundle.device, bundle.dtype)
        return cls(networks, path, compile)

    def interpolate(
        self,
        text: Text,
        seed: int,
        fps: float,
        sampling: SamplingConfig,
        callback: Callback | None = None,
        at_once: int = 1,
        guides: Guides | None = None,
    ) -> Interpolate:
        """What makes the segments between ends [N, C, 2, h, w]. text: of one prompt; fps: before the first pass.

        at_once: so many always go through a compiled network, which would be compiled anew for fewer: the last one
        stands in for those that lack. guides: of every frame, for a model whose line goes along them.
        """

        @torch.no_grad()
        def segments(ends: Tensor, level: int, indices: range) -> Tensor:
            noise, networks = [NoiseStream.segment(seed, level, i) for i in indices], (self.unet, self.appearnet)
            guide = None if guides is None else guides.of(level, indices)
            if lacking := at_once - len(indices) if self.fills else 0:
                ends, noise = torch.cat([ends, *[ends[-1:]] * lacking]), [*noise, *[noise[-1]] * lacking]
                guide = guide and together([guide, *[guide.part(slice(-1, None))] * lacking])
            made = sample_segments(
                networks, self.config, ends, level, fps, text, noise, sampling, callback, guide=guide
            )
            return made[: len(indices)]

        return segments

    def along(
        self,
        latents: Iterable[Tensor],
        guides: Iterable[Guide],
        text: Text,
        seed: int,
        fps: float,
        *,
        passes: int = MAX_PASSES,
        sampling: SamplingConfig = TSR_SAMPLING,
        batch: int = TSR_BATCH,
        callback: Callback | None = None,
    ) -> Iterator[tuple[Tensor, Guide]]:
        """Every frame [C, h, w] between these and they themselves, each with its guide; 9 become 129 in two passes.

        latents: model-space frames [C, h, w], made at `fps`. guides: of all frames of the result, each [1, C, 1, h, w].
        Where two of the given frames are their guides' own, so is every frame between them. Both are streams, and what
        is held does not grow with their length.
        Raises InputError for more passes than the model knows, and for a guide that ends too early.
        """
        self.segments.check_passes(passes)
        frames, (read, shown) = iter(latents), tee(guides)
        first = next(frames, None)
        if first is None:
            return
        known = Guides(read, self.segments.factor, passes)
        interpolate = self.interpolate(text, seed, fps, sampling, callback, guides=known)
        at_once = segments_at_once(batch, *first.shape[-2:])
        made = cascade(chain([first], frames), interpolate, passes, at_once)
        yield from zip(made, shown, strict=False)  # guides may go on after the last frame
