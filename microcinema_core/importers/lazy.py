"""Tensors of files, read one at a time: what a model of several gigabytes needs of memory is its largest tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..checkpoint.stored import State as State
from ..checkpoint.stored import Stored as Stored
from ..checkpoint.stored import open_file as open_file
from ..errors import CheckpointError, shown
from .told import open_json


def sizes(state: Mapping[str, Stored], key: str, dimensions: int, where: str) -> tuple[int, ...]:
    """The shape of a tensor that must be there. Raises CheckpointError, naming `where`, for another number of them."""
    found = state.get(key)
    if found is None or len(found.shape) != dimensions or 0 in found.shape:
        what = "is missing" if found is None else f"has shape {list(found.shape)}"
        raise CheckpointError(f"{where}: {key} {what}, {dimensions} dimensions were expected; get the model anew")
    return found.shape


def expect_stored(
    wanted: Mapping[str, tuple[int, ...]], state: Mapping[str, Stored], where: str, whose: str, advice: str
) -> None:
    """Names, shapes and kinds of number of the stored tensors must be the wanted ones; none is read for that.

    Raises CheckpointError that begins with `where` and names the first that does not fit. whose: network they are of.
    """
    missing, extra = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"{where}: {len(missing)} tensors of {whose} are missing, {len(extra)} are none of its (first: "
            f"{shown((missing or extra)[0])}); {advice}"
        )
    for key, shape in wanted.items():
        if state[key].shape != shape:
            raise CheckpointError(
                f"{where}: {key} has shape {list(state[key].shape)}, {list(shape)} was expected; {advice}"
            )
        if not state[key].fractions:
            raise CheckpointError(f"{where}: {key} holds whole numbers, which are no weights; {advice}")


def parameters(state: Mapping[str, Stored]) -> int:
    """How many numbers the tensors hold together."""
    return sum(math.prod(stored.shape) for stored in state.values())


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors, which may be on the meta device."""
    return {key: tuple(value.shape) for key, value in tensors.items()}


def below(state: Mapping[str, Stored], *prefixes: str) -> State:
    """The tensors under the first prefix that has any, without it; an empty prefix takes all."""
    for prefix in prefixes:
        found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if found:
            return found
    return {}


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
    stored = open_json(index).values.get("weight_map")
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
