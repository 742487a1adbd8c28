"""A model file read for the host: its header, its sections and those of its companions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..microcinema_core.checkpoint.format import (
    UNET,
    Checkpoint,
    Header,
    _header,
    read_checkpoint,
    sha256_of,
)
from ..microcinema_core.checkpoint.limits import MAX_HEADER
from ..microcinema_core.errors import CheckpointError

SAVED_HEADER = "microcinema.header"  # a tensor of bytes: the host's savers keep tensors and drop metadata
SAVED_PREFIX = "model.diffusion_model."


@dataclass(frozen=True, slots=True)
class Section:
    """One section's tensors, the header that describes them, and the file they came from."""

    path: Path
    header: Header
    state: dict[str, Tensor]

    @property
    def title(self) -> str:
        return self.path.name


def read_file(path: Path) -> Checkpoint:
    """A MicroCinema file, or one of ours that the host saved. Raises CheckpointError for any other."""
    saved = _read_saved(path)
    return read_checkpoint(path) if saved is None else saved


def find_section(name: str, path: Path, checkpoint: Checkpoint) -> Section:
    """A section of this file, or of the companion beside it. Raises CheckpointError where there is none."""
    if name in checkpoint.sections:
        return Section(path, checkpoint.header, checkpoint.sections[name])
    companion = checkpoint.header.companions.get(name)
    if companion is None:
        raise CheckpointError(f"{path.name} holds no {name} and names no file that does")
    beside = path.parent / companion.file
    if not beside.is_file():
        raise CheckpointError(f"{path.name} needs {companion.file} beside it for its {name}; put both in one folder")
    if sha256_of(beside) != companion.sha256:
        raise CheckpointError(f"{beside.name} is not the {name} that {path.name} was trained with; get both files anew")
    found = read_checkpoint(beside)
    if name not in found.sections:
        raise CheckpointError(f"{beside.name} holds no {name}, though {path.name} names it for that; get both anew")
    return Section(beside, found.header, found.sections[name])


def header_tensor(header: Header) -> Tensor:
    """The header as a tensor, for files that the host saves."""
    text = json.dumps(header.to_metadata()).encode()
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def _read_saved(path: Path) -> Checkpoint | None:
    """What `ModelSave` and `CheckpointSave` write of our MODEL: the U-Net alone. None for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            if SAVED_HEADER not in file.keys():
                return None
            stored = file.get_tensor(SAVED_HEADER)
            state = {
                key.removeprefix(SAVED_PREFIX): file.get_tensor(key)
                for key in file.keys()
                if key.startswith(SAVED_PREFIX)
            }
    except (SafetensorError, OSError):
        return None  # `read_checkpoint` says what is wrong with it
    header = _header(_metadata(stored, path), path)
    # It has left the folder of its companions, and the host may have changed its weights.
    return Checkpoint(Header(header.kind, header.config, header.licence, header.provenance), {UNET: state})


def _metadata(stored: Tensor, path: Path) -> dict[str, str]:
    if stored.dtype is not torch.uint8 or stored.numel() > MAX_HEADER:
        raise CheckpointError(f"{path.name}: its {SAVED_HEADER} is damaged; save it anew")
    try:
        metadata = json.loads(bytes(stored.tolist()))
    except ValueError as error:
        raise CheckpointError(f"{path.name}: its {SAVED_HEADER} is damaged; save it anew") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path.name}: its {SAVED_HEADER} is damaged; save it anew")
    return metadata
