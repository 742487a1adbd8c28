"""Latents that are computed once and kept: encoding costs more than a training step.

They lie in shards, each written whole, so that what is interrupted goes on at the shard it was at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ...files import written_whole

FORMAT = 2  # of a shard's file; another one would be read wrongly, so that its folder has another name


@dataclass(frozen=True, slots=True)
class Shard:
    """latents: model-space [N, T, C, h, w], float16; notes: a line about each clip, or none about any."""

    latents: Tensor
    notes: list[str]


def shard_folder(cache: Path, name: str, *key: object) -> Path:
    """Where latents lie that follow from `key`: whatever bears on them, told apart by its text."""
    digest = hashlib.sha256(" ".join(map(str, (FORMAT, *key))).encode()).hexdigest()
    return cache / f"{name}-{digest[:12]}"


def kept(folder: Path, count: int, size: int, make: Callable[[range], Shard]) -> Shard:
    """Clips 0 to `count`, `size` in a shard: those in `folder` are read, the others made, by the main process first."""
    parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
    paths = [folder / f"shard-{i:04d}-{len(part)}.safetensors" for i, part in enumerate(parts)]
    with PartialState().main_process_first():
        missing = [(path, part) for path, part in zip(paths, parts, strict=True) if not path.exists()]
        for path, part in tqdm(missing, desc=f"latents of {size} clips", disable=None if missing else True):
            _write(path, make(part))
    shards = [_read(path) for path in paths]
    return Shard(torch.cat([shard.latents for shard in shards]), [note for shard in shards for note in shard.notes])


def _write(path: Path, shard: Shard) -> None:
    with written_whole(path) as temporary:
        save_file({"latents": shard.latents.contiguous()}, temporary, metadata={"notes": json.dumps(shard.notes)})


def _read(path: Path) -> Shard:
    with safe_open(path, framework="pt") as file:
        return Shard(file.get_tensor("latents"), json.loads(file.metadata()["notes"]))
