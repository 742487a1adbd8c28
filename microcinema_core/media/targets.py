"""Where a clip goes and in which form, checked before anything is computed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import InputError

VIDEO_SUFFIXES = (".mp4", ".webm", ".gif")
MAX_NAME = 240  # bytes: file systems take 255, and the temporary name beside it is longer


class Form(StrEnum):
    """What a clip is written as."""

    VIDEO = "video"
    FOLDER = "folder"
    NUMBERED = "numbered"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a clip goes. `path`: the file, the folder, or the numbered files' pattern with its %d."""

    form: Form
    path: Path

    @classmethod
    def of(cls, out: str | Path) -> Target:
        """`*.mp4`, `*.webm`, `*.gif`: a video. `*.png`: numbered pictures. A name with a closing slash,
        or a folder that exists: a folder of pictures.

        Raises InputError for anything else and for places that cannot be written, so that nobody computes in vain.
        """
        path = Path(out)
        if str(out).endswith(("/", os.sep)) or _folder_exists(path):
            _check_folder(path)
            return cls(Form.FOLDER, path)
        suffix = path.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            check_writable(path)
            return cls(Form.VIDEO, path)
        if suffix == ".png":
            pattern = path if "%" in path.name else path.with_name(f"{path.stem}-%04d.png")
            if not re.fullmatch(r"[^%]*%(0\d)?d[^%]*", pattern.name):
                raise InputError(f"{path}: numbered pictures need one %d or %04d in their name and no other %")
            check_writable(path)
            return cls(Form.NUMBERED, pattern)
        raise InputError(
            f"{path}: must end in {', '.join(VIDEO_SUFFIXES)} (video), in .png (numbered pictures) "
            "or in / (folder of pictures)"
        )

    def beside(self, ending: str) -> Path:
        """A file named after this clip, in the same folder."""
        stem = self.path.name if self.form is Form.FOLDER else self.path.stem.split("%")[0].rstrip("-_.")
        return self.path.parent / f"{stem or 'clip'}-{ending}"


@contextmanager
def _reachable(path: Path) -> Iterator[None]:
    """Where one may not even look, even asking whether something exists raises an error."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be reached ({error.strerror}); choose another place") from error


def _folder_exists(path: Path) -> bool:
    with _reachable(path):
        return path.is_dir()


def check_writable(path: Path, suffix: str | None = None) -> None:
    """Raises InputError if this file clearly cannot be written; folders that lack are made on writing."""
    if suffix is not None and path.suffix.lower() != suffix:
        raise InputError(f"{path}: must end in {suffix}")
    if len(os.fsencode(path.name)) > MAX_NAME:
        raise InputError(f"{path.name[:40]}...: the name is too long; give at most {MAX_NAME} bytes")
    with _reachable(path):
        _check_place(path)


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file name")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path}: is read-only; choose another name")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise InputError(f"{path}: {parent} is a file, not a folder; choose another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {parent} is read-only; choose another place")


def _check_folder(path: Path) -> None:
    with _reachable(path):
        exists = path.exists()
    if not exists:
        check_writable(path)
    elif not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another name")
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"{path}: may not be read and written; choose another place")
    elif other := [item.name for item in path.iterdir() if not re.fullmatch(r"frame-\d{4,}\.png", item.name)]:
        raise InputError(f"{path}: holds other files than frames ({other[0]}); name a new folder for the frames")
    elif not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.absolute().parent} is read-only; choose another place")
