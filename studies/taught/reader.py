"""How often and how far a part of a clip moves, apart from what draws and what teaches.

OpenCV's dense inverse search says how fast each place goes from frame to frame; the sums over time are displacements.
Of places without texture, where nothing can be seen to move, nothing counts.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from microcinema_core.media import Frames

Box = tuple[float, float, float, float]
Floats = NDArray[np.float64]

CELLS, APART_CELLS = 16, 4  # along a region's sides: where it is looked at, and where the mean is taken of means
TEXTURE = 6.0  # of 255, mean slope around a place: less shows nothing
LOWEST, HIGHEST, APART = 0.3, 6.0, 0.02  # times a second
FEWEST = 8  # places


@dataclass(frozen=True, slots=True)
class Read:
    """rate: times a second, of most energy. size: root mean square, in sizes of the region. places: looked at."""

    rate: float
    size: float
    places: int


def read(frames: Frames, fps: float, box: Box) -> Read:
    """frames: uint8 [T, H, W, 3]; box: left, top, right, bottom in pixels. What shows nothing has rate 0."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    left, top, right, bottom = box
    steps = (np.arange(CELLS) + 0.5) / CELLS
    x, y = np.meshgrid(left + steps * (right - left), top + steps * (bottom - top))
    cells = np.stack([x, y], axis=-1).astype(np.float32)
    slopes = cv2.GaussianBlur(
        np.hypot(*(cv2.Sobel(grey[0], cv2.CV_32F, *d, scale=0.25) for d in ((1, 0), (0, 1)))), (0, 0), 3
    )
    seen = cv2.remap(slopes, cells[..., 0], cells[..., 1], cv2.INTER_LINEAR) > TEXTURE
    if seen.sum() < FEWEST:
        return Read(0.0, 0.0, int(seen.sum()))
    moved = _moved(grey, cells[seen])
    blocks = (np.argwhere(seen) * APART_CELLS // CELLS) @ (APART_CELLS, 1)
    energy = (moved**2).sum(-1).mean(0)
    mean = float(np.mean([energy[blocks == block].mean() for block in np.unique(blocks)]))
    return Read(_rate(moved, fps), math.sqrt(mean / ((right - left) * (bottom - top))), int(seen.sum()))


def _moved(grey: list[NDArray[np.uint8]], places: NDArray[np.float32]) -> Floats:
    """Displacements [T, N, 2] at places [N, 2], without what of them is a slow curve of time."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = [search.calc(before, after, None) for before, after in itertools.pairwise(grey)]
    speeds = [cv2.remap(flow, places[None, :, 0], places[None, :, 1], cv2.INTER_LINEAR)[0] for flow in flows]
    paths = np.concatenate([np.zeros((1, len(places), 2)), np.cumsum(speeds, axis=0)])
    t = np.linspace(-1, 1, len(paths))
    basis, _ = np.linalg.qr(np.stack([t**power for power in range(4)], axis=-1))
    flat = paths.reshape(len(paths), -1)
    levelled: Floats = (flat - basis @ (basis.T @ flat)).reshape(paths.shape)
    return levelled


def _rate(moved: Floats, fps: float) -> float:
    """The rate of most energy of paths [T, N, 2]."""
    rates = np.arange(LOWEST, min(HIGHEST, 0.45 * fps), APART)
    turns = np.hanning(len(moved)) * np.exp(-2j * np.pi * rates[:, None] * np.arange(len(moved)) / fps)
    energy = (np.abs(turns @ moved.reshape(len(moved), -1)) ** 2).sum(1)
    return float(rates[energy.argmax()])
