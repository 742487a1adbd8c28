"""Where a clip goes and in which form, checked before anything is computed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import InputError
from ..files import check_writable, reachable

VIDEO_SUFFIXES = (".mp4", ".webm", ".gif")


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


def _folder_exists(path: Path) -> bool:
    with reachable(path):
        return path.is_dir()


def _check_folder(path: Path) -> None:
    with reachable(path):
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
