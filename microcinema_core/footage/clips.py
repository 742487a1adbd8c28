"""A folder of clips, and what is read of each: brightness at even times, and where a person says that it moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..files import reachable
from ..media import Frames, read_mask
from ..media.films import Video, length_of, rate_of, read_frames

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
MASK, ONE_MASK = ".png", "mask.png"  # NAME.png beside NAME.mp4; one for all the others
MOST = 64  # clips of a folder
SHORTER = 128  # pixels of the shorter side, at which motion is read
FASTEST, LONGEST = 24.0, 8.0  # frames a second; seconds
SHORTEST, FEWEST = 1.5, 16  # seconds; frames
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """frames: [T, 1, h, w], brightness 0..1, `fps` a second. mask: [1, h, w], 1 where it moves, or None.

    picture: uint8 [H, W, 3], the frame in the middle.
    """

    name: str
    frames: Tensor
    fps: float
    mask: Tensor | None
    picture: Frames


def videos_in(folder: Path) -> list[Path]:
    """Its videos by name. Raises InputError for what is no folder, and where it holds none or too many."""
    with reachable(folder):
        if not folder.is_dir():
            raise InputError(f"{folder}: is no folder; give one that holds short clips ({', '.join(SUFFIXES)})")
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not found:
        raise InputError(f"{folder}: holds no videos; put 8 to 20 short clips there ({', '.join(SUFFIXES)})")
    if len(found) > MOST:
        raise InputError(f"{folder}: holds {len(found)} videos; {MOST} are enough: take the others away")
    return found


def read_clip(path: Path) -> Clip:
    """Raises InputError for what is no video, too short, or has a mask that is none of its pictures."""
    video = Video(path)
    seconds = length_of(video)
    rate = min(FASTEST, rate_of(video, seconds))
    count = int(min(seconds, LONGEST) * rate)
    if seconds < SHORTEST or count < FEWEST:
        raise InputError(
            f"{path}: is too short or too slow: {seconds:.1f} s, {count} frames in its first {LONGEST:g}; {SHORTEST} s "
            f"and {FEWEST} frames are the least, four seconds are better"
        )
    frames = list(_small(read_frames(video, [(i + 0.5) / rate for i in range(count)])))
    middle = min(seconds, LONGEST) / 2
    picture = next(read_frames(video, [middle]))
    return Clip(path.name, torch.stack(frames), rate, _mask(path, picture, frames[0]), picture)


def _small(frames: Iterator[Frames]) -> Iterator[Tensor]:
    """Brightness [1, h, w] of each; those of another size than the first are brought to its."""
    size: tuple[int, int] | None = None
    for frame in frames:
        height, width = frame.shape[:2]
        if size is None:
            scale = min(1.0, SHORTER / min(height, width))
            size = (max(8, round(height * scale)), max(8, round(width * scale)))
        grey = torch.from_numpy((frame @ np.array(GREY, np.float32)).astype(np.float32) / 255)
        yield F.interpolate(grey[None, None], size, mode="bilinear", antialias=True)[0]


def _mask(path: Path, picture: Frames, like: Tensor) -> Tensor | None:
    """The clip's own, or the folder's."""
    own, shared = path.with_suffix(MASK), path.with_name(ONE_MASK)
    with reachable(path):
        place = own if own.is_file() else shared if shared.is_file() else None
    if place is None:
        return None
    mask = read_mask(place)
    height, width = picture.shape[:2]
    if abs(mask.shape[1] * height / (mask.shape[0] * width) - 1) > 0.02:
        raise InputError(
            f"{place}: the mask is {mask.shape[1]}x{mask.shape[0]}, of another shape than {path.name} with "
            f"{width}x{height}; paint it on a frame of the clip"
        )
    small = F.interpolate(mask[None, None], like.shape[-2:], mode="bilinear", antialias=True)[0]
    if float(small.max()) < 0.5:
        raise InputError(f"{place}: nothing is white in the mask; paint where the clip moves")
    return small
