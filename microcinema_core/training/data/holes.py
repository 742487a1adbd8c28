"""Pictures with holes as material: latents of crops and of what is known of them, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ...models.guide import Guide
from ...standalone.filling import greyed_guide_of, guide_of
from ...worlds.pocket.holes import STREAM, drawn_crop, drawn_hole
from ...worlds.pocket.pool import Pool
from ..coders import Coders
from ..stage import Draw
from .batches import ClipBatch
from .shards import Shard, kept, shard_folder

FORMAT = 1  # of how crops and holes are drawn
HOLES = 2  # of each crop
SHARD = 64  # crops with holes
GREYED = 0.35  # of them told as the host's nodes tell them


def drawn(pool: Pool, number: int, side: int, seed: int) -> tuple[Tensor, list[Tensor]]:
    """A crop [3, side, side] in 0..1 and, HOLES times, what is known of it, [1, side, side]: of number and seed."""
    rng = np.random.default_rng([seed, STREAM, number])
    crop = drawn_crop(pool.pictures[int(rng.integers(len(pool.pictures)))], side, rng)
    return crop, [drawn_hole(pool.cut_outs, side, rng) for _ in range(HOLES)]


def told(coders: Coders, crop: Tensor, known: list[Tensor], seed: int, number: int) -> Tensor:
    """Latents of one crop and its guides [HOLES, 2, C + 1, h, w]: the truth, then what is known, each with where."""
    rng = np.random.default_rng([seed, STREAM + 1, number])
    codec, place = coders.codec, coders.device
    truth = codec.encode(crop[None].to(place))
    made = []
    for where in known:
        ways = greyed_guide_of if rng.random() < GREYED else guide_of
        guide = ways(codec, crop[None].to(place), where[None].to(place))
        assert guide.known is not None
        made.append(
            torch.stack([torch.cat([part, guide.known[0, :, 0]]) for part in (truth[0], guide.latents[0, :, 0])])
        )
    return torch.stack(made)


@dataclass(frozen=True, slots=True, eq=False)
class StoredHoles:
    """latents: model-space [N, 2, C + 1, h, w], float16: truth and guide; the last channel is what is known."""

    latents: Tensor

    @classmethod
    def of(cls, pool: Pool, coders: Coders, cache: Path, count: int, side: int, seed: int, *, bf16: bool) -> Self:
        """So many crops with holes, made once and kept."""
        stats = [(path.name, path.stat()) for path in (*pool.pictures, *pool.cut_outs)]
        files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        folder = shard_folder(cache, "holes", FORMAT, coders.identity, side, seed, GREYED, HOLES, files, bf16)

        def make(numbers: range) -> Shard:
            parts = []
            with torch.autocast(coders.device.type, torch.bfloat16, enabled=bf16), torch.no_grad():
                for number in range(numbers.start // HOLES, -(-numbers.stop // HOLES)):
                    parts.append(told(coders, *drawn(pool, number, side, seed), seed, number))
            return Shard(torch.cat(parts)[: len(numbers)].half().cpu(), [])

        return cls(kept(folder, count, SHARD, make).latents)


@dataclass(frozen=True, slots=True)
class HoleBatches:
    """Crops with their guides, a half of them mirrored. context: width of a text that nothing reads."""

    stored: StoredHoles
    count: int
    context: int

    def __call__(self, draw: Draw) -> ClipBatch:
        chosen = torch.from_numpy(draw.rng.integers(len(self.stored.latents), size=self.count))
        both = self.stored.latents[chosen].float()
        mirrored = torch.from_numpy(draw.rng.random(self.count) < 0.5)[:, None, None, None, None]
        truth, guide = torch.where(mirrored, both.flip(-1), both).unsqueeze(3).unbind(1)  # [B, C + 1, 1, h, w]
        known = Guide(guide[:, :-1], guide[:, -1:])
        return ClipBatch(truth[:, :-1], [], known, None, truth.new_zeros(self.count, 1, self.context))
