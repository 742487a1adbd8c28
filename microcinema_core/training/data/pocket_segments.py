"""Segments of Pocket's world for temporal super-resolution: a crop of each, its latents made once and kept.

On a processor the autoencoder is what costs: many segments of which a part is encoded teach more than few whole ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ...config import ClipConfig
from ...errors import InputError
from ...models.guide import Guide
from ...worlds.pocket.captions import caption
from ...worlds.pocket.told import Told
from ..coders import Coders
from .clips import Clip
from .pocket import encoded, expect_size
from .pocket_files import Clips, clip_files, read_clips
from .shards import Shard, kept, shard_folder

STREAM = 1 << 45  # of the places of crops


@dataclass(frozen=True, slots=True, eq=False)
class PocketSegments:
    """latents: of truth, guide and what is known of it, [N, T, 2C + 1, h, w], float16; told: what each shows."""

    latents: Tensor
    told: Sequence[Told]
    fps: float

    @classmethod
    def of(
        cls, folder: Path, coders: Coders, clip: ClipConfig, most: int, crop: int, cache: Path, *, bf16: bool = False
    ) -> Self:
        """A folder's segments, whole files of them until they are `most`.

        crop: pixels of the side that is kept. bf16: how they are encoded.
        Raises InputError for segments of another size or length.
        """
        files = clip_files(folder)
        first = read_clips(files[0])
        expect_size(first, clip, folder)
        size = len(first)
        files = files[: -(-most // size)]
        count = size * (len(files) - 1) + len(read_clips(files[-1]))
        names = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        where = shard_folder(cache, "pocket-segments", coders.weights, folder, names, crop, bf16)
        shard = kept(where, count, size, partial(_made, files, size, clip, coders, crop, bf16))
        return cls(shard.latents, [Told.from_dict(json.loads(note)) for note in shard.notes], clip.fps)

    def __len__(self) -> int:
        return len(self.told)

    def clip(self, index: int, text: str) -> Clip:
        """A segment with a sentence about it."""
        guide = self._guide(slice(index, index + 1))
        return Clip(self.latents[index, :, : self.channels].float(), text, self.fps, guide)

    def draw(self, rng: np.random.Generator) -> Clip:
        index = int(rng.integers(len(self)))
        told = self.told[index]
        return self.clip(index, caption(told.asked, told.camera, rng))

    def first(self, count: int) -> Tensor:
        """Model-space [n, T, C, h, w], float16, of the first `count` segments, or of all where they are fewer."""
        return self.latents[:count, :, : self.channels]

    def guide(self, count: int) -> Guide:
        """Of the same segments, [n, C, T, h, w], float32."""
        return self._guide(slice(0, count))

    @property
    def channels(self) -> int:
        """Of a latent."""
        return self.latents.shape[2] // 2

    def _guide(self, part: slice) -> Guide:
        _, guide, known = self.latents[part].float().transpose(1, 2).split([self.channels, self.channels, 1], dim=1)
        return Guide(guide, known)


def _made(
    files: Sequence[Path], size: int, clip: ClipConfig, coders: Coders, crop: int, bf16: bool, part: range
) -> Shard:
    """The segments of one file. Raises InputError for a file of another form than the first's."""
    path = files[part.start // size]
    clips = read_clips(path)
    expect_size(clips, clip, path)
    if len(clips) != len(part):
        raise InputError(
            f"{path}: holds {len(clips)} segments, and the first file of its folder {size}; only the last may have "
            "another number: render them into one folder by one command"
        )
    clips = cropped(clips, part.start, crop)
    latents = torch.cat(encoded(clips, coders, bf16=bf16), dim=2).cpu()
    return Shard(latents, [json.dumps(one.to_dict()) for one in clips.told])


def cropped(clips: Clips, first: int, side: int) -> Clips:
    """A square of each clip, somewhere, from multiples of 8 pixels on; at most all. first: the first clip's number."""
    corners = [np.random.default_rng([STREAM, first + i]).random(2) for i in range(len(clips))]
    height, width = clips.truth.shape[-2:]
    side = min(side, height, width)

    def part(frames: Tensor) -> Tensor:
        made = []
        for one, (down, across) in zip(frames, corners, strict=True):
            top, left = (
                8 * int(share * ((whole - side) // 8 + 1)) for share, whole in ((down, height), (across, width))
            )
            made.append(one[..., top : top + side, left : left + side])
        return torch.stack(made)

    return replace(
        clips, truth=part(clips.truth), guide=part(clips.guide), known=part(clips.known), mask=part(clips.mask)
    )
