"""Shards made of videos: .tar files as webdataset reads them, each written whole, the rest of them by the next run."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from ...errors import InputError
from ...files import disk_errors, reachable, read_text, written_whole
from .catalogue import Films, own_name
from .films import Film
from .tars import BLOCK

NAME = "films-{:05d}.tar"
PATTERN = "*.tar"
PLAN = "films.json"  # what the shards in a folder are made of
MAX_PLAN = 10_000  # bytes


@dataclass(frozen=True, slots=True)
class Packing:
    """Films in shards of `size` bytes, or of one film that is larger, in a folder."""

    films: Films
    folder: Path
    size: int

    def begin(self) -> list[range]:
        """Which films each shard is to hold. Raises InputError where other shards lie in the folder."""
        digest = hashlib.sha256(str(self.size).encode())
        parts, start, filled = [], 0, 0
        for i, film in enumerate(self.films):
            room = _room(film)
            if filled and filled + room > self.size:
                parts.append(range(start, i))
                start, filled = i, 0
            filled += room
            digest.update(f"\n{film.key} {film.text!r}".encode(errors="surrogatepass"))
        parts.append(range(start, len(self.films)))
        self._claim({"films": len(self.films), "shards": len(parts), "made of": digest.hexdigest()})
        return parts

    def _claim(self, plan: dict[str, object]) -> None:
        """The folder is for these shards alone."""
        path, text = self.folder / PLAN, json.dumps(plan)
        with reachable(self.folder):
            ours = path.is_file() and read_text(path, "the plan of a folder of shards", MAX_PLAN) == text
            there = sorted(found.name for found in self.folder.glob(PATTERN) if not found.name.startswith("."))
        if there and not ours:
            raise InputError(
                f"{self.folder}: holds {there[0]}, which was not made of these videos with this size; give another "
                "folder, or remove the shards there"
            )
        with disk_errors(path), written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        for unfinished in self.folder.glob(f".{PATTERN}"):  # of a run that was killed
            unfinished.unlink()

    def pack(self, parts: list[range], told: Callable[[int, int], None]) -> list[Path]:
        """The shards, those that are there already as they are. Raises OSError where the disk refuses.

        told: is called with how many films are packed, and how many there are.
        """
        paths = []
        for number, part in enumerate(parts):
            path = self.folder / NAME.format(number)
            if not path.exists():
                with disk_errors(path, tarfile.TarError), written_whole(path) as temporary:
                    self._write(temporary, part, told)
            told(part.stop, len(self.films))
            paths.append(path)
        return paths

    def _write(self, path: Path, part: range, told: Callable[[int, int], None]) -> None:
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for i in part:
                film = self.films[i]
                _add(tar, film)
                told(i, len(self.films))


def _add(tar: tarfile.TarFile, film: Film) -> None:
    """The video, and its sentence under the same name."""
    stem, suffix, text = _stem(film), PurePosixPath(own_name(film.name, film.video)).suffix, film.text.encode()
    with film.video.path.open("rb") as file:
        file.seek(film.video.start)
        head = tarfile.TarInfo(f"{stem}{suffix.lower()}")
        head.size = _size(film)
        tar.addfile(head, file)
    head = tarfile.TarInfo(f"{stem}.txt")
    head.size = len(text)
    tar.addfile(head, BytesIO(text))


def _stem(film: Film) -> str:
    """A member's name, which webdataset ends at its first point: the film's, and what tells it from all others."""
    name = PurePosixPath(own_name(film.name, film.video)).with_suffix("")
    plain = re.sub(r"[^\w/ -]", "_", str(name)).strip("/ ")[-100:]
    told = hashlib.sha256(own_name(film.name, film.video).encode(errors="surrogatepass")).hexdigest()
    return f"{plain.lstrip('/')}-{told[:8]}"


def _size(film: Film) -> int:
    return film.video.size if film.video.member else film.video.path.stat().st_size


def _room(film: Film) -> int:
    """What a film takes of a shard: two heads, and both its members filled up to blocks."""
    return 2 * BLOCK + sum(-(-size // BLOCK) * BLOCK for size in (_size(film), len(film.text.encode())))
