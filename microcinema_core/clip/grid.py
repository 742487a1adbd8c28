"""Several clips as one, side by side: the same shot under different seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
GAP = 4


def tiled(clips: Sequence[Iterable[Frame]]) -> Iterator[Frame]:
    """Frames [H, W, 3] of equal size, one of each clip at a time -> one frame of all, in reading order on white."""
    columns = math.ceil(math.sqrt(len(clips)))
    rows = math.ceil(len(clips) / columns)
    for frames in zip(*clips, strict=True):
        height, width = frames[0].shape[:2]
        size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
        sheet = np.full(size, 255, np.uint8)
        for i, frame in enumerate(frames):
            top, left = i // columns * (height + GAP), i % columns * (width + GAP)
            sheet[top : top + height, left : left + width] = frame
        yield sheet
