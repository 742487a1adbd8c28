"""Clips of Pocket's world as material: their latents are made once and stay on the device, where batches are cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import ClipConfig
from ...errors import InputError
from ...models.guide import Guide
from ...shot.timing import frame_times
from ...worlds.pocket.effects import Effect
from ...worlds.pocket.told import Told
from ..coders import Coders
from ..stage import Draw
from .ahead import ahead
from .batches import ClipBatch
from .pocket_files import Clips, clip_files, read_clips

READERS = 3  # files read ahead
TOGETHER = 96  # frames through the autoencoder on a card
TEXTS = 512  # sentences read together
WORDINGS = 4  # captions of each clip
ALIKE = 4  # single frames in the place of each clip


@dataclass(frozen=True, slots=True, eq=False)
class StoredPocket:
    """All clips, on one device, float16.

    truth, guide: model-space latents [N, T, C, h, w]. known: [N, T, 1, h, w], 0..1. context: [N, WORDINGS, L, D], what
    the text model makes of each caption and of others that say the same; null: [1, L, D]. plain: [n], which ask for
    nothing. seconds: [T], from the keyframe.
    """

    truth: Tensor
    guide: Tensor
    known: Tensor
    context: Tensor
    null: Tensor
    plain: Tensor
    seconds: Tensor
    told: Sequence[Told]

    @classmethod
    def of(cls, folder: Path, coders: Coders, clip: ClipConfig, most: int | None = None) -> Self:
        """A folder's clips, or the first of them. Raises InputError for clips of another size or length."""
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        told: list[Told] = []
        for clips in read_folder(folder, most):
            expect_size(clips, clip, folder)
            parts.append(encoded(clips, coders))
            told += clips.told
        truth, guide, known = (torch.cat(some) for some in zip(*parts, strict=True))
        context = read_texts(
            [text for one in told for text in (one.caption, *one.reworded(WORDINGS - 1))], coders
        ).unflatten(0, (-1, WORDINGS))
        plain = [i for i, one in enumerate(told) if one.asked.effect is Effect.NONE]
        seconds = frame_times(clip.frames, clip.fps, clip.frames // 2)
        place = truth.device
        return cls(
            truth,
            guide,
            known,
            context,
            coders.null.half(),
            torch.tensor(plain, device=place, dtype=torch.long),
            torch.tensor(seconds, device=place),
            told,
        )

    def __len__(self) -> int:
        return len(self.told)


def read_folder(folder: Path, most: int | None) -> Iterator[Clips]:
    """Whole files, and of the last as many clips as are still wanted."""
    left = most
    for clips in ahead(read_clips, clip_files(folder), READERS):
        yield clips if left is None else clips.first(left)
        left = None if left is None else left - len(clips)
        if left is not None and left <= 0:
            return


def expect_size(clips: Clips, clip: ClipConfig, folder: Path) -> None:
    """Raises InputError for clips of another size or length than a model's."""
    found, wanted = tuple(clips.truth.shape[1:]), (clip.frames, 3, clip.height, clip.width)
    if found != wanted:
        raise InputError(
            f"{folder}: holds clips of {list(found)}, the model's are {list(wanted)}; make some of that size"
        )


def encoded(clips: Clips, coders: Coders, *, bf16: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Latents of truth and guide, [N, T, C, h, w], and what is known of each place, [N, T, 1, h, w]; float16.

    bf16: in bfloat16, where the codec's own precision is float32.
    """
    with torch.autocast(coders.device.type, torch.bfloat16, enabled=bf16):
        truth, guide = (_latents(frames, coders) for frames in (clips.truth, clips.guide))
    known = F.avg_pool2d(clips.known.to(coders.device).flatten(0, 1).float() / 255, coders.codec.downscale)
    return truth, guide, known.unflatten(0, truth.shape[:2]).half()


def _latents(frames: Tensor, coders: Coders) -> Tensor:
    """uint8 [N, T, 3, H, W] -> model-space [N, T, C, h, w], float16, on the device."""
    together = None if coders.device.type == "cpu" else TOGETHER
    made = []
    for part in frames.flatten(0, 1).split(4 * TOGETHER):
        made.append(coders.codec.encode(part.to(coders.device).float() / 255, together))
    return torch.cat(made).half().unflatten(0, frames.shape[:2])


def read_texts(texts: Sequence[str], coders: Coders) -> Tensor:
    """[N, L, D], float16, on the device."""
    parts = (texts[start : start + TEXTS] for start in range(0, len(texts), TEXTS))
    return torch.cat([coders.text.encode(part) for part in parts]).half()


@dataclass(frozen=True, slots=True)
class PocketBatches:
    """Crops of clips; a share of batches are single frames of clips that ask for nothing, to learn filling alone.

    crop: in latents. no_text: share of null prompts.
    """

    stored: StoredPocket
    count: int
    crop: int
    singles: float
    no_text: float

    def __call__(self, draw: Draw) -> ClipBatch:
        single = draw.rng.random() < self.singles and len(self.stored.plain) > 0
        return self._frames(draw.rng) if single else self._clips(draw.rng)

    def _clips(self, rng: np.random.Generator) -> ClipBatch:
        stored = self.stored
        chosen, part = self._drawn(rng, len(stored), self.count), self._part(rng)
        truth, guide, known = (
            held[chosen][..., part[0], part[1]].float().transpose(1, 2)
            for held in (stored.truth, stored.guide, stored.known)
        )
        times = stored.seconds.expand(self.count, -1)
        return ClipBatch(truth, [], Guide(guide, known), times, self._said(rng, chosen))

    def _frames(self, rng: np.random.Generator) -> ClipBatch:
        stored, count = self.stored, ALIKE * self.count
        chosen, part = stored.plain[self._drawn(rng, len(stored.plain), count)], self._part(rng)
        frame = self._drawn(rng, len(stored.seconds), count)
        truth, guide, known = (
            held[chosen, frame][..., part[0], part[1]].float()[:, :, None]
            for held in (stored.truth, stored.guide, stored.known)
        )
        return ClipBatch(truth, [], Guide(guide, known), truth.new_zeros(count, 1), self._said(rng, chosen))

    def _drawn(self, rng: np.random.Generator, of: int, count: int) -> Tensor:
        """[count] numbers below `of`, on the device."""
        return torch.from_numpy(rng.integers(of, size=count)).to(self.stored.truth.device, non_blocking=True)

    def _part(self, rng: np.random.Generator) -> tuple[slice, slice]:
        """Rows and columns of a crop."""
        starts = (int(rng.integers(max(1, side - self.crop + 1))) for side in self.stored.truth.shape[-2:])
        rows, columns = (slice(start, start + self.crop) for start in starts)
        return rows, columns

    def _said(self, rng: np.random.Generator, chosen: Tensor) -> Tensor:
        """[B, L, D], float32."""
        context = self.stored.context[chosen, self._drawn(rng, WORDINGS, len(chosen))].float()
        unsaid = torch.from_numpy(rng.random(len(chosen)) < self.no_text).to(context.device, non_blocking=True)
        return torch.where(unsaid[:, None, None], self.stored.null.float(), context)
