"""What comes back: few files, none of them large, written as soon as there is something and whenever it is newer."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from microcinema_core.files import written_whole

MB = 1_000_000
PART = 15 * MB  # of weights in a file
ALL, FILES = 48 * MB, 8
LOG, SHEETS = "log.txt", "sheets.tar"
LOG_BYTES = 400_000  # of each stage's log, its end
SHEET_BYTES = 6 * MB
WEIGHTS = ".safetensors"
PICTURES = (".png", ".jpg", ".webp", ".json", ".md")


def split(path: Path, size: int = PART) -> list[tuple[dict[str, NDArray[Any]], dict[str, str]]]:
    """A file's tensors in parts of at most so many bytes, in float16, each with the file's metadata."""
    parts: list[dict[str, NDArray[Any]]] = [{}]
    room = size
    with safe_open(path, framework="np") as file:
        about = dict(file.metadata() or {})
        for name in file.keys():
            value = file.get_tensor(name)
            value = value.astype(np.float16) if value.dtype.kind == "f" else value
            if value.nbytes > room and parts[-1]:
                parts.append({})
                room = size
            parts[-1][name] = value
            room -= value.nbytes
    return [(part, about) for part in parts]


def joined(paths: Iterable[Path], to: Path) -> None:
    """The file that was split into these."""
    tensors: dict[str, NDArray[Any]] = {}
    about: dict[str, str] = {}
    for path in paths:
        with safe_open(path, framework="np") as file:
            about |= file.metadata() or {}
            tensors |= {name: file.get_tensor(name) for name in file.keys()}
    with written_whole(to) as temporary:
        save_file(tensors, temporary, metadata=about)


@dataclass(slots=True)
class Results:
    """The folder that comes back. leaves: files and folders of the stages, by the name they come back under.

    Of a folder its pictures and figures come back; those of all folders in one archive.
    """

    folder: Path
    logs: Path
    leaves: Sequence[tuple[str, Path]]
    lines: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)

    def collect(self) -> None:
        """What is new, each file whole or as it was before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, path in self.leaves:
            if path.suffix == WEIGHTS and self._is_new(name, path):
                self._weights(name, path)
        self._sheets({name: path for name, path in self.leaves if path.suffix != WEIGHTS})
        self._log()

    def _is_new(self, name: str, path: Path) -> bool:
        written = path.stat().st_mtime_ns if path.is_file() else 0
        new = written > self.seen.get(name, 0)
        self.seen[name] = written
        return new

    def _weights(self, name: str, path: Path) -> None:
        if path.stat().st_size <= PART:  # as it is, since others name it by its hash
            with written_whole(self.folder / f"{name}{WEIGHTS}") as temporary:
                shutil.copyfile(path, temporary)
            return
        for i, (tensors, about) in enumerate(split(path)):
            with written_whole(self.folder / f"{name}-{i}{WEIGHTS}") as temporary:
                save_file(tensors, temporary, metadata=about)

    def _sheets(self, folders: Mapping[str, Path]) -> None:
        """The newest first, as many as there is room for."""
        found = [(name, root, path) for name, root in folders.items() for path in _pictures(root)]
        room = SHEET_BYTES
        with written_whole(self.folder / SHEETS) as temporary, tarfile.open(temporary, "w") as archive:
            for name, root, path in sorted(found, key=lambda one: one[2].stat().st_mtime_ns, reverse=True):
                size = path.stat().st_size
                if size <= room:
                    inside = path.relative_to(root) if root.is_dir() else path.name
                    archive.add(path, f"{name}/{inside}")
                    room -= size

    def _log(self) -> None:
        """The driver's lines, then each stage's log without what its bars wrote over."""
        texts = ["\n".join(self.lines)]
        for path in sorted(self.logs.glob("*.log")):
            with suppress(OSError):
                text = path.read_bytes()[-LOG_BYTES:].decode(errors="replace")
                texts.append(f"== {path.stem}\n" + re.sub(r"[^\n]*\r(?=[^\n])", "", text))
        with written_whole(self.folder / LOG) as temporary:
            temporary.write_text("\n\n".join(texts) + "\n", encoding="utf-8")

    def excess(self) -> str:
        """What of it is more than comes back; empty where nothing is."""
        sizes = {path.name: path.stat().st_size for path in self.folder.iterdir()}
        large = [name for name, size in sizes.items() if size >= 16 * MB]
        if len(sizes) > FILES or sum(sizes.values()) > ALL or large:
            return f"{len(sizes)} files of {sum(sizes.values()) / MB:.1f} MB; too large: {large}"
        return ""


def _pictures(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return [path for path in root.rglob("*") if path.is_file() and path.suffix in PICTURES]
