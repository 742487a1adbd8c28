"""Video files in: opened for what they hold, and one clear refusal for all that FFmpeg says of a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from ..errors import InputError
from ..files import check_readable

# FFmpeg's readers for what people call a video. Others read lists of further files, or of addresses, under any name.
READERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif"
OPTIONS = {"format_whitelist": READERS, "protocol_whitelist": "file,subfile"}
# What PyAV raises for damaged files: FFmpeg's errors, and what Python says of texts, times and sizes out of all bounds.
DAMAGED_VIDEO = (
    av.FFmpegError, ArithmeticError, AttributeError, LookupError, MemoryError, OSError, TypeError, ValueError,
)  # fmt: skip


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
