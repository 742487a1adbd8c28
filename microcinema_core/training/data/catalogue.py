"""The films of a source in a file, one a line: in memory are only the places of their lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ...errors import InputError
from ...files import check_readable, disk_errors, written_whole
from ...media.films import Video, length_of, rate_of
from .ahead import ahead
from .films import Film
from .listing import listed
from .named import Entry, LeftOut, Named

KEY = 32  # hexadecimal digits
SLACK = 0.01  # of a rate: a film of 29.97 frames a second has 30
CHUNK = 1 << 20  # bytes of a shard's member that are hashed together


class Films:
    """Films in the order of their source, each read from its line when it is asked for."""

    def __init__(self, path: Path, places: NDArray[np.int64]) -> None:
        self.path, self.places = path, places

    @classmethod
    def read(cls, path: Path) -> Films:
        """All that a catalogue holds. Raises InputError where there is none."""
        check_readable(path, "the catalogue of a source")
        with path.open("rb") as file:
            ends = np.cumsum([0, *map(len, file)], dtype=np.int64)
        return cls(path, ends[:-1])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Film:
        with self.path.open("rb") as file:
            file.seek(self.places[index])
            return _film(json.loads(file.readline()))

    def __iter__(self) -> Iterator[Film]:
        with self.path.open("rb") as file:
            for place in self.places:
                file.seek(place)
                yield _film(json.loads(file.readline()))

    def where(self, wanted: Callable[[Film], bool]) -> Films:
        """Those that are wanted."""
        return Films(self.path, self.places[np.fromiter(map(wanted, self), bool, len(self))])

    def without(self, keys: Collection[str]) -> Films:
        """Those that have none of these keys."""
        return self.where(lambda film: film.key not in keys)


def reaching(films: Films, rate: float) -> Films:
    """Those with at least so many frames a second: of any other, some would be there twice at this rate."""
    return films.where(lambda film: film.rate >= (1 - SLACK) * rate)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier catalogue knows of a film, as long as its bytes lie as they lay."""

    stamp: str
    seconds: float
    rate: float
    key: str


def find_films(
    source: str | Path, catalogue: Path, workers: int = 1, shared: Path | None = None
) -> tuple[Films, list[LeftOut]]:
    """The videos of a source that can be used, written to the file `catalogue`, and those that cannot.

    What an earlier catalogue knows is not read again: the one in its place, or `shared`, which other runs have too and
    which becomes as this one. Raises InputError for a source that is none, OSError where the disk refuses.
    """
    left_out: list[LeftOut] = []
    opened = ahead(partial(_opened, _known(shared or catalogue)), listed(str(source)), workers)
    with disk_errors(catalogue), written_whole(catalogue) as temporary, temporary.open("w", encoding="utf-8") as file:
        for found in tqdm(opened, desc="videos looked at", unit="", disable=None):
            if isinstance(found, LeftOut):
                left_out.append(found)
            else:
                file.write(f"{found}\n")
    if shared is not None:
        with disk_errors(shared), written_whole(shared) as temporary:
            copyfile(catalogue, temporary)
    return Films.read(catalogue), left_out


def _opened(known: dict[str, _Earlier], entry: Entry) -> str | LeftOut:
    """The line of a film, or why there is none."""
    if isinstance(entry, LeftOut):
        return entry
    try:
        stamp = _stamp(entry.video)
        earlier = known.get(entry.name)
        if earlier is None or earlier.stamp != stamp:
            seconds = length_of(entry.video)
            earlier = _Earlier(stamp, seconds, rate_of(entry.video, seconds), _key(entry, stamp))
    except InputError as error:
        return LeftOut.of(entry.name, entry.video, error)
    film = Film(entry.name, entry.video, entry.text, earlier.seconds, earlier.rate, earlier.key)
    return json.dumps(asdict(film) | {"video": [*_spelt(entry.video)], "stamp": stamp})


def _spelt(video: Video) -> tuple[str, str, int, int]:
    return str(video.path), video.member, video.start, video.size


def _stamp(video: Video) -> str:
    """What changes when a file does, or the place of a member in it."""
    check_readable(video.path, "a video")
    status = video.path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {video.start} {video.size}"


def _key(entry: Named, stamp: str) -> str:
    """Of a file by its name, size and time; of a shard's member by its name and bytes, whatever shard it lies in."""
    digest = hashlib.sha256()
    if entry.video.member:
        with entry.video.path.open("rb") as file:
            file.seek(entry.video.start)
            for start in range(0, entry.video.size, CHUNK):
                digest.update(file.read(min(CHUNK, entry.video.size - start)))
    rest = (own_name(entry.name, entry.video), "" if entry.video.member else stamp)
    digest.update("\n".join(rest).encode(errors="surrogatepass"))
    return digest.hexdigest()[:KEY]


def own_name(name: str, video: Video) -> str:
    """A film's name, which in a shard does not depend on which one that is."""
    return video.member or name


def _known(catalogue: Path) -> dict[str, _Earlier]:
    """By name; empty where there is no catalogue, and without those of its lines that are damaged."""
    if not catalogue.is_file():
        return {}
    found = {}
    with catalogue.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                record = json.loads(line)
                film = _film(record)
                found[film.name] = _Earlier(str(record["stamp"]), film.seconds, film.rate, film.key)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
    return found


def _film(record: dict[str, Any]) -> Film:
    """Raises ValueError, TypeError or KeyError for what is none."""
    path, member, start, size = record["video"]
    seconds, rate, key = float(record["seconds"]), float(record["rate"]), str(record["key"])
    if not isfinite(seconds + rate) or len(key) != KEY or not set(key) <= set("0123456789abcdef"):
        raise ValueError(record["name"])
    video = Video(Path(path), str(member), int(start), int(size))
    return Film(str(record["name"]), video, str(record["text"]), seconds, rate, key)
