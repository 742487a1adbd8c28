"""Mutators of bytes, JSON and tensors: what ill luck or ill will makes of good files. All follow from a generator."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Mutator = Callable[[bytes, random.Random], bytes]


def _span(data: bytes, rng: random.Random, longest: int = 4096) -> tuple[int, int]:
    """A part of the data, mostly short, begun early as often as anywhere: headers are where formats break."""
    start = int(rng.random() ** rng.choice((1, 3)) * len(data))
    return start, min(len(data), start + 1 + int(rng.random() ** 3 * longest))


def flip(data: bytes, rng: random.Random) -> bytes:
    """One to eight bytes become 0, 255, one more, one less or anything."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        place = _span(data, rng)[0]
        near = ((changed[place] + 1) % 256, (changed[place] - 1) % 256)
        changed[place] = rng.choice((0, 255, *near, rng.randrange(256)))
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end is missing, or a part of the middle."""
    start, end = _span(data, rng)
    return data[:start] if rng.random() < 0.5 else data[:start] + data[end:]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Random bytes come in between."""
    start, end = _span(data, rng, 64)
    return data[:start] + rng.randbytes(end - start) + data[start:]


def zero(data: bytes, rng: random.Random) -> bytes:
    """A part is zero, as after a crash."""
    start, end = _span(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """A part comes twice."""
    start, end = _span(data, rng)
    return data[:end] + data[start:]


MUTATORS: tuple[Mutator, ...] = (flip, flip, flip, cut, insert, zero, repeat)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One or two of the above."""
    for _ in range(rng.randint(1, 2)):
        data = rng.choice(MUTATORS)(data, rng) if data else b"\0"
    return data


SPARSE = 2**31  # bytes
HUGE_INTEGER = 10**400  # beyond every float
ODD_JSON = ("null", '"x"', "0", "-1", "1e400", "NaN", "1e308", "[]", "{}", "true", str(HUGE_INTEGER), "0.5", "[null]")


def json_places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value in a JSON value, the whole first."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from json_places(item, (*at, key))


def json_with(value: Any, at: tuple[str | int, ...], text: str) -> str:
    """The JSON text of a value with the part at `at` replaced by `text`, which need be no JSON of Python's."""
    mark = "\0here\0"
    whole: Any = [copy.deepcopy(value)]
    place, last = whole, 0
    for key in at:
        place, last = place[last], key
    place[last] = mark
    return json.dumps(whole[0]).replace(json.dumps(mark), text)


def odd_json(value: Any, odd: tuple[str, ...] = ODD_JSON) -> Iterator[tuple[str, str]]:
    """(what was replaced by what, JSON text) for every part of a JSON value and every odd text."""
    for at in json_places(value):
        for text in odd:
            yield f"{'.'.join(map(str, at)) or 'all'} = {text[:12]}", json_with(value, at, text)


def odd_json_of(path: Path, rng: random.Random) -> str:
    """A JSON file's text with one part replaced."""
    value = json.loads(path.read_text(encoding="utf-8"))
    return json_with(value, rng.choice(list(json_places(value))), rng.choice(ODD_JSON))


def odd_tensors(tensor: Tensor) -> Iterator[tuple[str, Tensor | None]]:
    """(what became of it, the tensor) for tensors that are none of those expected; None: it is missing."""
    flat = tensor.flatten()
    yield "missing", None
    yield "0-D", torch.zeros(())
    yield "1-D", torch.cat([flat, flat[:1]]) if tensor.ndim == 1 else flat
    yield "empty", torch.zeros(0)
    yield "no rows", flat[:0].reshape(0, *tensor.shape[1:])
    yield "transposed", flat[1:] if tensor.ndim < 2 else tensor.transpose(0, -1).contiguous()
    yield "another dimension", tensor[None]
    yield "whole numbers", tensor.long()
    yield "truth values", tensor.bool()
    yield "complex", tensor.to(torch.complex64)
    yield "NaN", torch.full(tensor.shape, torch.nan)
    yield "beyond float32", torch.full(tensor.shape, 1e300, dtype=torch.float64)


def sparse(path: Path, given: Path, key: str) -> Path:
    """A model in which one tensor is 2 GB of zeros, which the file system does not store."""
    raw = given.read_bytes()
    length = 8 + int.from_bytes(raw[:8], "little")
    header, body = json.loads(raw[8:length]), b""
    names = sorted(header.keys() - {"__metadata__", key}, key=lambda name: header[name]["data_offsets"])
    for name in names:
        begin, end = header[name]["data_offsets"]
        header[name]["data_offsets"] = [len(body), len(body) + end - begin]
        body += raw[length + begin : length + end]
    header[key] = {"dtype": "F16", "shape": [SPARSE // 2], "data_offsets": [len(body), len(body) + SPARSE]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + body)
        file.truncate(8 + len(text) + len(body) + SPARSE)
    return path


def rows(page: str, section: str) -> list[str]:
    """What a section of docs/hostile-input.md lists: the first column of its table, sorted."""
    text = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return sorted([line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:])
