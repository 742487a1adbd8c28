"""Pictures laid out in one, and several clips as one, side by side: the same shot under different seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
GAP = 4


def laid_out(pictures: Sequence[Frame] | Frame, columns: int, gap: int) -> Frame:
    """Pictures [H, W, 3] of one size in one, in reading order on white, with a gap of so many pixels between them."""
    height, width = pictures[0].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def tiled_size(width: int, height: int, count: int) -> tuple[int, int]:
    """Width and height of so many clips of this size, side by side."""
    columns = _columns(count)
    return columns * (width + GAP) - GAP, math.ceil(count / columns) * (height + GAP) - GAP


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def tiled(clips: Sequence[Iterable[Frame]]) -> Iterator[Frame]:
    """Frames [H, W, 3] of equal size, one of each clip at a time -> one frame of all, in reading order on white."""
    for frames in zip(*clips, strict=True):
        yield laid_out(frames, _columns(len(clips)), GAP)
