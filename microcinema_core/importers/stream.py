"""A safetensors file written tensor by tensor: the header first, as every size is known before any tensor is made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import CheckpointError
from ..files import disk_errors, written_whole
from .lazy import State

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
ALIGNMENT = 8  # the format's: the header is padded to it with spaces


def header_bytes(state: State, dtype: torch.dtype, metadata: Mapping[str, str]) -> bytes:
    """Eight bytes of length and the JSON that says what lies where, in the order of `state`."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for key, stored in state.items():
        end = offset + math.prod(stored.shape) * dtype.itemsize
        header[key] = {"dtype": NAMES[dtype], "shape": list(stored.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def write_stream(path: Path, state: State, dtype: torch.dtype, metadata: Mapping[str, str]) -> None:
    """Write the file, whole or not at all; every tensor becomes `dtype`.

    Raises CheckpointError where a number is not finite or too large for `dtype`, and OSError where the disk refuses.
    """
    with disk_errors(path), written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(header_bytes(state, dtype, metadata))
        for key, stored in state.items():
            value = stored.read().to(dtype).contiguous()
            if tuple(value.shape) != stored.shape:
                raise CheckpointError(f"{path}: not written: {key} has shape {list(value.shape)}, not {stored.shape}")
            lowest, highest = value.aminmax()
            if not bool(lowest.isfinite() and highest.isfinite()):
                raise CheckpointError(
                    f"{path}: not written: {key} holds NaN, infinity or numbers beyond {dtype}; if the source is "
                    "sound, another --dtype may hold them"
                )
            file.write(value.view(-1).view(torch.uint8).numpy().data)
