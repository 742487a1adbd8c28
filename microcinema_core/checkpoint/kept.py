"""Tensors that a program keeps for itself between runs: read only where every bit is as it was written.

A safetensors file whose metadata holds a note of the writer's and the SHA-256 of all else. Nothing of it is unpickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError
from ..files import disk_errors, written_whole
from .format import opened

NOTE, DIGEST = "microcinema.note", "microcinema.sha256"


def write_kept(path: Path, tensors: Mapping[str, Tensor], note: str = "") -> None:
    """Write tensors of any device, shape and dtype, whole or not at all. Raises OSError where the disk refuses."""
    held = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with disk_errors(path), written_whole(path) as temporary:
        save_file(held, temporary, metadata={NOTE: note, DIGEST: digest_of(held, note)})


def read_kept(path: Path, *, mapped: bool = False) -> tuple[dict[str, Tensor], str]:
    """The tensors, on the CPU, and the note. Raises CheckpointError for a file that is not as it was written.

    mapped: they are the file's own pages, which take no memory, and are not to be kept.
    """
    with opened(path) as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    if not mapped:  # as a view of the file would keep Windows from removing it
        tensors = {key: value.clone() for key, value in tensors.items()}
    note = metadata.get(NOTE, "")
    if DIGEST not in metadata:
        raise CheckpointError(f"{path}: was not written by this version of microcinema")
    if metadata[DIGEST] != digest_of(tensors, note):
        raise CheckpointError(f"{path}: is damaged: it is not as it was written")
    return tensors, note


def digest_of(tensors: Mapping[str, Tensor], note: str = "") -> str:
    """SHA-256 of a note and of tensors on the CPU: names, shapes and every bit."""
    digest = hashlib.sha256(repr(note).encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"\n{key!r} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data if value.numel() else b"")
    return digest.hexdigest()
