"""The videos of a source, one after the other: a folder, a list or shards, all of them files on this disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

from ...errors import InputError
from ...files import check_readable, reachable
from .lists import check_local, in_csv, in_jsonl
from .named import SUFFIXES, Entries, LeftOut, beside
from .tars import in_tar

SOURCE = "a folder of videos, a list of them (.csv, .jsonl), or shards (.tar, or films-{000..012}.tar)"
TAR = ".tar"
MAX_SHARDS = 100_000  # that one pattern may stand for
BRACES = re.compile(r"\{([^{}]*)\}")


def listed(source: str) -> Entries:
    """What the source names, in the order of names or of the list. No video is opened.

    Raises InputError for a source that is none: an address, a folder without videos, a list without its columns.
    """
    path = Path(source)
    with reachable(path):
        folder, there = path.is_dir(), path.exists() or path.is_symlink()
    if folder:
        yield from _in_folder(path)
    elif there:
        yield from _in_file(path)
    else:
        check_local(source, path)
        for found in matching(source):
            yield from _one(found.name, found)


def _in_folder(folder: Path) -> Entries:
    with reachable(folder):
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*SUFFIXES, TAR))
    paths = [path for path in paths if not path.name.startswith(".")]  # what other programs keep, or did not finish
    if not paths:
        raise InputError(
            f"{folder}: holds no videos; put {', '.join(SUFFIXES)} there, each with NAME.txt beside it, or .tar shards"
        )
    for path in paths:
        yield from _one(path.relative_to(folder).as_posix(), path)


def _one(name: str, path: Path) -> Entries:
    if path.suffix.lower() == TAR:
        return in_tar(path)
    return iter([beside(name, path) if path.suffix.lower() in SUFFIXES else LeftOut(name, "is no video and no .tar")])


def _in_file(path: Path) -> Entries:
    check_readable(path, SOURCE)
    readers = {".csv": in_csv, ".jsonl": in_jsonl, TAR: in_tar}
    if (read := readers.get(path.suffix.lower())) is None:
        raise InputError(f"{path}: is none of {', '.join(readers)}; give {SOURCE}")
    return read(path)


def matching(pattern: str) -> Iterator[Path]:
    """The files of a pattern with {000..012}, {a,b}, * and ?. Raises InputError where there are none or too many."""
    names = expanded(pattern)
    if "\0" in pattern or (names == [pattern] and not has_magic(pattern)):
        raise InputError(f"{pattern}: does not exist; give {SOURCE}")
    found = [path for name in names for path in (sorted(glob(name)) if has_magic(name) else [name])]  # noqa: PTH207
    if not found:
        raise InputError(f"{pattern}: no file has such a name; give {SOURCE}")
    return map(Path, found)


def expanded(pattern: str) -> list[str]:
    """A pattern's names, each of its braces as one of its choices."""
    names = [""]
    for i, part in enumerate(BRACES.split(pattern)):
        choices = _choices(part) if i % 2 else [part]
        if len(names) * len(choices) > MAX_SHARDS:
            raise InputError(f"{pattern}: stands for more than {MAX_SHARDS:,} files; give {SOURCE}")
        names = [name + choice for name in names for choice in choices]
    return names


def _choices(inner: str) -> list[str]:
    """What stands between braces: 000..012 counts, with as many digits; a,b are names; anything else is itself."""
    if counted := re.fullmatch(r"([0-9]{1,9})\.\.([0-9]{1,9})", inner):
        first, last = map(int, counted.groups())
        numbers = range(first, min(last, first + MAX_SHARDS) + 1)
        return [f"{number:0{len(counted[1])}d}" for number in numbers]
    return inner.split(",") if "," in inner else [f"{{{inner}}}"]
