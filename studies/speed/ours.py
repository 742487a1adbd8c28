"""Our networks, with random weights, in the jobs that are measured."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Self, cast

import torch
from torch import Tensor

from microcinema_core.config import ClipConfig, DiffusionConfig, LatentConfig, ModelConfig, UNetConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.injection import Appearance
from microcinema_core.models.unet import VideoUNet
from microcinema_core.shot.segments import ends_of
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.standalone.replaying import ReplayedUNet
from microcinema_core.standalone.sampling import Conditioning, NoiseStream, Text, sample_latents, sample_segments

from .given import Given, Place, random_network
from .plan import SEGMENT

FPS = 2.0


class Ours:
    """VideoUNet and AppearNet of one size; the latter is made when it is asked for."""

    def __init__(self, config: UNetConfig, place: Place) -> None:
        self.config, self.place = config, place
        self.unet: VideoUNet = random_network(lambda: VideoUNet(config), place)
        self.features: dict[int, Appearance] = {}  # by the latent's side

    @cached_property
    def appearnet(self) -> AppearNet:
        network: AppearNet = random_network(lambda: AppearNet(self.config), self.place)
        return network

    def appearance(self, given: Given) -> Appearance:
        """A keyframe's, for any number of frames. AppearNet is given up then: a step does not need it."""
        side = given.x.shape[-1]
        if side not in self.features:
            self.features[side] = self.appearnet(Guide(given.keyframe))
            self.__dict__.pop("appearnet")
        return self.features[side]

    def step(self, given: Given, appearance: Appearance | None) -> Tensor:
        """One denoising step without guidance, x [B, C, T, h, w] -> same. appearance: None leaves it out."""
        return self.unet(given.x, given.t, given.text, appearance, self.times(given, FPS))

    def compiled(self, backend: str) -> Self:
        """The same networks, the U-Net through torch.compile."""
        other = copy(self)
        other.unet = compiled(self.unet, backend)
        return other

    def replayed(self) -> Self:
        """The same networks, the U-Net as a CUDA graph."""
        other = copy(self)
        other.unet = cast(VideoUNet, ReplayedUNet(self.unet))
        return other

    def loop(self, given: Given, steps: int, cfg: float = 1.0) -> Tensor:
        """A whole run, to latents [1, C, T, h, w]: AppearNet once, then the steps; cfg 1 is without guidance."""
        guide = Guide(given.keyframe)
        text = Text(given.text[:1], given.text[-1:])
        conditioning = Conditioning(text, guide, self.appearnet(guide), self.times(given, FPS))
        size = (given.x.shape[2], *given.x.shape[-2:])
        sampling = SamplingConfig(steps=steps, cfg=cfg)
        return sample_latents(self.unet, DiffusionConfig(), conditioning, [NoiseStream(0)], size, sampling)

    def segment(self, given: Given, steps: int) -> Tensor:
        """Temporal super-resolution of one pair of frames, to latents [1, C, T, h, w].

        AppearNet runs on every interpolated latent, then the steps.
        """
        return self.segments(ends_of(given.x).float(), 0, range(1), given, steps, frames=given.x.shape[2])

    def segments(
        self, ends: Tensor, level: int, indices: range, given: Given, steps: int, frames: int = SEGMENT
    ) -> Tensor:
        """The same of the pairs `ends` [N, C, 2, h, w] of some pass, to latents [N, C, frames, h, w]."""
        networks, sampling = (self.unet, self.appearnet), SamplingConfig(steps=steps, cfg=1.0)
        model = ModelConfig(clip=ClipConfig(frames=frames))
        noise = [NoiseStream.segment(0, level, index) for index in indices]
        text = Text(given.text[:1], given.text[-1:])
        return sample_segments(networks, model, ends, level, FPS, text, noise, sampling)

    def times(self, given: Given, fps: float) -> Tensor:
        """Seconds from the centre frame, [T]."""
        frames = given.x.shape[2]
        return (torch.arange(frames, device=self.place.device) - frames // 2) / fps


def compiled(network: Any, backend: str) -> Any:
    """A network through torch.compile, anew for each size: a size of its own is what one is measured at."""
    return torch.compile(network, backend=backend, dynamic=False)


def codec_of(autoencoder: Any) -> LatentCodec:
    """Our decoding, a few frames at a time, by Stable Diffusion's own autoencoder."""

    def decoder(latents: Tensor) -> Tensor:
        pixels: Tensor = autoencoder.decode(latents, return_dict=False)[0]
        return pixels

    return LatentCodec(SimpleNamespace(decoder=decoder), LatentConfig())
