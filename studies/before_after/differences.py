"""How far apart the files of two folders are, by the values in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

PICTURES, VIDEOS, TENSORS = (".jpg", ".png"), (".gif", ".mp4", ".webm"), (".latent", ".safetensors")
FRAMES, PIXELS = "frames", "pixels"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`apart`: of each file whose values differ, the largest difference, infinite where it is not one of numbers.
    `same_bytes`: whether the files are equal whole, with their settings and as their encoders wrote them.
    """

    files: int
    frames: int
    apart: dict[str, float]
    same_bytes: bool

    def __str__(self) -> str:
        if not self.apart:
            return "equal byte for byte" if self.same_bytes else "equal in every value"
        worst = max(self.apart, key=self.apart.__getitem__)
        size = self.apart[worst]
        how = f"by {size:g}" if math.isfinite(size) else "in more than its numbers"
        return f"{len(self.apart)} of {self.files} files differ, most of all {worst}: {how}"


def compare_folders(before: Path, after: Path) -> Comparison:
    """All files of either folder, by their place in it."""
    one, other = ({path.relative_to(top) for path in top.rglob("*") if path.is_file()} for top in (before, after))
    apart = {name.as_posix(): math.inf for name in one ^ other}
    frames = 0
    for name in sorted(one & other):
        ours, theirs = arrays_of(before / name), arrays_of(after / name)
        frames += len(ours[FRAMES]) if FRAMES in ours else PIXELS in ours
        if (size := distance(ours, theirs)) is not None:
            apart[name.as_posix()] = size
    same = one == other and all((before / name).read_bytes() == (after / name).read_bytes() for name in one)
    return Comparison(len(one | other), frames, apart, same)


def arrays_of(path: Path) -> Arrays:
    """What a file holds: of a video its frames [T, H, W, 3], 0..255, and their times [T] in seconds; of a picture its
    pixels [H, W, C], 0..255; the named tensors of a file of those; of any other its bytes, as one thing.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        return {PIXELS: np.asarray(Image.open(path))}
    if suffix in TENSORS:
        return dict(load_file(path))
    if suffix not in VIDEOS:
        return {"bytes": np.array(path.read_bytes(), dtype=object)}
    with av.open(path) as container:
        frames = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]
    return {FRAMES: np.stack([frame for frame, _ in frames]), "times": np.array([time for _, time in frames], float)}


def distance(before: Arrays, after: Arrays) -> float | None:
    """Of namesakes of any shapes [...], the largest difference of two values; None where all are equal, infinite where
    it is not one of numbers.
    """
    if before.keys() != after.keys():
        return math.inf
    sizes = [apart(before[name], after[name]) for name in before]
    return max((size for size in sizes if size is not None), default=None)


def apart(before: NDArray[Any], after: NDArray[Any]) -> float | None:
    """The same of two arrays [...]."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return math.inf
    if np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
        return None
    if before.dtype == object:
        return math.inf
    size = np.abs(before.astype(np.float64) - after.astype(np.float64)).max()
    return float(np.nan_to_num(size, nan=math.inf))
