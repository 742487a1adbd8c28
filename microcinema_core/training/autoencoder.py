"""The autoencoder stage: crops of single Toybox frames, half of them around the shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import VAE, Checkpoint, Header, save_checkpoint_file
from ..config import Kind, LatentConfig, ModelConfig, preset
from ..errors import ConfigError
from ..media import Frames, to_uint8
from ..shot.timing import frame_times
from ..standalone.autoencoders import build_autoencoder, to_host_keys
from ..worlds.toybox.world import render, sample_scene
from .config import TrainConfig
from .stage import Draw, Findings, Stage, all_of

LATENT_NOISE = 0.05  # the decoder will be given latents that a diffusion model only nearly hits
LATENT_PENALTY = 1e-5
HELD_OUT_FRAMES = 24
STATISTICS_FRAMES = 64
AT_ONCE = 8  # frames, where no gradients are kept
SHOWN = 8


@dataclass(frozen=True, slots=True)
class PixelBatch:
    """pixels: [B, 3, H, W] in -1..1."""

    pixels: Tensor

    def to(self, device: torch.device) -> PixelBatch:
        return PixelBatch(self.pixels.to(device))


class NoisyAutoencoder(nn.Module):
    """Encoder and decoder with a little noise between them, as one call."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, 3, H, W] in -1..1 and unit noise in the latents' shape -> (latents, restored pixels)."""
        latents = self.vae.encoder(pixels)
        return latents, self.vae.decoder(latents + LATENT_NOISE * noise)


@dataclass(frozen=True, slots=True)
class Crops:
    """Squares of single frames."""

    times: Sequence[float]
    size: int
    crop: int
    count: int

    def __call__(self, draw: Draw) -> PixelBatch:
        return PixelBatch(torch.stack([_to_tensor(self._drawn(draw.rng)) for _ in range(self.count)]))

    def _drawn(self, rng: np.random.Generator) -> Frames:
        """[crop, crop, 3]."""
        size, crop = self.size, self.crop
        scene = sample_scene(rng, self.times)
        t = float(rng.uniform(self.times[0], self.times[-1]))
        x, y, _ = scene.state(t)
        if rng.random() < 0.3:
            x, y = rng.uniform(0, 1, 2)
        jitter = rng.uniform(-0.35, 0.35, 2) * crop
        left, top = (int(np.clip(c * size - crop / 2 + j, 0, size - crop)) for c, j in zip((x, y), jitter, strict=True))
        frame: Frames = render(scene, [t], size)[0, top : top + crop, left : left + crop]
        return frame


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Squared and absolute error of the restored pixels; the latents stay small."""

    channels: int
    downscale: int

    def __call__(self, model: Callable[..., Any], batch: PixelBatch, draw: Draw) -> dict[str, Tensor]:
        pixels = batch.pixels.to(memory_format=torch.channels_last)
        height, width = (side // self.downscale for side in pixels.shape[-2:])
        noise = torch.randn((len(pixels), self.channels, height, width), generator=draw.generator)
        latents, restored = model(pixels, noise.to(pixels))
        return {
            "squared": F.mse_loss(restored.float(), pixels),
            "absolute": 0.1 * F.l1_loss(restored.float(), pixels),
            "latent": LATENT_PENALTY * latents.float().square().mean(),
        }


@dataclass(frozen=True, slots=True)
class WholeFrames:
    """Whole frames at the times of a clip, the same for every call: pixels -1..1."""

    times: Sequence[float]
    size: int
    seed: int

    def drawn(self, count: int, *, stream: int, held_out: bool) -> Tensor:
        """[count, 3, size, size]; held_out: of combinations that training never draws."""
        rng = np.random.default_rng([self.seed, 1 << 40, stream])
        frames = []
        for _ in range(count):
            scene = sample_scene(rng, self.times, held_out=held_out)
            frames.append(_to_tensor(render(scene, [float(rng.choice(self.times))], self.size)[0]))
        return torch.stack(frames)


class RestoredFrames:
    """The report: how well whole frames come back, and some of them beside what came back."""

    def __init__(self, vae: Any, frames: WholeFrames) -> None:
        self.vae, self.frames = vae, frames

    @cached_property
    def held_out(self) -> Tensor:
        """[N, 3, H, W] in -1..1."""
        return self.frames.drawn(HELD_OUT_FRAMES, stream=1, held_out=True)

    def __call__(self) -> Findings:
        held_out = self.held_out.to(_device(self.vae))
        restored = torch.cat([self.vae.decoder(self.vae.encoder(part)) for part in held_out.split(AT_ONCE)])
        restored = restored.clamp(-1, 1)
        decibels = -10 * torch.log10(((restored - held_out) / 2).square().mean(dim=(1, 2, 3)))
        rows = [to_uint8(frames[:SHOWN] / 2 + 0.5) for frames in (held_out, restored)]
        return Findings({"psnr_median": decibels.median().item(), "psnr_lowest": decibels.min().item()}, rows)


@dataclass(frozen=True, slots=True)
class AutoencoderFile:
    """What is exported; its header says by which mean and deviation its latents become a model's."""

    vae: Any
    config: ModelConfig
    frames: WholeFrames

    def __call__(self, path: Path, provenance: dict[str, Any]) -> None:
        header = Header(Kind.AUTOENCODER, replace(self.config, latent=self._measured()), provenance=provenance)
        save_checkpoint_file(path, Checkpoint(header, {VAE: to_host_keys(self.vae.state_dict())}))

    def _measured(self) -> LatentConfig:
        """Mean and deviation of each channel, on frames of combinations that are trained on."""
        frames = self.frames.drawn(STATISTICS_FRAMES, stream=2, held_out=False).to(_device(self.vae))
        latents = torch.cat([self.vae.encoder(part) for part in frames.split(AT_ONCE)]).float()
        mean, std = (f(latents.transpose(0, 1).flatten(1), dim=1).tolist() for f in (torch.mean, torch.std))
        return LatentConfig(mean=tuple(round(m, 5) for m in mean), std=tuple(round(s, 5) for s in std))


def autoencoder(config: TrainConfig) -> Stage[PixelBatch]:
    """Pixels to latents and back.

    Raises ConfigError for a preset that has no autoencoder of its own, and for crops that it or its frames cannot have.
    """
    model = preset(config.preset)
    if model.vae is None:
        raise ConfigError(f"train: preset {config.preset} has no autoencoder of its own to train")
    crop, downscale, width = config.data.crop, model.latent.downscale, model.clip.width
    if crop % downscale or crop > width:
        raise ConfigError(f"train: data.crop must be a multiple of {downscale} and at most {width}, got {crop}")
    vae = build_autoencoder(model.vae)
    times = frame_times(model.clip.frames, model.clip.fps, model.clip.frames // 2)
    frames = WholeFrames(times, model.clip.width, config.seed)
    trained = NoisyAutoencoder(vae)
    return Stage(
        model=trained,
        source=Crops(times, model.clip.width, config.data.crop, config.batch),
        loss=Reconstruction(model.vae.latent_channels, model.latent.downscale),
        report=RestoredFrames(vae, frames),
        export=AutoencoderFile(vae, model, frames),
        groups=all_of(trained),
    )


def _device(vae: nn.Module) -> torch.device:
    """Where it is now: the loop moves what it trains."""
    return next(vae.parameters()).device


def _to_tensor(frame: Frames) -> Tensor:
    """[H, W, 3] in 0..255 -> [3, H, W] in -1..1."""
    return torch.from_numpy(frame).permute(2, 0, 1).float() / 127.5 - 1
