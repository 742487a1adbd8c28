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

import av
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import InputError
from ..files import disk_errors, written_whole
from .frames import Frames, FrameSource, Settings
from .gif import write_gif
from .limits import fitting
from .settings import FRAME_NAME, SETTINGS_KEY
from .targets import Form, Target, is_frame
from .video import MP4, WEBM, write_video

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
                _save_folder(target.path, source, settings)
            case Form.NUMBERED:
                _save_numbered(target.path, source, settings)
    return target


def save_picture(path: str | Path, picture: Frames, settings: Settings) -> None:
    """[H, W, 3] as a PNG file. Raises OSError where the disk refuses."""
    path = Path(path)
    with _disk_errors(path), written_whole(path) as temporary:
        write_png(temporary, picture, settings)


@contextmanager
def _disk_errors(path: Path, source: FrameSource | None = None) -> Iterator[None]:
    """As `disk_errors`, FFmpeg's too; the frames' own errors pass."""
    try:
        with disk_errors(path, av.FFmpegError):
            yield
    except OSError:
        if source is not None and source.error is not None:
            raise source.error from None
        raise


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
        write_png(paths[-1], frame, {**settings, "frame": i})
    return paths


def write_png(path: Path, picture: Frames, settings: Settings) -> None:
    """[H, W, 3] with its settings, as it is written: `save_picture` writes it whole."""
    info = PngInfo()
    info.add_text(SETTINGS_KEY, json.dumps(dict(settings)))
    with path.open("wb") as file:
        Image.fromarray(picture).save(file, format="PNG", pnginfo=info)
        file.flush()
        os.fsync(file.fileno())


def _save_numbered(pattern: Path, frames: Iterable[Frames], settings: Settings) -> list[Path]:
    """Written in a hidden folder beside, then renamed one after another."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pattern.parent, prefix=".frames-") as name:
        made = _write_numbered(Path(name) / pattern.name, frames, settings)
        return [path.replace(pattern.parent / path.name) for path in made]


def _save_folder(path: Path, frames: Iterable[Frames], settings: Settings) -> None:
    """A new folder appears whole; in one that exists, the pictures of a longer clip go once the new ones are there."""
    path = Path(os.path.realpath(path))
    if path.exists():
        made = set(_save_numbered(path / FRAME_NAME, frames, settings))
        for older in path.iterdir():
            if is_frame(older) and older not in made:
                older.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as name:
        new = Path(name) / "new"
        new.mkdir()
        _write_numbered(new / FRAME_NAME, frames, settings)
        new.rename(path)
