"""The autoencoder stage: crops of single Toybox frames, half of them around the shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import VAE, Checkpoint, Header, save_checkpoint_file
from ..config import Kind, LatentConfig, VAEConfig, preset
from ..errors import ConfigError
from ..standalone.autoencoders import build_autoencoder, to_host_keys
from ..worlds.toybox.world import clip_times, render, sample_scene
from .config import TrainConfig
from .sheets import save_sheet, to_uint8
from .stage import Draw, Stage

LATENT_NOISE = 0.05  # the decoder will be given latents that a diffusion model only nearly hits
LATENT_PENALTY = 1e-5
HELD_OUT_FRAMES = 24
STATISTICS_FRAMES = 64


class Reconstruction(nn.Module):
    """Encoder and decoder with a little noise between them, as one call."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, 3, H, W] in -1..1 and unit noise in the latents' shape -> (latents, restored pixels)."""
        latents = self.vae.encoder(pixels)
        return latents, self.vae.decoder(latents + LATENT_NOISE * noise)


class AutoencoderStage(Stage):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.preset = preset(config.preset)
        if self.preset.vae is None:
            raise ConfigError(f"train: preset {config.preset} has no autoencoder of its own to train")
        self.vae_config: VAEConfig = self.preset.vae
        self.vae = build_autoencoder(self.vae_config)
        self.model = Reconstruction(self.vae)
        self.times = clip_times(self.preset.clip.frames, self.preset.clip.fps, self.preset.clip.frames // 2)

    def batch(self, draw: Draw) -> dict[str, Any]:
        frames = [_to_tensor(self._crop(draw.rng)) for _ in range(self.config.batch)]
        return {"pixels": torch.stack(frames)}

    def _crop(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        size, crop = self.preset.clip.width, self.config.data.crop
        scene = sample_scene(rng, self.times)
        t = float(rng.uniform(self.times[0], self.times[-1]))
        x, y, _ = scene.state(t)
        if rng.random() < 0.3:
            x, y = rng.uniform(0, 1, 2)
        jitter = rng.uniform(-0.35, 0.35, 2) * crop
        left, top = (int(np.clip(c * size - crop / 2 + j, 0, size - crop)) for c, j in zip((x, y), jitter, strict=True))
        frame: NDArray[np.uint8] = render(scene, [t], size)[0, top : top + crop, left : left + crop]
        return frame

    def losses(self, model: Callable[..., Any], batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        pixels = batch["pixels"].to(memory_format=torch.channels_last)
        side = self.config.data.crop // self.preset.latent.downscale
        noise = torch.randn((len(pixels), self.vae_config.latent_channels, side, side), generator=draw.generator)
        latents, restored = model(pixels, noise.to(pixels))
        return {
            "squared": F.mse_loss(restored.float(), pixels),
            "absolute": 0.1 * F.l1_loss(restored.float(), pixels),
            "latent": LATENT_PENALTY * latents.float().square().mean(),
        }

    @cached_property
    def held_out(self) -> Tensor:
        """Whole frames of combinations that training never draws, pixels -1..1."""
        return self._frames(HELD_OUT_FRAMES, stream=1, held_out=True)

    def _frames(self, count: int, *, stream: int, held_out: bool) -> Tensor:
        rng = np.random.default_rng([self.config.seed, 1 << 40, stream])
        frames = []
        for _ in range(count):
            scene = sample_scene(rng, self.times, held_out=held_out)
            frames.append(_to_tensor(render(scene, [float(rng.choice(self.times))], self.preset.clip.width)[0]))
        return torch.stack(frames)

    def report(self, folder: Path, step: int) -> dict[str, float]:
        restored = torch.cat([self.vae.decoder(self.vae.encoder(part)) for part in self.held_out.split(8)]).clamp(-1, 1)
        decibels = -10 * torch.log10(((restored - self.held_out) / 2).square().mean(dim=(1, 2, 3)))
        pairs = [to_uint8(part[:8] / 2 + 0.5) for part in (self.held_out, restored)]
        save_sheet(folder / f"step-{step:08d}.png", pairs)
        return {"psnr_median": decibels.median().item(), "psnr_lowest": decibels.min().item()}

    def export(self, path: Path, provenance: dict[str, Any]) -> None:
        frames = self._frames(STATISTICS_FRAMES, stream=2, held_out=False)
        latents = torch.cat([self.vae.encoder(part) for part in frames.split(8)]).float()
        mean, std = (f(latents.transpose(0, 1).flatten(1), dim=1).tolist() for f in (torch.mean, torch.std))
        rounded = LatentConfig(mean=tuple(round(m, 5) for m in mean), std=tuple(round(s, 5) for s in std))
        header = Header(Kind.AUTOENCODER, replace(self.preset, latent=rounded), provenance=provenance)
        save_checkpoint_file(path, Checkpoint(header, {VAE: to_host_keys(self.vae.state_dict())}))


def _to_tensor(frame: NDArray[np.uint8]) -> Tensor:
    """[H, W, 3] in 0..255 -> [3, H, W] in -1..1."""
    return torch.from_numpy(frame).permute(2, 0, 1).float() / 127.5 - 1
