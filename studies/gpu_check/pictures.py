"""Frames that were written, and how much two clips differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]  # [T, H, W, 3], RGB 0..255
EQUAL = 99.0  # decibels that stand for no difference at all


def read_folder(folder: Path) -> Frames:
    """The PNGs of a folder, by name."""
    from PIL import Image

    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))])


def read_video(path: Path) -> Frames:
    """Every frame of a video."""
    import av

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def psnr(one: Frames, two: Frames) -> float:
    """Decibels of the worst frame of two clips [T, H, W, 3] of one shape; NaN where the shapes differ."""
    if one.shape != two.shape:
        return float("nan")
    error = np.square(one.astype(np.float32) - two.astype(np.float32)).mean(axis=(1, 2, 3)).max()
    return EQUAL if error == 0 else min(EQUAL, float(10 * np.log10(255**2 / error)))
