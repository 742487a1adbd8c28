"""Videos of one's own: a folder of films with a sentence beside each, and their frames at any time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from ...errors import InputError
from ...files import reachable, read_text
from ...media import MAX_PIXELS, Frames
from ...media.films import opened_video
from ...shot.settings import MAX_PROMPT, check_prompt

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
A_SENTENCE = "a text file with one sentence about the video beside it"
LACKING = 0.1  # of its length, and LACKING_SECONDS: a film that lacks more at its end is cut off
LACKING_SECONDS = 0.5
COUNTED = 100  # frames at a film's beginning
SLACK = 0.01  # of a rate: a film of 29.97 frames a second has 30
HELD_OUT_EVERY = 10  # of so many films one is kept for the reports, where there are as many


@dataclass(frozen=True, slots=True)
class Film:
    """A video file, what its sentence says, how long it plays, and its frames a second, on average where these vary."""

    path: Path
    text: str
    seconds: float
    rate: float


def find_films(folder: str | Path, shortest: float) -> list[Film]:
    """The videos in a folder and those below it, in the order of their names.

    Raises InputError where there is none, where one has no NAME.txt beside it, cannot be read, or plays for less than
    `shortest` seconds.
    """
    folder = Path(folder)
    with reachable(folder):
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: holds no videos; put {', '.join(SUFFIXES)} there, each with NAME.txt beside it")
    films = [_film(path) for path in paths]
    for film in films:
        if film.seconds < shortest:
            raise InputError(
                f"{film.path}: plays for {film.seconds:.2f} s, a clip needs {shortest:.2f}; take it away, or ask for "
                "fewer frames or a higher rate ([clip] frames, fps)"
            )
    return films


def reaching(films: Sequence[Film], rate: float) -> list[Film]:
    """Those with at least so many frames a second: of any other, some would be there twice at this rate."""
    return [film for film in films if film.rate >= (1 - SLACK) * rate]


def _film(path: Path) -> Film:
    text, seconds = _sentence(path.with_suffix(".txt")), _seconds(path)
    return Film(path, text, seconds, _rate(path, seconds))


def _sentence(path: Path) -> str:
    return check_prompt(read_text(path, A_SENTENCE, 4 * MAX_PROMPT).strip())  # a character has up to four bytes


def _seconds(path: Path) -> float:
    """How long the pictures of a video last. Raises InputError where fewer are there than it promises."""
    with opened_video(path) as container:
        stream = _pictures(container, path)
        promised, own = 0.0, True
        if stream.duration is not None and stream.time_base is not None:
            promised = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            promised, own = container.duration / av.time_base, len(container.streams) == 1
    there = _end(path, promised) or _end(path, 0.0)
    if own and promised - there > max(LACKING * promised, LACKING_SECONDS):
        raise InputError(f"{path}: is cut off: of {promised:.2f} s {there:.2f} are there; take it away or get it anew")
    return there


def _end(path: Path, after: float) -> float:
    """When the last picture ends, in seconds from the first, read from the key frame before `after` on; 0: none is."""
    with opened_video(path) as container:
        stream = _pictures(container, path)
        begin, end = stream.start_time or 0, 0
        if after > 0:
            _seek(container, stream, after)
        for packet in container.demux(stream):
            if packet.pts is not None:
                end = max(end, packet.pts + (packet.duration or 0) - begin)
        return float(end * (stream.time_base or 0))


def _rate(path: Path, seconds: float) -> float:
    """Frames a second on average: by the index, where a file has one, else as it says, if its first frames agree."""
    with opened_video(path) as container:
        stream = _pictures(container, path)
        if stream.frames:
            return stream.frames / seconds if seconds else 0.0
        packets = itertools.islice(container.demux(stream), COUNTED)
        ticks = [packet.pts for packet in packets if packet.pts is not None]
        span = (max(ticks) - min(ticks)) * float(stream.time_base or 0) if ticks else 0.0
        counted = (len(ticks) - 1) / span if span else 0.0
        told = float(stream.average_rate or 0)
    return told if abs(told - counted) < 0.1 * counted else counted


def _pictures(container: InputContainer, path: Path) -> av.VideoStream:
    """The first stream of pictures. Raises InputError where there is none, or for pictures too large to be decoded."""
    if not container.streams.video:
        raise InputError(f"{path}: holds no pictures, sound at most; take it away")
    stream = container.streams.video[0]
    if stream.width * stream.height > MAX_PIXELS:
        raise InputError(
            f"{path}: its pictures of {stream.width}x{stream.height} are too large; save it with at most "
            f"{MAX_PIXELS // 10**6} million pixels"
        )
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # also where the size changes on the way
    return stream


def _seek(container: InputContainer, stream: av.VideoStream, seconds: float) -> None:
    """To the key frame before. Where that cannot be, as in a film without an index, reading goes on where it was."""
    assert stream.time_base is not None
    with suppress(av.FFmpegError):
        container.seek((stream.start_time or 0) + int(seconds / stream.time_base), stream=stream)


def read_frames(path: str | Path, times: Sequence[float]) -> Iterator[Frames]:
    """The frames that are shown at these times, in seconds from the beginning and rising: upright RGB [H, W, 3].

    Raises InputError where the film is damaged, or is over before the first of them.
    """
    path, waiting = Path(path), list(times)
    with opened_video(path) as container:
        stream = _pictures(container, path)
        assert stream.time_base is not None
        begin = stream.start_time or 0
        _seek(container, stream, times[0])
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
