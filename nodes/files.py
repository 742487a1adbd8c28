"""A model file read for the host, which may have saved it itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..microcinema_core.checkpoint.format import PREFIX, UNET, Checkpoint, Header, parse_header, read_checkpoint
from ..microcinema_core.checkpoint.limits import MAX_HEADER
from ..microcinema_core.errors import CheckpointError
from ..microcinema_core.files import parse_json

SAVED_HEADER = "microcinema.header"  # a tensor of bytes: the host's savers keep tensors and drop metadata
FORMAT = PREFIX + "format"
SAVED_PREFIX = "model.diffusion_model."


def read_file(path: Path) -> Checkpoint:
    """A MicroCinema file, or one of ours that the host saved. Raises CheckpointError for any other."""
    saved = _read_saved(path)
    return read_checkpoint(path) if saved is None else saved


def header_tensor(header: Header) -> Tensor:
    """The header as JSON in a tensor of bytes [N], for files that the host saves."""
    text = json.dumps(header.to_metadata()).encode()
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def _read_saved(path: Path) -> Checkpoint | None:
    """What `ModelSave` and `CheckpointSave` write of our MODEL: the U-Net alone. None for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            if SAVED_HEADER not in file.keys():
                _check_described(file, path)
                return None
            stored = file.get_tensor(SAVED_HEADER)
            state = {
                key.removeprefix(SAVED_PREFIX): file.get_tensor(key)
                for key in file.keys()
                if key.startswith(SAVED_PREFIX)
            }
    except (SafetensorError, OSError):
        return None  # `read_checkpoint` says what is wrong with it
    header = parse_header(_metadata(stored, path), path)
    # It has left the folder of its companions, and the host may have changed its weights.
    return Checkpoint(Header(header.kind, header.config, header.licence, header.provenance), {UNET: state})


def _check_described(file: Any, path: Path) -> None:
    """Raises CheckpointError for our tensors as other programs leave them: without what describes them."""
    if FORMAT not in (file.metadata() or {}) and any(".temporal_attentions." in key for key in file.keys()):
        raise CheckpointError(
            f"{path.name}: holds a MicroCinema network without its description, which the program that saved it left "
            "out; merge the files anew in ComfyUI and save with ModelSave, which keeps it"
        )


def _metadata(stored: Tensor, path: Path) -> dict[str, str]:
    if stored.dtype is not torch.uint8 or stored.numel() > MAX_HEADER:
        raise CheckpointError(f"{path.name}: its {SAVED_HEADER} is damaged; save it anew")
    try:
        metadata = parse_json(bytes(stored.tolist()).decode(), SAVED_HEADER, MAX_HEADER)
    except ValueError as error:
        raise CheckpointError(f"{path.name}: its {SAVED_HEADER} is damaged; save it anew") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path.name}: its {SAVED_HEADER} is damaged; save it anew")
    return metadata
