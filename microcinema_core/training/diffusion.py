"""The image and video stages: denoising latents of Toybox frames and clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import (
    APPEARNET,
    TEXT_ENCODER,
    UNET,
    VAE,
    Checkpoint,
    Header,
    load_strictly,
    read_checkpoint,
    read_header,
    save_checkpoint_file,
)
from ..checkpoint.inflate import inflate_
from ..checkpoint.load import expect_kind
from ..checkpoint.sections import Section, find_section
from ..config import Kind, ModelConfig, image_stage, preset, with_injection
from ..diffusion.prediction import Denoiser, Network
from ..diffusion.schedule import make_schedule
from ..errors import CheckpointError, ConfigError
from ..models.appearnet import AppearNet
from ..models.guide import Guide
from ..models.unet import VideoUNet, temporal_parameters
from ..standalone.components import companion_of, load_codec, load_text_encoder
from ..standalone.sampling import Conditioning, NoiseStream, SamplingConfig, Text, sample_latents
from ..worlds.toybox.captions import caption, still_caption
from ..worlds.toybox.tracker import read_clip, read_frame
from ..worlds.toybox.triples import Triple, read_triples
from ..worlds.toybox.world import Motion, render
from .config import TrainConfig
from .latents import Excerpt, LatentClips, latent_clips
from .sheets import save_sheet, to_uint8
from .stage import Draw, Stage

SHEET_SAMPLING = SamplingConfig(steps=12, cfg=2.0)
SHEET_ROWS = 8


class DiffusionStage(Stage):
    """What both stages share: frozen autoencoder and text encoder, cached latents, the noise schedule."""

    model_config: ModelConfig
    licence: str | None = None  # of the weights gone on from, where there are any

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.history: dict[str, Any] = {}
        self.device = PartialState().device
        self.carried: dict[str, Section] = {}
        if config.start_from and not (config.autoencoder or config.text_encoder):
            base = self._whole_model(existing(config.start_from, "start_from", config.stage))
        else:
            self.autoencoder = existing(config.autoencoder, "autoencoder", Kind.AUTOENCODER)
            self.text_file = existing(config.text_encoder, "text_encoder", Kind.TEXT_ENCODER)
            self.text, self.codec = load_text_encoder(self.text_file), load_codec(self.autoencoder)
            base = replace(preset(config.preset), latent=read_header(self.autoencoder).config.latent)
        self.base = base if config.clip is None else replace(base, clip=config.clip)
        if config.injection is not None:
            self.base = with_injection(self.base, config.injection)
        if config.prior_lambda is not None:
            self.base = replace(self.base, diffusion=replace(base.diffusion, prior_lambda=config.prior_lambda))
        self.schedule = make_schedule(base.diffusion.schedule)
        self.text.model.to(self.device)
        self.null = self.text.encode([""])

    def _whole_model(self, path: Path) -> ModelConfig:
        """Take the file's own autoencoder, text encoder and configuration; what is trained carries them on."""
        checkpoint = read_checkpoint(path)
        try:
            self.carried = {name: find_section(name, path, checkpoint) for name in (VAE, TEXT_ENCODER)}
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}, or name the files of both with `autoencoder` and `text_encoder`: training needs them"
            ) from error
        self.autoencoder = self.text_file = path
        self.text, self.codec = load_text_encoder(path, checkpoint), load_codec(path, checkpoint)
        return checkpoint.header.config

    @property
    def cache(self) -> Path:
        """Of all runs that share the folder of runs."""
        return Path(self.config.out).parent / "cache"

    def cached(self, excerpt: Excerpt, *, bf16: bool, count: int | None = None) -> LatentClips:
        """Latents of the training scenes, computed once."""
        data = self.config.data
        return latent_clips(self.autoencoder, excerpt, count or data.clips, data.seed, self.cache, bf16=bf16)

    def times(self, draw: Draw, count: int) -> Tensor:
        u = torch.rand(count, generator=draw.generator)
        return self.schedule.sample_time(u, self.config.towards_noise)

    def drop(self, draw: Draw, texts: list[str]) -> list[str]:
        """Some prompts become the null prompt, so that the model can be guided."""
        return ["" if draw.rng.random() < self.config.data.no_text else text for text in texts]

    def pairs(
        self, model: Network, batch: dict[str, Any], draw: Draw, guide: Guide | None, given: dict[str, Any]
    ) -> Tensor:
        """Squared error of the network's output (Eq. 5), through the same Denoiser that samples."""
        prior = self.model_config.diffusion.prior_lambda
        denoiser = Denoiser(model, self.schedule, self.model_config.diffusion.prediction, prior)
        noise = torch.randn(batch["latents"].shape, generator=draw.generator).to(batch["latents"])
        z_t, target = denoiser.training_pair(batch["latents"], guide, noise, batch["t"])
        context = self.text.encode(batch["texts"]).to(z_t)
        return F.mse_loss(model(z_t, batch["t"], context=context, **given).float(), target)

    def go_on_from(self, kind: Kind, modules: dict[str, nn.Module]) -> bool:
        """Fill the modules from `start_from`, whose own history then stands in this run's provenance."""
        if not self.config.start_from:
            return False
        path = existing(self.config.start_from, "start_from", kind)
        earlier = read_checkpoint(path)
        for section, module in modules.items():
            load_strictly(module, earlier.sections[section], f"{path}: {section}")
        self.history, self.licence = {"started_from": earlier.header.provenance}, earlier.header.licence
        return True

    def save(self, path: Path, kind: Kind, provenance: dict[str, Any], networks: dict[str, nn.Module]) -> None:
        """With the autoencoder and the text encoder in it where these came with the file gone on from."""
        sections = {name: network.state_dict() for name, network in networks.items()}
        header = Header(kind, self.model_config, provenance=provenance | self.history)
        if self.licence is not None:
            header = replace(header, licence=self.licence)
        if self.carried:
            sections |= {name: section.state for name, section in self.carried.items()}
            header = replace(header, tokenizer=self.carried[TEXT_ENCODER].header.tokenizer)
        else:
            companions = {VAE: companion_of(self.autoencoder), TEXT_ENCODER: companion_of(self.text_file)}
            header = replace(header, companions=companions)
        save_checkpoint_file(path, Checkpoint(header, sections))

    def decode(self, latents: Tensor) -> Tensor:
        """[B, C, T, h, w] -> pixels [B, T, 3, H, W]."""
        frames = latents.shape[2]
        return self.codec.decode(latents.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, frames))


def existing(path: str, key: str, kind: Kind) -> Path:
    if not path:
        raise ConfigError(f"train: this stage needs `{key}`, the file of an earlier stage")
    expect_kind(read_header(Path(path)), Path(path), kind)
    return Path(path)


class ImageStage(DiffusionStage):
    """Text to single frames."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.clips = self.cached(Excerpt(self.base.clip), bf16=config.precision == "bf16")
        self.model_config = image_stage(self.base)
        self.unet = VideoUNet(self.model_config.unet)
        self.model = self.unet
        self.go_on_from(Kind.IMAGE, {UNET: self.unet})

    def batch(self, draw: Draw) -> dict[str, Any]:
        latents, texts = [], []
        for _ in range(self.config.batch):
            clip, scene = self.clips.clip(int(draw.rng.integers(len(self.clips))), backwards=False)
            latents.append(clip[draw.rng.integers(len(clip))])
            texts.append(still_caption(scene, draw.rng) if draw.rng.random() < 0.5 else caption(scene, draw.rng))
        return {
            "latents": torch.stack(latents)[:, :, None],  # [B, C, 1, h, w]
            "texts": self.drop(draw, texts),
            "t": self.times(draw, self.config.batch),
        }

    def losses(self, model: Callable[..., Any], batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        return {"denoising": self.pairs(model, batch, draw, None, {})}

    def report(self, folder: Path, step: int) -> dict[str, float]:
        triples = select_triples(self.config.reported)
        prompts = [still_caption(triple.scene, np.random.default_rng(i)) for i, triple in enumerate(triples)]
        size = tuple(side // self.base.latent.downscale for side in (self.base.clip.height, self.base.clip.width))
        latents = sample_latents(
            self.unet,
            self.model_config.diffusion,
            Conditioning(Text(self.text.encode(prompts), self.null)),
            [NoiseStream(triple.seed) for triple in triples],
            (1, size[0], size[1]),
            SHEET_SAMPLING,
        )
        pictures = to_uint8(self.decode(latents)[:, 0])
        save_sheet(folder / f"step-{step:08d}.png", [pictures[i : i + 8] for i in range(0, len(pictures), 8)])
        seen = [read_frame(picture) for picture in pictures]
        right = [r.shape == t.scene.shape and r.colour == t.scene.colour for r, t in zip(seen, triples, strict=True)]
        return {"shape_and_colour_right": float(np.mean(right))}

    def export(self, path: Path, provenance: dict[str, Any]) -> None:
        self.save(path, Kind.IMAGE, provenance, {UNET: self.unet})


class VideoModel(nn.Module):
    """Both networks as one module, so that one call trains them together."""

    def __init__(self, unet: VideoUNet, appearnet: AppearNet) -> None:
        super().__init__()
        self.unet, self.appearnet = unet, appearnet

    def forward(self, z_t: Tensor, t: Tensor, context: Tensor, guide: Guide, frame_time: Tensor) -> Tensor:
        out: Tensor = self.unet(z_t, t, context, self.appearnet(guide), frame_time)
        return out


class VideoStage(DiffusionStage):
    """Keyframe and text to clips; inflated from the image stage where one is given."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.collect()
        self.model_config = self.base
        self.unet = VideoUNet(self.base.unet)
        self.appearnet = AppearNet(self.base.unet, text_length=self.null.shape[1])
        self.model = VideoModel(self.unet, self.appearnet)
        if not self.go_on_from(Kind.VIDEO, {UNET: self.unet, APPEARNET: self.appearnet}):
            image = read_checkpoint(existing(config.image, "image", Kind.IMAGE))
            inflate_(self.unet, self.appearnet, image.sections[UNET], self.null)

    def collect(self) -> None:
        """The clips to train on."""
        bf16, data = self.config.precision == "bf16", self.config.data
        if unknown := set(data.hard_motions) - set(Motion):
            raise ConfigError(f"train: hard_motions: {min(unknown)!r} is none of {', '.join(Motion)}")
        self.clips = self.cached(Excerpt(self.base.clip), bf16=bf16)
        others = {rate: Excerpt(replace(self.base.clip, fps=rate)) for rate in data.other_rates}
        self.other = [
            (rate, self.cached(excerpt, bf16=bf16, count=data.other_rate_clips)) for rate, excerpt in others.items()
        ]

    def groups(self, lr: float) -> list[dict[str, Any]]:
        new = {f"unet.{name}" for name in temporal_parameters(self.unet)}
        fresh = [p for name, p in self.model.named_parameters() if name in new or name.startswith("appearnet.")]
        spatial = [p for name, p in self.model.named_parameters() if not (name in new or name.startswith("appearnet."))]
        scale = self.config.optimiser.spatial_lr_scale
        if not scale:
            for parameter in spatial:
                parameter.requires_grad_(False)
            return [{"params": fresh, "scale": 1.0, "lr": lr}]
        return [{"params": fresh, "scale": 1.0, "lr": lr}, {"params": spatial, "scale": scale, "lr": lr}]

    def batch(self, draw: Draw) -> dict[str, Any]:
        clips, texts, keys, rates = [], [], [], []
        for _ in range(self.config.batch):
            rate, latents, text = self.excerpt(draw)
            clips.append(latents)
            rates.append(rate)
            texts.append(text)
            other = draw.rng.random() < self.config.data.other_keyframes
            keys.append(int(draw.rng.integers(len(latents))) if other else len(latents) // 2)
        stacked = torch.stack(clips)  # [B, T, C, h, w]
        frames, key = torch.arange(stacked.shape[1]), torch.tensor(keys)
        return {
            "latents": stacked.transpose(1, 2),
            "z_c": stacked[torch.arange(len(keys)), key].unsqueeze(2),  # [B, C, 1, h, w]
            "frame_time": (frames[None] - key[:, None]) / torch.tensor(rates)[:, None],
            "texts": self.drop(draw, texts),
            "t": self.times(draw, self.config.batch),
        }

    def excerpt(self, draw: Draw) -> tuple[float, Tensor, str]:
        """A clip's frame rate, its latents [T, C, h, w] and a sentence about it."""
        rate, stored = self._rate(draw)
        index, backwards = self._index(stored, draw), bool(draw.rng.random() < 0.5)
        latents, scene = stored.clip(index, backwards=backwards)
        return rate, latents, caption(scene, draw.rng)

    def _index(self, stored: LatentClips, draw: Draw) -> int:
        """Which clip; a share of them among the hard motions."""
        hard, data = self.config.data.hard_motions, self.config.data
        if not hard or draw.rng.random() >= data.hard_share:
            return int(draw.rng.integers(len(stored)))
        return int(draw.rng.choice([i for i, scene in enumerate(stored.scenes) if scene.motion in hard]))

    def _rate(self, draw: Draw) -> tuple[float, LatentClips]:
        """A clip's frame rate, and the clips at it."""
        if not self.other or draw.rng.random() >= self.config.data.other_rate_share:
            return self.base.clip.fps, self.clips
        return self.other[draw.rng.integers(len(self.other))]

    def losses(self, model: Callable[..., Any], batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        guide = Guide(batch["z_c"])
        given = {"guide": guide, "frame_time": batch["frame_time"]}
        return {"denoising": self.pairs(model, batch, draw, guide, given)}

    def report(self, folder: Path, step: int) -> dict[str, float]:
        triples = select_triples(self.config.reported)
        frames = self._generate(triples)
        save_sheet(folder / f"step-{step:08d}.png", list(frames[:SHEET_ROWS]))
        times = self._frame_times().tolist()
        seen = [read_clip(clip, times) for clip in frames]
        right = np.array([r.motion == t.scene.motion for r, t in zip(seen, triples, strict=True)])
        look = np.array(
            [r.shape == t.scene.shape and r.colour == t.scene.colour for r, t in zip(seen, triples, strict=True)]
        )
        return {"motion_right": right.mean(), "look_right": look.mean(), "all_right": (right & look).mean()}

    def _frame_times(self) -> Tensor:
        frames = self.base.clip.frames
        return (torch.arange(frames) - frames // 2) / self.base.clip.fps

    def _generate(self, triples: Sequence[Triple]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        pictures = np.concatenate([render(triple.scene, [0.0], self.base.clip.width) for triple in triples])
        z_c = self.codec.encode(torch.from_numpy(pictures).movedim(-1, 1).float() / 255)[:, :, None]
        guide = Guide(z_c)
        text = Text(self.text.encode([triple.prompt for triple in triples]), self.null)
        given = Conditioning(text, guide, self.appearnet(guide), self._frame_times())
        size = (self.base.clip.frames, *z_c.shape[-2:])
        noise = [NoiseStream(triple.seed) for triple in triples]
        latents = sample_latents(self.unet, self.model_config.diffusion, given, noise, size, SHEET_SAMPLING)
        return to_uint8(self.decode(latents))

    def export(self, path: Path, provenance: dict[str, Any]) -> None:
        self.save(path, Kind.VIDEO, provenance, {UNET: self.unet, APPEARNET: self.appearnet})


def select_triples(count: int) -> list[Triple]:
    """Always the same ones of the list for choosing checkpoints; the final list is never looked at in training.

    A random choice: the list goes through the motions in turn, and an even one would show few of them.
    """
    triples = read_triples("select")
    order = np.random.default_rng(0).permutation(len(triples))
    return [triples[i] for i in sorted(order[:count])]
