"""Files: places checked beforehand, written whole or not at all, and told apart by what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from .errors import InputError, MicroCinemaError, shown

Kind = type[MicroCinemaError]  # of error: what a file is read as decides on it
MAX_JSON = 1_000_000  # characters: JSON of only brackets takes thirty times its length in memory
MAX_NAME = 240  # bytes: file systems take 255, and the temporary name beside it is longer


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_readable(path: Path, wanted: str, kind: Kind = InputError) -> int:
    """A file's size in bytes. Nothing is opened: to open a pipe waits for ever, and a device has no end.

    Raises `kind`, asking for `wanted`, for what is missing, no file or may not be read.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise kind(f"{path}: does not exist; give {wanted}") from error
    except (OSError, ValueError) as error:  # a circle of links; a name that is too long, or holds NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise kind(f"{path}: cannot be read ({reason}); check its name and permissions, or give {wanted}") from error
    if stat.S_ISDIR(status.st_mode):
        raise kind(f"{path}: is a folder; give {wanted}")
    if not stat.S_ISREG(status.st_mode):
        raise kind(f"{path}: is a pipe or device; give {wanted}")
    if not os.access(path, os.R_OK):
        raise kind(f"{path}: cannot be read (Permission denied); check its permissions, or give {wanted}")
    return status.st_size


def read_text(path: Path, wanted: str, limit: int, kind: Kind = InputError) -> str:
    """A text file in UTF-8. Raises `kind`, asking for `wanted`, for any other and for more than `limit` bytes."""
    if (size := check_readable(path, wanted, kind)) > limit:
        raise kind(f"{path}: is too long: {size:,} bytes, {limit:,} at most; give {wanted}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise kind(f"{path}: is no text in UTF-8 ({error.reason} at byte {error.start}); give {wanted}") from error
    except OSError as error:
        raise kind(f"{path}: cannot be read ({error.strerror}); give {wanted}") from error


def parse_json(text: str, name: str, limit: int = MAX_JSON) -> Any:
    """The value of a JSON text; `name` says in an error what it is of.

    Raises ValueError for more than `limit` characters and for what is not JSON.
    """
    if len(text) > limit:
        raise ValueError(f"{name} is too long: {len(text):,} characters, {limit:,} at most")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON ({error})") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed over it if the body succeeds and removed if not.

    Where `path` is a link, it stays, and what it leads to is written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes only what may be written
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Says in one line, as an OSError, what the system's errors, safetensors' and `more` mean for `path`."""
    kinds: tuple[type[Exception], ...] = (OSError, SafetensorError, *more)
    try:
        yield
    except kinds as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(
            f"{path}: not written ({shown(reason)}); make space or choose another place, and try again"
        ) from error


def check_writable(path: Path, suffix: str | None = None, sources: Iterable[Path | None] = ()) -> None:
    """Whether a file can be written, as far as is clear beforehand; folders that lack are made on writing.

    suffix: what its name must end in. sources: what is read, and must not be replaced; a folder's files neither.
    Raises InputError if it cannot.
    """
    if suffix is not None and path.suffix.lower() != suffix:
        raise InputError(f"{path}: must end in {suffix}; give another name")
    if len(os.fsencode(path.name)) > MAX_NAME:
        raise InputError(f"{path.name[:40]}...: the name is too long; give at most {MAX_NAME} bytes")
    with reachable(path):
        _check_place(path)
        for source in sources:
            if source is not None and replaces(path, source):
                raise InputError(f"{path}: is the source itself, or a part of it; give another name")


def replaces(path: Path, source: Path) -> bool:
    """Whether writing `path` would replace `source`, or a file in it where it is a folder."""
    try:
        real, read = Path(os.path.realpath(path)), Path(os.path.realpath(source))
        same = path.exists() and source.exists() and path.samefile(source)
        return same or real == read or (read.is_dir() and path.exists() and real.is_relative_to(read))
    except (OSError, ValueError):  # a source that cannot be reached, or holds NUL, is refused where it is read
        return False


@contextmanager
def reachable(path: Path) -> Iterator[None]:
    """Turns the OSError that even asking of a place raises, where one may not look, into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be reached ({error.strerror}); choose another place") from error


def _check_place(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        os.path.realpath(path, strict=True)  # links that lead nowhere but round
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file name")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no regular file; choose another name")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path}: is read-only; choose another name")
    parent = next(folder for folder in Path(os.path.realpath(path)).parents if folder.exists())
    if not parent.is_dir():
        raise InputError(f"{path}: {parent} is a file, not a folder; choose another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {parent} is read-only; choose another place")
