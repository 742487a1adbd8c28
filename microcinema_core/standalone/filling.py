"""Filling by a model: what is known of a picture as its guide, and samples of what may be where nothing is.

The guide is made in training as in use. Holes hold a push-pull pyramid's colour, so that what an autoencoder sees around
a hole is near to what may be there; nodes of the host make them grey, and the pyramid then works on latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import ModelConfig
from ..models.guide import Guide
from ..models.unet import VideoUNet
from ..motion.fill import fill
from ..shot.settings import SamplingConfig
from .autoencoders import LatentCodec
from .sampling import Conditioning, NoiseStream, Text, sample_latents

GREY = 0.5
FILLING = SamplingConfig(steps=8, cfg=1.0)


def guide_of(codec: LatentCodec, pictures: Tensor, known: Tensor) -> Guide:
    """What the program tells a model of pictures [N, 3, H, W] in 0..1, known [N, 1, H, W], sides multiples of 8."""
    filled = torch.stack([fill(one, where, texture=0) for one, where in zip(pictures, known, strict=True)])
    return Guide(codec.encode(filled.clamp(0, 1)).unsqueeze(2), F.avg_pool2d(known, codec.downscale).unsqueeze(2))


def greyed_guide_of(codec: LatentCodec, pictures: Tensor, known: Tensor) -> Guide:
    """What a model is told of the same by the host's nodes: holes are grey, and a cell is known or it is not."""
    latents = codec.encode(torch.lerp(torch.full_like(pictures, GREY), pictures, known))
    there = F.interpolate(1 - known, latents.shape[-2:], mode="bilinear").round().neg() + 1
    return Guide(filled_latents(latents, there).unsqueeze(2), there.unsqueeze(2))


def filled_latents(latents: Tensor, known: Tensor) -> Tensor:
    """Latents [N, C, h, w] whose cells that are not known, [N, 1, h, w] of 0 and 1, are filled from those that are."""
    return torch.stack([fill(one, where, texture=0, level=0) for one, where in zip(latents, known, strict=True)])


def sampled(
    unet: VideoUNet, model: ModelConfig, guide: Guide, seeds: Sequence[int], sampling: SamplingConfig = FILLING
) -> Tensor:
    """What may be there: model-space latents [N, C, h, w], one for each seed. guide: of as many pictures, or of one."""
    height, width = guide.latents.shape[-2:]
    unread = guide.latents.new_zeros(1, 1, model.unet.cross_attention_dim)
    given = Conditioning(Text(unread, unread).expand(len(seeds)), guide)
    noise = [NoiseStream(seed) for seed in seeds]
    return sample_latents(unet, model.diffusion, given, noise, (1, height, width), sampling)[:, :, 0]
