"""Videos of one's own: a folder of films with a sentence beside each, and their frames at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from ...errors import InputError
from ...media import Frames
from ...shot.settings import check_prompt

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
HELD_OUT_EVERY = 10  # of so many films one is kept for the reports, where there are as many


@dataclass(frozen=True, slots=True)
class Film:
    """A video file, what its sentence says, and how long it plays."""

    path: Path
    text: str
    seconds: float


def find_films(folder: Path, shortest: float) -> list[Film]:
    """The videos in a folder and those below it, in the order of their names.

    Raises InputError where there is none, where one has no NAME.txt beside it, cannot be read, or plays for less than
    `shortest` seconds.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: holds no videos; put {', '.join(SUFFIXES)} there, each with NAME.txt beside it")
    films = [Film(path, _sentence(path.with_suffix(".txt")), _seconds(path)) for path in paths]
    for film in films:
        if film.seconds < shortest:
            raise InputError(
                f"{film.path}: plays for {film.seconds:.2f} s, a clip needs {shortest:.2f}; take it away, or ask for "
                "fewer frames or a higher rate ([clip] frames, fps)"
            )
    return films


def _sentence(path: Path) -> str:
    try:
        return check_prompt(path.read_text(encoding="utf-8").strip())
    except FileNotFoundError as error:
        raise InputError(f"{path}: is missing; write into it one sentence about the video beside it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8; save it as such") from error


def _seconds(path: Path) -> float:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            return 0.0 if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path}: cannot be read as a video ({error}); take it away or save it anew") from error


def read_frames(path: Path, times: Sequence[float]) -> Iterator[Frames]:
    """The frames that are shown at these times, in seconds from the beginning and rising: upright RGB [H, W, 3]."""
    waiting = list(times)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        begin = stream.start_time or 0
        container.seek(begin + int(times[0] / stream.time_base), stream=stream)  # to the key frame before it
        shown: av.VideoFrame | None = None
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time = float((frame.pts - begin) * stream.time_base)
            while shown is not None and waiting and waiting[0] < time:
                yield _upright(shown)
                waiting.pop(0)
            if not waiting:
                return
            shown = frame
        if shown is None:
            raise InputError(f"{path}: holds no frames at {times[0]:.2f} s; take it away or save it anew")
        for _ in waiting:
            yield _upright(shown)


def _upright(frame: av.VideoFrame) -> Frames:
    """Phones store the turn beside the pictures."""
    turned: Frames = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    return turned


def held_out_of(films: Sequence[Film]) -> tuple[list[Film], list[Film]]:
    """Films to learn from, and those for the reports: the same ones where there are few."""
    held_out = list(films[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    used = [film for i, film in enumerate(films, start=1) if i % HELD_OUT_EVERY]
    return used, held_out or used
