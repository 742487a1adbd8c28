"""Several clips as one, side by side: the same shot under different seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
GAP = 4


def tiled_size(width: int, height: int, count: int) -> tuple[int, int]:
    """Width and height of so many clips of this size, side by side."""
    columns = _columns(count)
    return columns * (width + GAP) - GAP, math.ceil(count / columns) * (height + GAP) - GAP


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def tiled(clips: Sequence[Iterable[Frame]]) -> Iterator[Frame]:
    """Frames [H, W, 3] of equal size, one of each clip at a time -> one frame of all, in reading order on white."""
    columns = _columns(len(clips))
    for frames in zip(*clips, strict=True):
        height, width = frames[0].shape[:2]
        across, down = tiled_size(width, height, len(clips))
        sheet = np.full((down, across, 3), 255, np.uint8)
        for i, frame in enumerate(frames):
            top, left = i // columns * (height + GAP), i % columns * (width + GAP)
            sheet[top : top + height, left : left + width] = frame
        yield sheet
