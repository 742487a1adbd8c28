"""Video files in: opened for what they hold, and one clear refusal for all that FFmpeg says of a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

from ..errors import InputError
from ..files import check_readable

# FFmpeg's readers for what people call a video. Others read lists of further files, or of addresses, under any name.
READERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif"
OPTIONS = {"format_whitelist": READERS, "protocol_whitelist": "file"}
# What PyAV raises for damaged files: FFmpeg's errors, and what Python says of texts, times and sizes out of all bounds.
DAMAGED_VIDEO = (
    av.FFmpegError, ArithmeticError, AttributeError, LookupError, MemoryError, OSError, TypeError, ValueError,
)  # fmt: skip


@contextmanager
def opened_video(path: Path) -> Iterator[InputContainer]:
    """A video file, while it is read.

    Raises InputError, in the place of what FFmpeg raises meanwhile, for whatever cannot be read as one.
    """
    check_readable(path, "a video")
    try:
        # `file:`, or a name with a colon would be taken for an address.
        with av.open(f"file:{path}", options=OPTIONS, metadata_errors="replace") as container:
            yield container
    except DAMAGED_VIDEO as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{path}: cannot be read as a video ({reason}); take it away or save it anew") from error
