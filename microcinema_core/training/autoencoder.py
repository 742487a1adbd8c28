"""The autoencoder stage: crops of pictures, or of single Toybox frames, half of these around the shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import VAE, Checkpoint, Header, read_header, save_checkpoint_file
from ..config import Kind, LatentConfig, ModelConfig, VAEConfig, preset
from ..errors import ConfigError
from ..media import Frames, to_uint8
from ..shot.timing import frame_times
from ..standalone.autoencoders import build_autoencoder, to_host_keys
from ..standalone.components import load_codec
from ..worlds.toybox.world import render, sample_scene
from .config import TrainConfig
from .data.pictures import SELECT, TRAIN, HeldPictures, digest, fitted, moved, read_folder
from .earlier import start_file, with_history
from .stage import Draw, Findings, Source, Stage, all_of

HELD_OUT_FRAMES = 24
STATISTICS_FRAMES = 64
AT_ONCE = 8  # frames, where no gradients are kept
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts beside the squared error of a pixel, and the noise between encoder and decoder."""

    noise: float = 0.05  # the decoder will be given latents that a diffusion model only nearly hits
    absolute: float = 0.1
    gradients: float = 0.0  # absolute error of what changes from a pixel to the next: edges, grain
    latent: float = 1e-5  # keeps latents small


TOYBOX_TERMS = Terms()
PICTURE_TERMS = Terms(noise=0.02, absolute=0.2, gradients=0.15)


@dataclass(frozen=True, slots=True)
class PixelBatch:
    """pixels: [B, 3, H, W] in -1..1."""

    pixels: Tensor

    def to(self, device: torch.device) -> PixelBatch:
        return PixelBatch(self.pixels.to(device))


class NoisyAutoencoder(nn.Module):
    """Encoder and decoder with a little noise between them, as one call."""

    def __init__(self, vae: Any, noise: float) -> None:
        super().__init__()
        self.vae, self.noise = vae, noise

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, 3, H, W] in -1..1 and unit noise in the latents' shape -> (latents, restored pixels)."""
        latents = self.vae.encoder(pixels)
        return latents, self.vae.decoder(latents + self.noise * noise)


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
class PictureCrops:
    """Squares of pictures."""

    pictures: HeldPictures
    crop: int
    count: int

    def __call__(self, draw: Draw) -> PixelBatch:
        return PixelBatch(self.pictures.drawn(draw.rng, self.count, self.crop))


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Error of the restored pixels; the latents stay small."""

    channels: int
    downscale: int
    terms: Terms

    def __call__(self, model: Callable[..., Any], batch: PixelBatch, draw: Draw) -> dict[str, Tensor]:
        pixels = batch.pixels.to(memory_format=torch.channels_last)
        height, width = (side // self.downscale for side in pixels.shape[-2:])
        noise = torch.randn((len(pixels), self.channels, height, width), generator=draw.generator)
        latents, restored = model(pixels, moved(noise, pixels.device))
        losses = {
            "squared": F.mse_loss(restored.float(), pixels),
            "absolute": self.terms.absolute * F.l1_loss(restored.float(), pixels),
            "latent": self.terms.latent * latents.float().square().mean(),
        }
        if self.terms.gradients:
            losses["gradients"] = self.terms.gradients * _changes(restored.float() - pixels)
        return losses


def _changes(error: Tensor) -> Tensor:
    """How much [B, C, H, W] changes from a pixel to the next, down and across: a scalar."""
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


class Whole(Protocol):
    """Whole pictures [N, 3, H, W] in -1..1, the same for every call."""

    def held_out(self) -> Tensor:
        """Which training never draws."""

    def learnt(self) -> Tensor:
        """Some of those that it draws."""


@dataclass(frozen=True, slots=True)
class WholeFrames:
    """Whole frames at the times of a clip, the same for every call: pixels -1..1."""

    times: Sequence[float]
    size: int
    seed: int

    def held_out(self) -> Tensor:
        """[N, 3, size, size]"""
        return self.drawn(HELD_OUT_FRAMES, stream=1, held_out=True)

    def learnt(self) -> Tensor:
        """[N, 3, size, size]"""
        return self.drawn(STATISTICS_FRAMES, stream=2, held_out=False)

    def drawn(self, count: int, *, stream: int, held_out: bool) -> Tensor:
        """[count, 3, size, size]; held_out: of combinations that training never draws."""
        rng = np.random.default_rng([self.seed, 1 << 40, stream])
        frames = []
        for _ in range(count):
            scene = sample_scene(rng, self.times, held_out=held_out)
            frames.append(_to_tensor(render(scene, [float(rng.choice(self.times))], self.size)[0]))
        return torch.stack(frames)


@dataclass(frozen=True, slots=True)
class WholePictures:
    """Squares of pictures, in an order in which the first are of all kinds."""

    select: Sequence[Frames]
    train: Sequence[Frames]
    size: int

    def held_out(self) -> Tensor:
        """[N, 3, size, size]"""
        return fitted(_mixed(self.select), self.size)

    def learnt(self) -> Tensor:
        """[N, 3, size, size]"""
        return fitted(_mixed(self.train)[:STATISTICS_FRAMES], self.size)


def _mixed(pictures: Sequence[Frames]) -> list[Frames]:
    return [pictures[i] for i in np.random.default_rng(0).permutation(len(pictures))]


class RestoredFrames:
    """The report: how well whole frames come back, and some of them beside what came back."""

    def __init__(self, vae: Any, frames: Whole) -> None:
        self.vae, self.frames = vae, frames

    @cached_property
    def held_out(self) -> Tensor:
        """[N, 3, H, W] in -1..1."""
        return self.frames.held_out()

    def __call__(self) -> Findings:
        held_out = self.held_out.to(_device(self.vae))
        restored = torch.cat([self.vae.decoder(self.vae.encoder(part)) for part in held_out.split(AT_ONCE)])
        restored = restored.clamp(-1, 1)
        decibels = -10 * torch.log10(((restored - held_out) / 2).square().mean(dim=(1, 2, 3)))
        rows = [to_uint8(frames[:SHOWN] / 2 + 0.5) for frames in (held_out, restored)]
        return Findings({"psnr_median": decibels.median().item(), "psnr_lowest": decibels.min().item()}, rows)


@dataclass(frozen=True, slots=True)
class AutoencoderFile:
    """What is exported; its header says by which mean and deviation its latents become a model's.

    earlier: the header of the file gone on from. told: what provenance says beside what the run is configured to do.
    """

    vae: Any
    config: ModelConfig
    frames: Whole
    earlier: Header | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, path: Path, provenance: dict[str, Any]) -> None:
        config = replace(self.config, latent=self._measured())
        header = with_history(Header(Kind.AUTOENCODER, config, provenance={**provenance, **self.told}), self.earlier)
        save_checkpoint_file(path, Checkpoint(header, {VAE: to_host_keys(self.vae.state_dict())}))

    def _measured(self) -> LatentConfig:
        """Mean and deviation of each channel, on what is trained on."""
        frames = self.frames.learnt().to(_device(self.vae))
        latents = torch.cat([self.vae.encoder(part) for part in frames.split(AT_ONCE)]).float()
        mean, std = (f(latents.transpose(0, 1).flatten(1), dim=1).tolist() for f in (torch.mean, torch.std))
        return LatentConfig(mean=tuple(round(m, 5) for m in mean), std=tuple(round(s, 5) for s in std))


@dataclass(frozen=True, slots=True)
class Material:
    """What is learnt from: where batches come from, whole pictures for reports, the loss, and what a file says."""

    source: Source[PixelBatch]
    whole: Whole
    terms: Terms
    told: Mapping[str, Any] = field(default_factory=dict)


def _toybox(config: TrainConfig, model: ModelConfig) -> Material:
    times, width = frame_times(model.clip.frames, model.clip.fps, model.clip.frames // 2), model.clip.width
    crops = Crops(times, width, config.data.crop, config.batch)
    return Material(crops, WholeFrames(times, width, config.seed), TOYBOX_TERMS)


def _pictures(config: TrainConfig, model: ModelConfig) -> Material:
    data, folder = config.data, Path(config.data.pictures)
    train, select = (read_folder(folder / part, data.crop, data.workers) for part in (TRAIN, SELECT))
    held = HeldPictures.of(train, data.crop, PartialState().device)
    told = {"pictures": {"train": len(train), "select": len(select), "sha256": digest(train)}}
    torch.backends.cudnn.benchmark = True  # crops have one size
    whole = WholePictures(select, train, model.clip.width)
    return Material(PictureCrops(held, data.crop, config.batch), whole, PICTURE_TERMS, told)


def autoencoder(config: TrainConfig) -> Stage[PixelBatch]:
    """Pixels to latents and back.

    Raises ConfigError for a preset that has no autoencoder of its own, for crops that it or its frames cannot have, for
    pictures that are not there and for a file to start from whose autoencoder is another; CheckpointError for no file.
    """
    model = preset(config.preset)
    if model.vae is None:
        raise ConfigError(f"train: preset {config.preset} has no autoencoder of its own to train")
    crop, downscale, width = config.data.crop, model.latent.downscale, model.clip.width
    if crop % downscale or crop > width:
        raise ConfigError(f"train: data.crop must be a multiple of {downscale} and at most {width}, got {crop}")
    vae, earlier = _begun(config, model.vae)
    material = _pictures(config, model) if config.data.pictures else _toybox(config, model)
    trained = NoisyAutoencoder(vae, material.terms.noise)
    return Stage(
        model=trained,
        source=material.source,
        loss=Reconstruction(model.vae.latent_channels, model.latent.downscale, material.terms),
        report=RestoredFrames(vae, material.whole),
        export=AutoencoderFile(vae, model, material.whole, earlier, material.told),
        groups=all_of(trained),
    )


def _begun(config: TrainConfig, sizes: VAEConfig) -> tuple[Any, Header | None]:
    """The autoencoder with the weights of `start_from`, and that file's header; without any training where none is."""
    if not config.start_from:
        return build_autoencoder(sizes), None
    path = start_file(config)
    earlier = read_header(path)
    if earlier.config.vae != sizes:
        raise ConfigError(f"{path}: holds an autoencoder of other sizes than preset {config.preset}'s; name another")
    return load_codec(path).vae.train(), earlier


def _device(vae: nn.Module) -> torch.device:
    """Where it is now: the loop moves what it trains."""
    return next(vae.parameters()).device


def _to_tensor(frame: Frames) -> Tensor:
    """[H, W, 3] in 0..255 -> [3, H, W] in -1..1."""
    return torch.from_numpy(frame).permute(2, 0, 1).float() / 127.5 - 1
