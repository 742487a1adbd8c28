"""Clips as pictures for a page: labelled tiles side by side, animated WebP, and a picture that is not Toybox's.

Frames are uint8 RGB [T, H, W, 3].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..cases import Frames

Picture = NDArray[np.uint8]  # [H, W, 3]

LABEL_HEIGHT, LABEL_SIZE, GAP = 18, 12, 4  # pixels
QUALITY = 80  # of lossy WebP: above it the file grows faster than the picture improves
HOLD = 600  # ms that the last frame of a clip stays longer, where the clip does not lead back to its first


def labelled(frames: Frames, label: str) -> Frames:
    """A clip [T, H, W, 3] with a line of text above it."""
    strip = Image.new("RGB", (frames.shape[2], LABEL_HEIGHT), "white")
    ImageDraw.Draw(strip).text((2, 1), label, fill="black", font=ImageFont.load_default(LABEL_SIZE))
    above = np.broadcast_to(np.asarray(strip), (len(frames), *np.asarray(strip).shape))
    return np.concatenate([above, frames], axis=1)


def side_by_side(clips: Sequence[Frames], columns: int) -> Frames:
    """Clips [T, H, W, 3] of one size in rows on white; a clip that ends before the others keeps its last frame."""
    count, (height, width) = max(map(len, clips)), clips[0].shape[1:3]
    columns = min(columns, len(clips))
    rows = math.ceil(len(clips) / columns)
    sheet = np.full((count, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, clip in enumerate(clips):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        shown = clip[np.minimum(np.arange(count), len(clip) - 1)]
        sheet[:, top : top + height, left : left + width] = shown
    return sheet


def at_rate(frames: Frames, fps: float, to_fps: float) -> Frames:
    """A clip [T, H, W, 3], each frame held for as long as it is shown, in frames of a multiple of its own rate."""
    return np.repeat(frames, round(to_fps / fps), axis=0)


def write_webp(path: Path, frames: Frames, fps: float, hold: int = HOLD, quality: int = QUALITY) -> None:
    """A clip [T, H, W, 3], endless; frame i begins at i / fps, rounded to 1 ms; the last stays `hold` ms longer."""
    begins = [round(1000 * i / fps) for i in range(len(frames) + 1)]
    delays = [end - begin for begin, end in pairwise(begins)]
    delays[-1] += hold
    first, *others = map(Image.fromarray, frames)
    first.save(
        path, format="WEBP", save_all=True, append_images=others, duration=delays, loop=0, quality=quality, method=6
    )


def landscape(width: int = 192, height: int = 128) -> Picture:
    """A picture [height, width, 3] of hills in the haze under a low sun, with grain: nothing that Toybox knows."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.arange(height) / height, np.arange(width) / height, indexing="ij")
    sky = _mix((88, 126, 180), (250, 205, 150), np.clip(1.4 * y, 0, 1))
    glow = np.exp(-12 * ((x - 1.05) ** 2 + (y - 0.42) ** 2))
    picture = sky + 70 * glow[..., None]
    for depth, base in enumerate((0.55, 0.66, 0.8)):
        waves = sum(
            rng.uniform(0.3, 1) / k * np.sin(2 * math.pi * (0.7 * k * x[0] + rng.uniform())) for k in range(1, 8)
        )
        hill = np.clip((y - base - 0.06 * waves) * height, 0, 1)[..., None]  # the ridge is one pixel soft
        ground = _mix((150, 140, 160), (40, 62, 48), np.full_like(y, (depth + 0.4) / 2.5))
        picture = picture * (1 - hill) + (ground - 25 * (y - base)[..., None]) * hill
    grain = rng.normal(0, 4, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def _mix(a: Sequence[float], b: Sequence[float], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a) * (1 - share[..., None]) + np.asarray(b) * share[..., None]
