"""The video stage on videos of one's own: the way on from a file that `inflate` or `convert` made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..config import ClipConfig
from ..errors import ConfigError
from ..models.guide import Guide
from ..standalone.sampling import Conditioning, NoiseStream, Text, sample_latents
from .diffusion import SHEET_SAMPLING, VideoStage
from .films import Film, FilmClips, film_clips, find_films, length_of
from .sheets import save_sheet, to_uint8
from .stage import Draw

HELD_OUT_EVERY = 10  # of so many films one is kept for the reports, where there are as many
REPORT = 1 << 40  # what the reports draw, training's steps never reach


class FilmStage(VideoStage):
    """Keyframe and text to clips, from a folder of videos with a sentence beside each."""

    def collect(self) -> None:
        """Excerpts at the model's own frame rate and at the other rates, and those for the reports."""
        data = self.config.data
        if data.hard_motions:
            raise ConfigError("train: hard_motions are Toybox's; leave them out with `videos`")
        rates = (self.base.clip.fps, *data.other_rates)
        clips = [replace(self.base.clip, fps=rate) for rate in rates]
        films = find_films(Path(self.config.videos), max(map(length_of, clips)))
        kept = films[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
        used = [film for i, film in enumerate(films, start=1) if i % HELD_OUT_EVERY]
        counts = (data.clips, *[data.other_rate_clips] * len(data.other_rates))
        self.codec.vae.to(self.device)

        def excerpts(of: Sequence[Film], clip: ClipConfig, count: int, seed: int) -> FilmClips:
            return film_clips(of, self.codec, self.autoencoder, clip, count, seed, self.cache)

        self.stores = [excerpts(used, clip, count, data.seed) for clip, count in zip(clips, counts, strict=True)]
        self.held_out = excerpts(kept or used, clips[0], self.config.reported, data.seed + REPORT)
        self.rates = rates

    def excerpt(self, draw: Draw) -> tuple[float, Tensor, str]:
        others = len(self.rates) > 1 and draw.rng.random() < self.config.data.other_rate_share
        number = int(draw.rng.integers(1, len(self.rates))) if others else 0
        store = self.stores[number]
        index = int(draw.rng.integers(len(store)))
        return self.rates[number], store.latents[index].float(), store.texts[index]

    def report(self, folder: Path, step: int) -> dict[str, float]:
        """A sheet of clips, each below the true one whose centre frame was its keyframe; the loss on the true."""
        rows = []
        for i, (latents, text) in enumerate(zip(self.held_out.latents, self.held_out.texts, strict=True)):
            true = latents.float().to(self.device).transpose(0, 1)[None]  # [1, C, T, h, w]
            rows += [to_uint8(self.decode(clip)[0]) for clip in (true, self._made(true, text, i))]
        save_sheet(folder / f"step-{step:08d}.png", rows)
        return {"denoising": sum(map(self._error, range(len(self.held_out)))) / len(self.held_out)}

    def _made(self, true: Tensor, text: str, seed: int) -> Tensor:
        frames = true.shape[2]
        guide = Guide(true[:, :, frames // 2 : frames // 2 + 1])
        read = Text(self.text.encode([text]).to(true), self.null.to(true))
        given = Conditioning(read, guide, self.appearnet(guide), self._frame_times().to(true))
        size = (frames, *true.shape[-2:])
        noise = [NoiseStream(seed)]
        return sample_latents(self.unet, self.model_config.diffusion, given, noise, size, SHEET_SAMPLING)

    def _error(self, index: int) -> float:
        """The loss on one held-out clip, at a time and with a noise that stay the same in every report."""
        draw = Draw.of(self.config.seed, REPORT + index)
        latents = self.held_out.latents[index].float().to(self.device).transpose(0, 1)[None]
        key = latents.shape[2] // 2
        batch = {
            "latents": latents,
            "z_c": latents[:, :, key : key + 1],
            "frame_time": self._frame_times().to(latents)[None],
            "texts": [self.held_out.texts[index]],
            "t": self.times(draw, 1).to(self.device),
        }
        return torch.stack(list(self.losses(self.model, batch, draw).values())).sum().item()
