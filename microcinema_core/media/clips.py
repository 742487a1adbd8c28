"""Clips and pictures out, whole or not at all, each with the settings that made it.

A clip is written under a temporary name, from frames that arrive one by one, and renamed when it is complete.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import InputError
from ..files import check_readable, parse_json, written_whole
from .films import opened_video
from .frames import Frames, FrameSource, Settings
from .gif import write_gif
from .limits import fitting
from .pictures import DAMAGED
from .targets import VIDEO_SUFFIXES, Form, Target
from .video import MP4, WEBM, write_video

SETTINGS_KEY = "microcinema"  # the text chunk of a PNG; videos have `comment`
SETTINGS_SUFFIXES = (*VIDEO_SUFFIXES, ".png")  # of the files that hold settings
FRAME_NAME = "frame-%04d.png"
MIN_FPS, MAX_FPS = 0.01, 1000.0


def save_clip(out: str | Path, frames: Iterable[Frames], fps: float, settings: Settings) -> Target:
    """Write a clip in the form that its name asks for (see `Target.of`), holding one frame at a time.

    frames: uint8 [H, W, 3] each; an array [T, H, W, 3] is such an iterable, and so is a generator. If it raises, or if
    writing fails, nothing new stays and an older clip of that name is untouched; numbered pictures are renamed one
    after another at the end. Times are exact in MP4, rounded to 1 ms in WebM and to 10 ms in GIF; PNG has none.

    Raises InputError for a name, rate or frames that cannot be written, and OSError where the disk refuses.
    """
    target = Target.of(out)
    if not MIN_FPS <= fps <= MAX_FPS:  # NaN, too
        raise InputError(f"fps must be {MIN_FPS:g} to {MAX_FPS:g}, got {fps}")
    source = FrameSource(frames)
    with _disk_errors(target.path, source):
        match target.form:
            case Form.VIDEO:
                _save_video(target.path, fitting(target.path, source), float(fps), settings)
            case Form.FOLDER:
                with _folder_written_whole(target.path) as temporary:
                    _write_numbered(temporary / FRAME_NAME, source, settings)
            case Form.NUMBERED:
                folder = target.path.parent
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder, prefix=".frames-") as name:
                    for path in _write_numbered(Path(name) / target.path.name, source, settings):
                        path.replace(folder / path.name)
    return target


def save_picture(path: str | Path, picture: Frames, settings: Settings) -> None:
    """[H, W, 3] as a PNG file. Raises OSError where the disk refuses."""
    path = Path(path)
    with _disk_errors(path), written_whole(path) as temporary:
        _write_png(temporary, picture, settings)


@contextmanager
def _disk_errors(path: Path, source: FrameSource | None = None) -> Iterator[None]:
    """Says in one line what FFmpeg's and the system's errors mean for `path`; the frames' own errors pass."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        if source is not None and source.error is not None:
            raise source.error from None
        reason = error.strerror or str(error)
        raise OSError(f"{path}: not written ({reason}); make space or choose another place, and try again") from error


def _save_video(path: Path, frames: Iterator[Frames], fps: float, settings: Settings) -> None:
    with written_whole(path) as temporary:
        match path.suffix.lower():
            case ".gif":
                write_gif(temporary, frames, fps, settings)
            case ".webm":
                write_video(temporary, frames, fps, settings, WEBM)
            case _:
                write_video(temporary, frames, fps, settings, MP4)


def _write_numbered(pattern: Path, frames: Iterable[Frames], settings: Settings) -> list[Path]:
    paths = []
    for i, frame in enumerate(frames):
        paths.append(pattern.with_name(pattern.name % i))
        _write_png(paths[-1], frame, {**settings, "frame": i})
    return paths


def _write_png(path: Path, picture: Frames, settings: Settings) -> None:
    info = PngInfo()
    info.add_text(SETTINGS_KEY, json.dumps(dict(settings)))
    with path.open("wb") as file:
        Image.fromarray(picture).save(file, format="PNG", pnginfo=info)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _folder_written_whole(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, which takes its place if the body succeeds."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as name:
        new, old = Path(name) / "new", Path(name) / "old"
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings in a clip's or picture's file, or those that all pictures in a folder have in common.

    Raises InputError where there are none.
    """
    path = Path(path)
    if path.is_dir():
        settings = read_settings(path / (FRAME_NAME % 0))
        settings.pop("frame", None)
        return settings
    check_readable(path, "a clip or picture made by microcinema")
    text = _png_text(path) if path.suffix.lower() in (".png", ".gif") else _video_comment(path)
    try:
        found = parse_json(text or "", "its settings")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no settings of microcinema")
    return found


def _png_text(path: Path) -> str | None:
    """Also a GIF's."""
    try:
        with Image.open(path, formats=("PNG", "GIF")) as image:
            text = image.info.get(SETTINGS_KEY) or image.info.get("comment")
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: is not a readable picture ({error})") from error
    return text.decode("ascii", "replace") if isinstance(text, bytes) else text


def _video_comment(path: Path) -> str | None:
    with opened_video(path) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}  # Matroska's are in capitals
    return tags.get("comment")
