"""Lists of videos: CSV whose first line names the columns, and JSON Lines. Paths are relative to the list."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import check_readable, parse_json
from ...media.films import Video
from .named import TEXTS, Entries, Entry, LeftOut, Named, sentence

PATHS = ("path", "video", "file")
MAX_RECORD = 100_000  # characters of one line of a list, or of the lines that one row of a CSV goes over
LIST = "a list of videos and sentences (.csv, .jsonl)"
ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:")  # pipe:, http: and their like; a drive has one letter


class _Lines:
    """A text's lines, as long as those of one record are not too many. `spent` is set to 0 when one is read."""

    def __init__(self, path: Path) -> None:
        self.path, self.spent, self.number = path, 0, 0

    def __iter__(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            while line := file.readline(MAX_RECORD + 1):
                self.number += 1
                self.spent += len(line)
                if self.spent > MAX_RECORD:
                    raise InputError(
                        f"{self.path}: line {self.number} belongs to a record of more than {MAX_RECORD:,} characters; "
                        f"give {LIST}, one in a line"
                    )
                yield line


@contextmanager
def _read_as_list(path: Path) -> Iterator[_Lines]:
    """Raises InputError, in the place of what Python raises meanwhile, for what is no text and no CSV."""
    check_readable(path, LIST)
    lines = _Lines(path)
    try:
        yield lines
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8 ({error.reason}); give {LIST}") from error
    except csv.Error as error:
        raise InputError(f"{path}: line {lines.number}: {error}; mend the quotation marks there") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give {LIST}") from error


def in_csv(path: Path) -> Entries:
    """Raises InputError where the first line does not name both columns, or the file is no CSV."""
    with _read_as_list(path) as lines:
        rows = csv.reader(lines)
        heads = [head.strip().lower() for head in next(rows, [])]
        video, text = _column(path, heads, PATHS), _column(path, heads, TEXTS)
        for row in rows:
            lines.spent = 0
            where = f"{path.name}, line {lines.number}"
            if len(row) > max(video, text):
                yield _named(path.parent, row[video].strip(), row[text], where)
            elif row:
                yield LeftOut(where, f"has {len(row)} columns of {len(heads)}")


def _column(path: Path, heads: Sequence[str], names: Sequence[str]) -> int:
    found = [heads.index(name) for name in names if name in heads]
    if not found:
        raise InputError(
            f"{path}: its first line names no column {names[0]} (or {', '.join(names[1:])}), but "
            f"{', '.join(heads[:9]) or 'nothing'}; name the columns there"
        )
    return found[0]


def in_jsonl(path: Path) -> Entries:
    """One object a line. Raises InputError where the file is no text, or a line is too long."""
    with _read_as_list(path) as lines:
        for line in lines:
            lines.spent = 0
            if line.strip():
                yield _of_object(path, line, f"{path.name}, line {lines.number}")


def _of_object(path: Path, line: str, where: str) -> Entry:
    try:
        record = parse_json(line, "it", MAX_RECORD)
    except ValueError as error:
        return LeftOut(where, str(error))
    if not isinstance(record, dict):
        return LeftOut(where, "is no object with a path and a text")
    return _named(path.parent, value_of(record, PATHS), value_of(record, TEXTS), where)


def value_of(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first text that goes by one of these names; none: empty."""
    return next((record[name] for name in names if isinstance(record.get(name), str)), "")


def _named(folder: Path, name: str, text: str, where: str) -> Entry:
    if not name:
        return LeftOut(where, f"names no {' or '.join(PATHS)}")
    try:
        check_local(name, folder / name)
        return Named(name, Video(folder / name), sentence(text))
    except InputError as error:
        return LeftOut.of(name, name, error)


def check_local(name: str, path: Path) -> None:
    """Raises InputError for an address, such as `pipe:` or `http:`, unless a file has this name."""
    with suppress(OSError, ValueError):
        if ADDRESS.match(name) and not os.path.lexists(path):
            raise InputError(f"{name}: is an address; only files on this disk are read, and no command is run")
