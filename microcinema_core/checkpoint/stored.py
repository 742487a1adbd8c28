"""Tensors of a file, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError
from .identify import identify
from .limits import check_file


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor that is made when it is asked for."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    fractions: bool = True  # whether its numbers can have any, as all weights can

    def reshaped(self, *shape: int) -> Stored:
        """The tensor in another shape of as many numbers."""
        return Stored(shape, lambda: self.read().reshape(shape), self.fractions)

    def rows(self, part: int, parts: int) -> Stored:
        """One of equal parts of the first dimension."""
        count = self.shape[0] // parts
        return Stored((count, *self.shape[1:]), lambda: self.read()[part * count : (part + 1) * count], self.fractions)


State = dict[str, Stored]


def open_file(path: Path, wanted: str = "a .safetensors file or a diffusers folder") -> tuple[State, dict[str, str]]:
    """A safetensors file's tensors and metadata. Raises CheckpointError that names whatever else it is.

    wanted: what to give where there is no such file.
    """
    check_file(path, wanted)
    try:
        file = safe_open(path, framework="pt")
    except SafetensorError as error:
        title = identify(path).title  # raises for what is truncated or damaged
        raise CheckpointError(f"{path}: is a {title}; get the model as .safetensors") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    return {key: _stored(file, key) for key in file.keys()}, dict(file.metadata() or {})


def _stored(file: Any, key: str) -> Stored:
    part = file.get_slice(key)
    return Stored(tuple(part.get_shape()), lambda: file.get_tensor(key), "F" in part.get_dtype())  # BF16, F8_E4M3
