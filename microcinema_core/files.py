"""Files: places checked beforehand, written whole or not at all, and told apart by what is in them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from .errors import InputError, shown

MAX_NAME = 240  # bytes: file systems take 255, and the temporary name beside it is longer


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    if path.exists() and source.exists() and path.samefile(source):
        return True
    real, read = Path(os.path.realpath(path)), Path(os.path.realpath(source))
    return real == read or (read.is_dir() and path.exists() and real.is_relative_to(read))


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
