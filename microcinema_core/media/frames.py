"""Frames in memory and on their way: conversions, checks, contact sheets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from .grid import laid_out

Frames = NDArray[np.uint8]
Settings = Mapping[str, Any]

SHEET_COLUMNS = 9
SHEET_GAP = 2
SHEET_FRAMES = 36  # of a long clip's contact sheet


def to_uint8(pixels: torch.Tensor) -> Frames:
    """Pixels [..., 3, H, W] in 0..1 -> [..., H, W, 3] in 0..255."""
    return (pixels.float() * 255).round().byte().movedim(-3, -1).contiguous().cpu().numpy()


def to_pixels(pictures: Sequence[Frames] | Frames) -> torch.Tensor:
    """Pictures [H, W, 3] in 0..255 -> [N, 3, H, W] in 0..1."""
    return torch.from_numpy(np.stack(list(pictures))).movedim(-1, 1).float() / 255


class FrameSource:
    """A clip's frames, checked one by one as they arrive: uint8 [H, W, 3], all of one size, at least one.

    `error` is what ended the frames early, so that a writer can tell it from an error of its own.
    """

    def __init__(self, frames: Iterable[Frames]) -> None:
        self._frames = frames
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Frames]:
        try:
            yield from _checked(self._frames)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise


def _checked(frames: Iterable[Frames]) -> Iterator[Frames]:
    shape = None
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise InputError(f"a clip's frames must be uint8 [H, W, 3], got {frame.dtype} {list(frame.shape)}")
        if frame.shape != (shape := shape or frame.shape):
            raise InputError(f"a clip's frames must have one size, got {list(shape)} and {list(frame.shape)}")
        yield frame
    if shape is None:
        raise InputError("a clip needs at least one frame, got none")


def contact_sheet(frames: Frames) -> Frames:
    """All frames [T, H, W, 3] as one picture, in reading order: a strip, or about a square where there are many."""
    count = len(frames)
    columns = count if count <= SHEET_COLUMNS else max(SHEET_COLUMNS, math.ceil(math.sqrt(count)))
    return laid_out(frames, columns, SHEET_GAP)


class SheetCollector:
    """Keeps evenly spaced frames of a clip of `total` frames, the first and the last among them, as they pass by."""

    def __init__(self, total: int, at_most: int = SHEET_FRAMES) -> None:
        self.indices = np.linspace(0, total - 1, min(total, at_most)).round().astype(int).tolist()
        self.kept: list[Frames] = []

    def tee(self, frames: Iterable[Frames]) -> Iterator[Frames]:
        """The frames [H, W, 3] again, one by one; those for the sheet are copied on the way."""
        wanted = set(self.indices)
        for i, frame in enumerate(frames):
            if i in wanted:
                self.kept.append(frame.copy())
            yield frame

    def sheet(self) -> Frames:
        """The contact sheet [H, W, 3] of the frames that have passed by. Raises InputError where none has."""
        if not self.kept:
            raise InputError("a contact sheet needs at least one frame, got none")
        return contact_sheet(np.stack(self.kept))
