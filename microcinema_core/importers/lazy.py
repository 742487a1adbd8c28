"""Tensors of files, read one at a time: what a model of several gigabytes needs of memory is its largest tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..checkpoint.identify import identify
from ..checkpoint.limits import check_file
from ..errors import CheckpointError, shown
from ..files import MAX_JSON, parse_json


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor that is made when it is asked for."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]

    def reshaped(self, *shape: int) -> Stored:
        """The tensor in another shape of as many numbers."""
        return Stored(shape, lambda: self.read().reshape(shape))

    def rows(self, part: int, parts: int) -> Stored:
        """One of equal parts of the first dimension."""
        count = self.shape[0] // parts
        return Stored((count, *self.shape[1:]), lambda: self.read()[part * count : (part + 1) * count])


State = dict[str, Stored]


def parameters(state: Mapping[str, Stored]) -> int:
    """How many numbers the tensors hold together."""
    return sum(math.prod(stored.shape) for stored in state.values())


def below(state: Mapping[str, Stored], *prefixes: str) -> State:
    """The tensors under the first prefix that has any, without it; an empty prefix takes all."""
    for prefix in prefixes:
        found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if found:
            return found
    return {}


def open_file(path: Path) -> tuple[State, dict[str, str]]:
    """A safetensors file's tensors and metadata. Raises CheckpointError that names whatever else it is."""
    check_file(path, "a .safetensors file or a diffusers folder")
    try:
        file = safe_open(path, framework="pt")
    except SafetensorError as error:
        title = identify(path).title  # raises for what is truncated or damaged
        raise CheckpointError(f"{path}: is a {title}; get the model as .safetensors") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    return {key: _stored(file, key) for key in file.keys()}, dict(file.metadata() or {})


def _stored(file: Any, key: str) -> Stored:
    return Stored(tuple(file.get_slice(key).get_shape()), lambda: file.get_tensor(key))


def open_json(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError for what is missing, too long or no object."""
    try:
        with path.open(encoding="utf-8") as file:
            stored = parse_json(file.read(limit + 1), path.name, limit)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {shown(str(error))}; get the folder anew") from error
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path}: holds no object; get the folder anew")
    return stored


def open_folder(folder: Path, stem: str) -> State:
    """The weights of one part of a diffusers folder: `stem`.safetensors, or its shards, also in their fp16 variant.

    Raises CheckpointError where there are none, and where a shard is missing.
    """
    for variant in ("", ".fp16"):
        single = folder / f"{stem}{variant}.safetensors"
        if single.is_file():
            return open_file(single)[0]
        for index in (f"{stem}.safetensors.index{variant}.json", f"{stem}{variant}.safetensors.index.json"):
            if (folder / index).is_file():
                return _open_shards(folder / index)
    pickles = sorted(path.name for pattern in ("*.bin", "*.ckpt", "*.pt") for path in folder.glob(pattern))
    if pickles:
        raise CheckpointError(
            f"{folder}: holds only {pickles[0]}, a pickle, which can run code when opened and is never loaded; get "
            f"{stem}.safetensors"
        )
    raise CheckpointError(f"{folder}: holds no {stem}.safetensors; get the folder anew")


def _open_shards(index: Path) -> State:
    stored = open_json(index).get("weight_map")
    if not isinstance(stored, dict) or not all(isinstance(name, str) for name in stored.values()):
        raise CheckpointError(f"{index}: names no shards; get the folder anew")
    state: State = {}
    for name in sorted(set(stored.values())):
        shard = index.parent / name
        if Path(name).name != name or not shard.is_file():
            raise CheckpointError(
                f"{index.parent / shown(name)}: this shard, which {index.name} names, is missing; get it into that "
                "folder"
            )
        state |= open_file(shard)[0]
    if missing := sorted(set(stored) - set(state)):
        raise CheckpointError(
            f"{index.parent}: {len(missing)} tensors that {index.name} names are in none of its shards (first: "
            f"{shown(missing[0])}); get the folder anew"
        )
    return state
