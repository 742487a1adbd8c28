"""What was learnt, as a picture: where each clip moves, and how often."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ..media import Frames, to_pixels, to_uint8
from ..media.grid import laid_out
from .learning import Learnt
from .moving import Moving
from .teaching import Lesson

HIGH, COLUMNS, GAP = 144, 4, 4  # pixels of a clip's picture, clips in a row
CHART, EDGE = 150, 24  # pixels of the chart's height; around it
INK, BAR, MARK = (30, 30, 30), (90, 130, 200), (210, 60, 40)


def sheet(lesson: Lesson) -> Frames:
    """uint8 [H, W, 3]: every clip's middle frame, redder the more it moves, and the spectrum with the rates taken."""
    shape = lesson.pictures[0].shape
    size = (HIGH, max(8, round(HIGH * shape[1] / shape[0])))
    shown = [_shown(picture, clip, size) for picture, clip in zip(lesson.pictures, lesson.clips, strict=True)]
    columns = min(COLUMNS, len(shown))
    blank = np.full_like(shown[0], 255)
    clips = laid_out(np.stack(shown + [blank] * (-len(shown) % columns)), columns, GAP)
    chart = _chart(lesson.learnt, max(360, clips.shape[1]))
    wide = max(clips.shape[1], chart.shape[1])
    padded = [np.pad(part, ((0, 0), (0, wide - part.shape[1]), (0, 0)), constant_values=255) for part in (clips, chart)]
    return np.concatenate(padded)


def _shown(picture: Frames, clip: Moving, size: tuple[int, int]) -> Frames:
    """A clip's frame in grey, its motion over it in red, its region's box in black."""
    frame = F.interpolate(to_pixels([picture]), size, mode="bilinear", antialias=True).mean(1, keepdim=True)
    energy = F.interpolate(clip.energy[None, None], size, mode="bilinear")
    strong = (energy / energy.quantile(0.99).clamp(min=1e-6)).clamp(0, 1)[0, 0]
    red = torch.tensor([0.9, 0.15, 0.05])[:, None, None]
    made = torch.lerp(0.15 + 0.75 * frame[0].expand(3, -1, -1), red.expand(3, *size), 0.75 * strong)
    return to_uint8(_boxed(made, clip))


def _boxed(picture: Tensor, clip: Moving) -> Tensor:
    height, width = picture.shape[1:]
    across, down = width / clip.energy.shape[1], height / clip.energy.shape[0]
    left, right = (min(width - 1, int(clip.box[side] * across)) for side in (0, 2))
    top, bottom = (min(height - 1, int(clip.box[side] * down)) for side in (1, 3))
    picture[:, top : bottom + 1, [left, right]] = 0
    picture[:, [top, bottom], left : right + 1] = 0
    return picture


def _chart(learnt: Learnt, wide: int) -> Frames:
    """The spectrum of all clips, and the rates that are drawn."""
    image = Image.new("RGB", (wide, CHART + 2 * EDGE), "white")
    draw = ImageDraw.Draw(image)
    last = float(learnt.rates[-1])
    floor = CHART + EDGE

    def at(rate: float) -> float:
        return EDGE + (wide - 2 * EDGE) * rate / last

    tall = (learnt.spectrum / learnt.spectrum.max()).sqrt().tolist()
    for rate, share in zip(learnt.rates.tolist(), tall, strict=True):
        draw.line([(at(rate), floor), (at(rate), floor - CHART * share)], BAR, 2)
    for rate in learnt.taught.rates:
        draw.line([(at(rate), floor), (at(rate), floor - CHART)], MARK, 1)
    draw.line([(EDGE, floor), (wide - EDGE, floor)], INK, 1)
    for tick in range(math.floor(last) + 1):
        draw.text((at(tick) - 3, floor + 4), str(tick), INK)
    told = f"times a second; {learnt.taught.rates[0]:g} most, {learnt.taught.size:.1%} of the region's size"
    draw.text((EDGE, 4), told, INK)
    return np.asarray(image)
