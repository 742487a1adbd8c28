"""Shards: .tar files as webdataset writes them, NAME.mp4 with NAME.txt or NAME.json in them.

They are read in place: nothing is taken out, and no name in them becomes a path.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ...errors import InputError
from ...files import check_readable, parse_json
from ...media.films import Video
from .lists import MAX_RECORD, value_of
from .named import MAX_SENTENCE, SUFFIXES, TEXTS, Entries, Entry, LeftOut, Named, sentence

SHARD = "a shard (.tar) of videos, each with NAME.txt or NAME.json"
BLOCK = 512  # bytes, in which tar counts
MAX_LONG = 64 * 1024  # bytes of a name, or of what else a member has before it
MAX_DIGITS = 20  # of a size beyond the 8 GB that a header can say
LONG_NAME, EXTENDED = b"L", b"x"  # members that say more of the next
SPARSE = b"GNU.sparse."  # of files with holes, whose bytes are no video
PLAIN = (b"0", b"\0", b"7")  # files
EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders: no bytes follow, whatever size they say


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's bytes lie. plain: it is a file."""

    name: str
    start: int
    size: int
    plain: bool


@dataclass(slots=True)
class _Sample:
    """The members of one name, by the end of theirs."""

    videos: list[Member] = field(default_factory=list)
    texts: dict[str, Member] = field(default_factory=dict)


def in_tar(path: Path) -> Entries:
    """What cannot be read of a shard is left out; what comes before it is not."""
    samples: dict[str, _Sample] = {}
    damage: list[LeftOut] = []
    try:
        for member in members(path):
            _sort_in(samples, member)
    except InputError as error:
        damage.append(LeftOut.of(path.name, path, error))
    if any(sample.videos for sample in samples.values()):
        with path.open("rb") as file:
            for sample in samples.values():
                yield from _of_sample(path, file, sample)
    elif not damage:
        damage.append(LeftOut(path.name, f"holds no videos; give {SHARD}"))
    yield from damage


def _sort_in(samples: dict[str, _Sample], member: Member) -> None:
    name = PurePosixPath(member.name)
    stem = f"{name.parent}/{name.name.partition('.')[0]}"  # webdataset's rule: a name ends at its first point
    sample = samples.setdefault(stem, _Sample())
    if (suffix := name.suffix.lower()) in SUFFIXES:
        sample.videos.append(member)
    elif suffix in (".txt", ".json"):
        sample.texts.setdefault(suffix, member)


def _of_sample(path: Path, file: BinaryIO, sample: _Sample) -> Entries:
    for i, member in enumerate(sample.videos):
        name, video = f"{path.name}/{member.name}", Video(path, member.name, member.start, member.size)
        if i:
            yield LeftOut(name, "is a second video of one name")
        elif not member.plain:
            yield LeftOut(name, "is a link, or no file at all")
        else:
            yield _with_sentence(name, video, file, sample)


def _with_sentence(name: str, video: Video, file: BinaryIO, sample: _Sample) -> Entry:
    try:
        return Named(name, video, sentence(_text(file, sample)))
    except (InputError, ValueError) as error:
        return LeftOut(name, str(error))


def _text(file: BinaryIO, sample: _Sample) -> str:
    """What stands in NAME.txt, or else in NAME.json. Raises ValueError for what is none."""
    if (member := sample.texts.get(".txt")) is not None:
        return _read(file, member, MAX_SENTENCE).decode("utf-8")
    if (member := sample.texts.get(".json")) is None:
        raise ValueError("has no NAME.txt and no NAME.json beside it")
    record = parse_json(_read(file, member, MAX_RECORD).decode("utf-8"), member.name)
    return value_of(record, TEXTS) if isinstance(record, dict) else ""


def _read(file: BinaryIO, member: Member, limit: int) -> bytes:
    if not member.plain or member.size > limit:
        raise ValueError(f"its {PurePosixPath(member.name).suffix} is no file, or too long: {member.size:,} bytes")
    file.seek(member.start)
    return file.read(member.size)


def members(path: Path) -> Iterator[Member]:
    """In their order, hidden ones left out. Raises InputError, after those before, where it is no longer a .tar."""
    total, at = check_readable(path, SHARD), 0
    more: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        while at + BLOCK <= total:
            file.seek(at)
            block = file.read(BLOCK)
            if not any(block):
                return
            head, start = _header(block, path, at), at + BLOCK
            size = _size(head, more.get(b"size", b""))
            if not 0 <= size <= total - start:
                break
            at = start + -(-size // BLOCK) * BLOCK
            if head.type in (LONG_NAME, EXTENDED):
                more |= _more(file.read(min(size, MAX_LONG)), head.type)
                continue
            name = more[b"path"].decode("utf-8", "surrogateescape") if b"path" in more else head.name
            if not PurePosixPath(name).name.startswith("."):
                yield Member(name, start, size, head.type in PLAIN and SPARSE not in more)
            more = {}
    raise InputError(f"{path}: is cut off or damaged at byte {at:,}; make it anew")


def _header(block: bytes, path: Path, at: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise InputError(f"{path}: is no .tar at byte {at:,} ({error}); give {SHARD}, not compressed") from error


def _size(head: tarfile.TarInfo, said: bytes) -> int:
    """Of the bytes that follow; what was said before counts for more than the head."""
    if head.type in EMPTY:
        return 0
    return int(said) if said.isdigit() and len(said) < MAX_DIGITS else head.size


def _more(data: bytes, kind: bytes) -> dict[bytes, bytes]:
    """What a member says of the one after it: its long name, or records such as `30 path=...`."""
    if kind == LONG_NAME:
        return {b"path": data.partition(b"\0")[0]}
    records = (line.partition(b" ")[2].partition(b"=") for line in data.split(b"\n"))
    return {SPARSE if key.startswith(SPARSE) else key: value for key, _, value in records}
