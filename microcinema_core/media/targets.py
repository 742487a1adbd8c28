"""Where a clip goes and in which form, checked before anything is computed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import InputError
from ..files import check_writable, reachable, replaces
from .settings import FRAME_NAME, VIDEO_SUFFIXES, is_ours


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

    @property
    def pattern(self) -> Path:
        """Of numbered pictures' names, with its %d."""
        return self.path / FRAME_NAME if self.form is Form.FOLDER else self.path

    def beside(self, ending: str) -> Path:
        """A file named after this clip, in the same folder."""
        if self.form is Form.FOLDER:
            named = self.path.name not in ("", "..")
            whole = self.path if named else Path(os.path.abspath(self.path))  # noqa: PTH100 - not through links
            return whole.with_name(f"{whole.name or 'clip'}-{ending}")
        stem = self.path.stem.split("%")[0].rstrip("-_.")
        return self.path.parent / f"{stem or 'clip'}-{ending}"

    def exists(self) -> bool:
        """Whether there is a clip already, which this one will replace."""
        first = self.path if self.form is Form.VIDEO else self.pattern.with_name(self.pattern.name % 0)
        return first.exists()

    def replaces(self, source: Path) -> bool:
        """Whether the clip would be written over this file."""
        if self.form is Form.VIDEO:
            return replaces(self.path, source)
        begin, end = re.split(r"%(?:0\d)?d", self.pattern.name)
        named = re.fullmatch(rf"{re.escape(begin)}\d+{re.escape(end)}", source.name)
        here = Path(os.path.realpath(self.pattern.parent)) == Path(os.path.realpath(source.parent))
        return here and named is not None


def _folder_exists(path: Path) -> bool:
    with reachable(path):
        return path.is_dir()


def _check_folder(path: Path) -> None:
    """Raises InputError where pictures in it could not be written, or would be written over somebody else's."""
    with reachable(path):
        exists = path.exists()
    if not exists:
        check_writable(path)
    elif not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another name")
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"{path}: may not be read and written; choose another place")
    else:
        parent = Path(os.path.abspath(path)).parent  # noqa: PTH100 - unfinished work lies there
        if not os.access(parent, os.W_OK | os.X_OK):
            raise InputError(f"{path}: the folder {parent} is read-only; choose another place")
        for item in path.iterdir():
            if is_frame(item) and not is_ours(item):
                raise InputError(f"{item}: was not made by microcinema; name a new folder for the frames")
            if not is_frame(item) and not item.name.startswith("."):
                raise InputError(
                    f"{path}: holds other files than frames ({item.name}); name a new folder for the frames"
                )


def is_frame(path: Path) -> bool:
    """Whether its name is that of a picture in a folder of frames."""
    return re.fullmatch(r"frame-\d{4,}\.png", path.name) is not None
