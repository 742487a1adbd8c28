"""Clips of the world in files: uint8 frames, and of each clip what it shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...checkpoint.format import opened
from ...errors import CheckpointError, InputError
from ...files import disk_errors, parse_json, written_whole
from ...worlds.pocket.told import Told
from ...worlds.pocket.world import Clip

NOTE = "microcinema.pocket"
FRAMES = ("truth", "guide", "known", "mask")
MAX_NOTE = 10_000_000  # characters


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """N clips, uint8. truth, guide: [N, T, 3, H, W]. known, mask: [N, T, 1, H, W], 255 = yes."""

    truth: Tensor
    guide: Tensor
    known: Tensor
    mask: Tensor
    told: Sequence[Told]

    def __len__(self) -> int:
        return len(self.told)

    def first(self, count: int) -> Clips:
        """At most so many of them."""
        return self._part(slice(0, count))

    def parts(self, size: int) -> list[Clips]:
        """All of them, at most so many in each."""
        return [self._part(slice(start, start + size)) for start in range(0, len(self), size)]

    def _part(self, part: slice) -> Clips:
        return Clips(self.truth[part], self.guide[part], self.known[part], self.mask[part], self.told[part])


def write_clips(path: Path, clips: Sequence[Clip]) -> None:
    """One file of them, whole or not at all. Raises OSError where the disk refuses."""
    tensors = {name: torch.stack([getattr(clip, name) for clip in clips]) for name in FRAMES}
    note = json.dumps([Told(clip.caption, clip.asked, clip.plan.camera).to_dict() for clip in clips])
    with disk_errors(path), written_whole(path) as temporary:
        save_file(tensors, temporary, metadata={NOTE: note})


def clip_files(folder: Path) -> list[Path]:
    """Of a folder and those in it, in the order of their names. Raises InputError where there are none."""
    files = sorted(folder.rglob("clips-*.safetensors"))
    if not files:
        raise InputError(f"{folder} holds no clips; write some with python -m studies.pocket.clips POOL {folder}")
    return files


def read_clips(path: Path) -> Clips:
    """A file's clips, on the CPU. Raises CheckpointError for another file."""
    with opened(path) as file:
        note = (file.metadata() or {}).get(NOTE)
        if note is None:
            raise CheckpointError(f"{path}: holds no clips of Pocket's world")
        tensors = {name: file.get_tensor(name).clone() for name in FRAMES}  # a mapped page is read only when it is used
    try:
        told = [Told.from_dict(one) for one in parse_json(note, str(path), MAX_NOTE)]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: says nothing that can be read of its clips; render them anew") from error
    if {len(tensor) for tensor in tensors.values()} != {len(told)}:
        raise CheckpointError(f"{path}: tells of {len(told)} clips and holds others; render them anew")
    return Clips(**tensors, told=told)
