"""Video files in: how long they play, their frames at any time, and one clear refusal for all that FFmpeg says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from ..errors import InputError
from ..files import check_readable
from .frames import Frames
from .pictures import MAX_PIXELS

# FFmpeg's readers for what people call a video. Others read lists of further files, or of addresses, under any name.
READERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif"
OPTIONS = {"format_whitelist": READERS, "protocol_whitelist": "file,subfile"}
# What PyAV raises for damaged files: FFmpeg's errors, and what Python says of texts, times and sizes out of all bounds.
DAMAGED_VIDEO = (
    av.FFmpegError, ArithmeticError, AttributeError, LookupError, MemoryError, OSError, TypeError, ValueError,
)  # fmt: skip

LACKING = 0.1  # of its length, and LACKING_SECONDS: a film that lacks more at its end is cut off
LACKING_SECONDS = 0.5
COUNTED = 100  # frames at a film's beginning


@dataclass(frozen=True, slots=True)
class Video:
    """Where a video's bytes lie: a file of their own, or the `member` of a .tar, `size` bytes from `start` on."""

    path: Path
    member: str = ""
    start: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def address(self) -> str:
        """As FFmpeg takes it. `file:`, or a name with a colon would be taken for an address."""
        file = f"file:{self.path}"
        return f"subfile,,start,{self.start},end,{self.start + self.size},,:{file}" if self.member else file


@contextmanager
def opened_video(video: Path | Video) -> Iterator[InputContainer]:
    """A video, while it is read.

    Raises InputError, in the place of what FFmpeg raises meanwhile, for whatever cannot be read as one.
    """
    video = video if isinstance(video, Video) else Video(video)
    check_readable(video.path, "a video")
    try:
        with av.open(video.address, options=OPTIONS, metadata_errors="replace") as container:
            yield container
    except DAMAGED_VIDEO as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{video}: cannot be read as a video ({reason}); take it away or save it anew") from error


def length_of(video: Video) -> float:
    """How long the pictures of a video last. Raises InputError where fewer are there than it promises."""
    with opened_video(video) as container:
        stream = _pictures(container, video)
        promised, own = 0.0, True
        if stream.duration is not None and stream.time_base is not None:
            promised = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            promised, own = container.duration / av.time_base, len(container.streams) == 1
    there = _end(video, promised) or _end(video, 0.0)
    if own and promised - there > max(LACKING * promised, LACKING_SECONDS):
        raise InputError(f"{video}: is cut off: of {promised:.2f} s {there:.2f} are there; take it away or get it anew")
    return there


def rate_of(video: Video, seconds: float) -> float:
    """Frames a second on average: by the index, where a file has one, else as it says, if its first frames agree."""
    with opened_video(video) as container:
        stream = _pictures(container, video)
        if stream.frames:
            return stream.frames / seconds if seconds else 0.0
        packets = itertools.islice(container.demux(stream), COUNTED)
        assert stream.time_base is not None
        times = [float(packet.pts * stream.time_base) for packet in packets if packet.pts is not None]
        counted = (len(times) - 1) / (max(times) - min(times)) if len(set(times)) > 1 else 0.0
        told = float(stream.average_rate or 0)
    return told if abs(told - counted) < 0.1 * counted else counted


def _end(video: Video, after: float) -> float:
    """When the last picture ends, in seconds from the first, read from the key frame before `after` on; 0: none is."""
    with opened_video(video) as container:
        stream = _pictures(container, video)
        begin, end = stream.start_time or 0, 0
        if after > 0:
            _seek(container, stream, after)
        for packet in container.demux(stream):
            if packet.pts is not None:
                end = max(end, packet.pts + (packet.duration or 0) - begin)
        return float(end * (stream.time_base or 0))


def _pictures(container: InputContainer, video: Video) -> av.VideoStream:
    """The first stream of pictures. Raises InputError where there is none, or for pictures too large to be decoded."""
    if not container.streams.video:
        raise InputError(f"{video}: holds no pictures, sound at most; take it away")
    stream = container.streams.video[0]
    if stream.width * stream.height > MAX_PIXELS:
        raise InputError(
            f"{video}: its pictures of {stream.width}x{stream.height} are too large; save it with at most "
            f"{MAX_PIXELS // 10**6} million pixels"
        )
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # also where the size changes on the way
    return stream


def _seek(container: InputContainer, stream: av.VideoStream, seconds: float) -> None:
    """To the key frame before. Where that cannot be, as in a film without an index, reading goes on where it was."""
    assert stream.time_base is not None
    with suppress(av.FFmpegError):
        container.seek((stream.start_time or 0) + int(seconds / stream.time_base), stream=stream)


def read_frames(video: Video, times: Sequence[float]) -> Iterator[Frames]:
    """The frames that are shown at these times, in seconds from the beginning and rising: upright RGB [H, W, 3].

    Raises InputError where the film is damaged, or is over before the first of them.
    """
    waiting = list(times)
    with opened_video(video) as container:
        stream = _pictures(container, video)
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
            raise InputError(f"{video}: holds no frames at {times[0]:.2f} s; take it away or save it anew")
        for _ in waiting:
            yield _upright(shown)


def _upright(frame: av.VideoFrame) -> Frames:
    """Phones store the turn beside the pictures."""
    turned: Frames = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    return turned
