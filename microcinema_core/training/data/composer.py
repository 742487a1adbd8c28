"""What the composer learns from: windows of rendered frames, and what an autoencoder makes of them smaller.

They are made once and kept, a file of them for each file of clips.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...checkpoint.kept import digest_of, read_kept, write_kept
from ...errors import CheckpointError, InputError
from ...files import sha256_of
from ...shot.composing import resized
from ...standalone.autoencoders import LatentCodec
from ...worlds.pocket.effects import Effect
from ..stage import Draw
from .pocket_files import Clips, clip_files, read_clips
from .shards import shard_folder

SIDE = 256  # pixels of a window
FACTORS, SHARES = (1, 2, 4), (0.25, 0.4, 0.35)  # of the model's size that frames have; of windows
FRAMES, PLAIN_FRAMES = 2, 1  # of a clip; of one in which nothing is asked
NOISE, NOISY = 0.12, 0.5  # deviations of the latents that are added to a share of them
ALIGNED = 8  # pixels between places where a crop may begin
logger = logging.getLogger("microcinema")


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """N windows of frames at the size that is wanted, uint8 or, as a batch, pixels 0..1.

    truth, drawn: [N, 3, H, W], the frame as it should be, and as the camera draws it. made, guide: [N, 3, H, W], both
    through the autoencoder at a smaller size. known: [N, 1, H, W]. effects: [N], their numbers in Effect. factors: [N].
    """

    truth: Tensor
    drawn: Tensor
    made: Tensor
    guide: Tensor
    known: Tensor
    effects: Tensor
    factors: Tensor

    def __len__(self) -> int:
        return len(self.truth)

    def to(self, device: torch.device) -> Windows:
        return Windows(**{name: part.to(device) for name, part in self.parts().items()})

    def parts(self) -> dict[str, Tensor]:
        """Its tensors by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def chosen(self, which: Tensor) -> Windows:
        """Some of them, by their numbers [n]."""
        return Windows(**{name: part[which] for name, part in self.parts().items()})

    def cut(self, top: int, left: int, side: int, *, mirrored: bool) -> Windows:
        """The same square of each."""
        return self._seen(lambda pixels: _square(pixels, top, left, side, mirrored))

    def as_pixels(self) -> Windows:
        """In 0..1."""
        return self._seen(lambda pixels: pixels.float() / 255)

    def _seen(self, way: Callable[[Tensor], Tensor]) -> Windows:
        """With all its pixels in another way."""
        truth, drawn, made, guide, known = map(way, (self.truth, self.drawn, self.made, self.guide, self.known))
        return Windows(truth, drawn, made, guide, known, self.effects, self.factors)

    @classmethod
    def together(cls, parts: Sequence[Windows]) -> Self:
        """All of several."""
        return cls(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)})


def _square(pixels: Tensor, top: int, left: int, side: int, mirrored: bool) -> Tensor:
    """[N, C, side, side] of [N, C, H, W]."""
    part = pixels[..., top : top + side, left : left + side]
    return part.flip(-1) if mirrored else part


@dataclass(frozen=True, slots=True)
class WindowMaker:
    """Windows of clips through an autoencoder, on its device.

    kept: the folder for them. noisy: share of latents that get noise. half: whether all is done in bfloat16.
    """

    codec: LatentCodec
    device: torch.device
    kept: Path
    noisy: float
    half: bool

    @classmethod
    def of(cls, codec: LatentCodec, device: torch.device, cache: Path, *, noisy: float, half: bool) -> Self:
        """cache: where folders of windows lie, one for each autoencoder and way of making them."""
        state = {key: value.cpu() for key, value in codec.vae.state_dict().items()}
        folder = shard_folder(cache, "windows", digest_of(state), SIDE, FACTORS, SHARES, FRAMES, NOISE, noisy, half)
        codec.vae.to(device)
        return cls(codec, device, folder, noisy, half)

    def folder(self, folder: Path) -> Windows:
        """Of all clips there. Raises InputError where there are none, or smaller ones than a window."""
        files = clip_files(folder)
        return Windows.together([self.file(path) for path in tqdm(files, desc=f"windows of {folder}", disable=None)])

    def file(self, path: Path) -> Windows:
        """Those of a file of clips, kept or made now, on the CPU."""
        held = self.kept / f"{sha256_of(path)[:16]}.safetensors"
        if held.exists():
            try:
                return Windows(**read_kept(held)[0])
            except (CheckpointError, TypeError) as error:
                logger.warning("%s; its windows are made once more", error)
        made = self._made(path)
        write_kept(held, made.parts())
        return made

    def _made(self, path: Path) -> Windows:
        clips = read_clips(path)
        if min(clips.truth.shape[-2:]) < SIDE:
            raise InputError(f"{path}: holds clips smaller than {SIDE} pixels; make some with --side {SIDE} or more")
        rng = np.random.default_rng(list(sha256_of(path).encode()))
        return Windows.together([self._of_clip(clips, number, rng) for number in range(len(clips))])

    @torch.no_grad()
    def _of_clip(self, clips: Clips, number: int, rng: np.random.Generator) -> Windows:
        """Of some of a clip's frames, all at one place and through one autoencoder."""
        effect = clips.told[number].asked.effect
        wanted = PLAIN_FRAMES if effect is Effect.NONE else FRAMES
        frames = torch.from_numpy(rng.permutation(clips.truth.shape[1])[:wanted])
        factor = int(rng.choice(FACTORS, p=SHARES))
        top, left = (ALIGNED * int(rng.integers((side - SIDE) // ALIGNED + 1)) for side in clips.truth.shape[-2:])
        part = (number, frames, slice(None), slice(top, top + SIDE), slice(left, left + SIDE))
        truth, drawn, known = clips.truth[part], clips.guide[part], clips.known[part]
        noise = NOISE if rng.random() < self.noisy else 0.0
        made, guide = self._through(truth, factor, noise, rng), self._through(drawn, factor, 0.0, rng)
        every = torch.ones(len(frames), dtype=torch.long)
        return Windows(truth, drawn, made, guide, known, every * list(Effect).index(effect), every * factor)

    def _through(self, frames: Tensor, factor: int, noise: float, rng: np.random.Generator) -> Tensor:
        """uint8 [N, 3, H, W], shrunk, through the autoencoder with noise of so many deviations, enlarged: same."""
        pixels = resized(frames.to(self.device).float() / 255, (SIDE // factor, SIDE // factor))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            latents = self.codec.encode(pixels)
            if noise:
                drawn = torch.from_numpy(rng.standard_normal(tuple(latents.shape), dtype=np.float32))
                latents = latents + noise * drawn.to(latents)
            decoded = self.codec.decode(latents)
        return (resized(decoded, (SIDE, SIDE)) * 255 + 0.5).to(torch.uint8).cpu()


@dataclass(frozen=True, slots=True)
class ComposerCrops:
    """Squares of windows, half of them mirrored."""

    windows: Windows
    count: int
    crop: int

    def __call__(self, draw: Draw) -> Windows:
        rng = draw.rng
        chosen = self.windows.chosen(torch.from_numpy(rng.integers(len(self.windows), size=self.count)))
        top, left = (ALIGNED * int(rng.integers((SIDE - self.crop) // ALIGNED + 1)) for _ in range(2))
        return chosen.cut(top, left, self.crop, mirrored=bool(rng.random() < 0.5)).as_pixels()
