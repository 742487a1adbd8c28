"""What travels to the card: pictures, and the file that the autoencoder starts from, within so many bytes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from microcinema_core.training.provenance import code_commit

MB = 1_000_000
ROOM = 26 * MB
START, TEXT, HISTORY = "start.safetensors", "text.safetensors", "commit.txt"
KINDS, SPLITS = ("pictures", "cut-outs"), ("final", "select", "train")


def pack(pictures: Path, files: Mapping[str, Path], folder: Path, room: int = ROOM) -> int:
    """Returns the bytes that it took.

    pictures: a folder as `studies.pocket.pictures` writes it; files: others, by the name they get. Held-out pictures go
    first, then those of training in the order of their names' hashes, both kinds in turn, until the room is full.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / HISTORY).write_text(code_commit(), encoding="utf-8")
    spent = sum(_copied(path, folder / name) for name, path in files.items())
    for path in sorted(pictures.glob("lists/*")):
        spent += _copied(path, folder / "lists" / path.name)
    for path in _in_order(pictures):
        if spent + path.stat().st_size > room:
            break
        spent += _copied(path, folder / path.relative_to(pictures))
    return spent


def few(folder: Path, to: Path, count: int = 6) -> Path:
    """The same with a few pictures of each kind, for the smallest form."""
    for path in folder.glob("*.*"):
        _copied(path, to / path.name)
    for kind in KINDS:
        for split in SPLITS:
            for path in sorted((folder / kind / split).glob("*"))[:count]:
                _copied(path, to / path.relative_to(folder))
    return to


def _in_order(pictures: Path) -> Iterator[Path]:
    """Of each split, the same share of each kind at any moment."""
    for split in SPLITS:
        places = []
        for kind in KINDS:
            paths = sorted((pictures / kind / split).glob("*"), key=lambda path: _share_of(path.name))
            places += [(i / len(paths), path) for i, path in enumerate(paths)]
        yield from (path for _, path in sorted(places))


def _share_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _copied(path: Path, to: Path) -> int:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
    return path.stat().st_size
