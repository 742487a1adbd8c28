"""Filling by a model: what is known of a picture as its guide, and samples of what may be where nothing is.

The guide is made in training as in use. Holes hold a push-pull pyramid's colour, so that what an autoencoder sees
around a hole is near to what may be there; the host's nodes make them grey, and then the pyramid works on latents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checkpoint.format import read_checkpoint
from ..checkpoint.load import networks_of
from ..config import Kind, ModelConfig
from ..errors import CheckpointError
from ..models.guide import Guide
from ..models.unet import VideoUNet
from ..motion.fill import TEXTURE, fill, filled_latents
from ..shot.resize import inner_size
from ..shot.settings import SamplingConfig
from .autoencoders import LatentCodec
from .components import load_codec
from .precision import default_device
from .sampling import Conditioning, NoiseStream, Text, sample_latents

GREY = 0.5
AREA = 256 * 256  # pixels that a model works on: larger pictures are made smaller for it
FILLING = SamplingConfig(steps=8, cfg=1.0)


def guide_of(codec: LatentCodec, pictures: Tensor, known: Tensor) -> Guide:
    """What the program tells a model of pictures [N, 3, H, W] in 0..1, known [N, 1, H, W], sides multiples of 8."""
    filled = torch.stack([fill(one, where, texture=0) for one, where in zip(pictures, known, strict=True)])
    return Guide(codec.encode(filled.clamp(0, 1)).unsqueeze(2), F.avg_pool2d(known, codec.downscale).unsqueeze(2))


def greyed_guide_of(codec: LatentCodec, pictures: Tensor, known: Tensor) -> Guide:
    """What a model is told of the same by the host's nodes: holes are grey, and a cell is known or it is not."""
    latents = codec.encode(torch.lerp(torch.full_like(pictures, GREY), pictures, known))
    there = 1 - F.interpolate(1 - known, latents.shape[-2:], mode="bilinear").round()
    return Guide(filled_latents(latents, there).unsqueeze(2), there.unsqueeze(2))


def sampled(
    unet: VideoUNet, model: ModelConfig, guide: Guide, seeds: Sequence[int], sampling: SamplingConfig = FILLING
) -> Tensor:
    """What may be there: model-space latents [N, C, h, w], one for each seed. guide: of as many pictures, or of one."""
    height, width = guide.latents.shape[-2:]
    unread = guide.latents.new_zeros(1, 1, model.unet.cross_attention_dim)
    given = Conditioning(Text(unread, unread).expand(len(seeds)), guide)
    noise = [NoiseStream(seed) for seed in seeds]
    return sample_latents(unet, model.diffusion, given, noise, (1, height, width), sampling)[:, :, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Filler:
    """A fill model with its autoencoder, in the place of `motion/fill.py`'s pyramid.

    seed: of what it makes up. texture: as `fill` has it, of the detail that is lost on the model's way. steps: of
    sampling; one step makes the mean of what may be there.
    """

    unet: VideoUNet
    model: ModelConfig
    codec: LatentCodec
    seed: int = 0
    texture: float = TEXTURE
    steps: int = FILLING.steps

    @classmethod
    def load(cls, path: str | Path, seed: int = 0, device: torch.device | None = None) -> Self:
        """Of a file, whose autoencoder is in it or beside it. Raises CheckpointError for what is no fill model."""
        path, device = Path(path), device or default_device()
        checkpoint = read_checkpoint(path)
        model = checkpoint.header.config
        if not model.unet.fills:
            kind = checkpoint.header.kind
            raise CheckpointError(f"{path}: is a file of kind {kind} that fills nothing; name a fill model")
        networks = networks_of(checkpoint, path, kind=Kind.IMAGE)
        networks.to_(device, torch.float32)
        codec = load_codec(path, checkpoint)
        codec.to_(device, torch.float32)
        return cls(networks.unet, model, codec, seed)

    def __call__(self, picture: Tensor, known: Tensor) -> Tensor:
        """[3, H, W] of any size and what is known of it [1, H, W], both as `fill` takes them -> [3, H, W]."""
        if not bool((known > 0).any()):
            return fill(picture, known)
        (broad,) = self.samples(picture, known, [self.seed])
        return fill(picture, known, self.texture, broad=broad).clamp(0, 1)

    @torch.no_grad()
    def samples(self, picture: Tensor, known: Tensor, seeds: Sequence[int]) -> Tensor:
        """All of what the model makes of it, for each seed, [N, 3, H, W], before the picture's own is put back."""
        size, device = picture.shape[1:], next(self.unet.parameters()).device
        width, height = inner_size((size[1], size[0]), min(AREA, math.prod(size)), self.codec.downscale)
        working = max(self.codec.downscale, height), max(self.codec.downscale, width)
        small, where = (_resized(one[None].float(), working) for one in (_whole(picture, known), known))
        guide = guide_of(self.codec, small.to(device), where.to(device))
        made = self.codec.decode(sampled(self.unet, self.model, guide, seeds, replace(FILLING, steps=self.steps)))
        return _resized(made, size).to(picture.device)


def _whole(picture: Tensor, known: Tensor) -> Tensor:
    """Without holes, whose content must not come into what is around them when it is made smaller."""
    return fill(picture, known, texture=0)


def _resized(pictures: Tensor, size: Sequence[int]) -> Tensor:
    """[N, C, H, W] in 0..1 -> [N, C, *size]."""
    if tuple(pictures.shape[-2:]) == tuple(size):
        return pictures
    return F.interpolate(pictures, tuple(size), mode="bicubic", antialias=True).clamp(0, 1)
