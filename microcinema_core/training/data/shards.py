"""Latents that are computed once and kept: encoding costs more than a training step.

They lie in shards, each written whole, so that what is interrupted goes on at the shard it was at.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from torch import Tensor
from tqdm import tqdm

from ...checkpoint.kept import read_kept, write_kept
from ...errors import CheckpointError
from ...files import parse_json

FORMAT = 3  # of a shard's file; another one would be read wrongly, so that its folder has another name
LATENTS = "latents"
logger = logging.getLogger("microcinema")


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
        shards = [_read(path) for path in paths]
        missing = [i for i, shard in enumerate(shards) if shard is None]
        for i in tqdm(missing, desc=f"latents of {size} clips", disable=None if missing else True):
            shards[i] = made = make(parts[i])
            write_kept(paths[i], {LATENTS: made.latents}, json.dumps(made.notes))
    whole = [shard for shard in shards if shard is not None]
    return Shard(torch.cat([shard.latents for shard in whole]), [note for shard in whole for note in shard.notes])


def _read(path: Path) -> Shard | None:
    """None where it is not there, or, which is said, not as it was written."""
    if not path.exists():
        return None
    try:
        tensors, notes = read_kept(path)
        return Shard(tensors[LATENTS], parse_json(notes, "notes"))
    except (CheckpointError, KeyError, ValueError) as error:
        logger.warning("%s; its latents are made once more", error)
        return None
