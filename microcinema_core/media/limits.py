"""How large a clip may be in each kind of file, known before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType

from ..errors import InputError
from .frames import Frames

# Pixels of a side, by the file's ending: H.264 as libx264 writes it, VP9, GIF's sixteen bits. A PNG may have any.
MAX_SIDES = MappingProxyType({".mp4": 16_384, ".webm": 65_536, ".gif": 65_535})
MAX_BYTES = 2**31  # of a picture that FFmpeg takes, with the edges that it adds


def check_clip_size(out: str | Path, width: int, height: int) -> None:
    """Whether a clip of so many pixels, a whole grid of them perhaps, can be written as what the name's ending says.

    Raises InputError where it cannot.
    """
    most = MAX_SIDES.get(Path(out).suffix.lower())
    if most is None:
        return
    if max(width, height) > most:
        wrong = f"{most:,} a side at most"
    elif (3 * width + 1024) * (height + 128) >= MAX_BYTES:
        wrong = f"about {MAX_BYTES // 3 // 10**6} million pixels at most"
    else:
        return
    raise InputError(
        f"{out}: frames of {width}x{height} pixels are too large for this kind of file ({wrong}); ask for a smaller "
        "width and height or a smaller grid, or write pictures (NAME-%04d.png)"
    )


def fitting(out: str | Path, frames: Iterable[Frames]) -> Iterator[Frames]:
    """The frames [H, W, 3] again, the first of them checked. Raises InputError where it is too large for the file."""
    for number, frame in enumerate(frames):
        if number == 0:
            check_clip_size(out, frame.shape[1], frame.shape[0])
        yield frame
