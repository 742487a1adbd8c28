"""What a motion plan's clip is made of and for how long: the picture's size, the frames' size, rate and keyframe."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..media import to_picture, to_pixels
from ..motion.plan import Plan
from ..motion.plates import View, check_mask
from ..motion.scene import Motion
from ..shot.resize import ResizePolicy, Size
from ..shot.retime import exact_rate

MAX_SOURCE = 4 * 2560 * 1440  # pixels of a picture that frames are resampled from; a larger one is scaled down
MAX_OWN = 2560 * 1440  # pixels of a frame whose size nobody gave
FPS, FRAMES = 32.0, 129  # of a clip whose length nobody gave: as the embedded model's


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a clip is. loop: the camera goes there and back, and the last frame leads to the first."""

    frames: int = FRAMES
    fps: float = FPS
    loop: bool = False


TIMING = Timing()


def source(image: Any, motion: Motion, most: int = MAX_SOURCE) -> tuple[Tensor, Motion]:
    """A picture [3, H, W], pixels 0..1, and the motion with its masks and depth, scaled down alike to `most` pixels.

    image: PIL, uint8 [H, W, 3] or float tensor [3, H, W] in 0..1.
    Raises InputError for unusable pictures and for masks of another size than the picture.
    """
    pixels = to_pixels([np.asarray(to_picture(image))])[0]
    height, width = pixels.shape[1:]
    for number, mask in enumerate(motion.masks, start=1):
        if mask is not None:
            check_mask(mask, (width, height), f"region {number}'s mask")
    for number, mask in enumerate(motion.layer_masks, start=1):
        if mask is not None:
            check_mask(mask, (width, height), f"layer {number}'s mask")
    share = math.sqrt(most / (width * height))
    if share >= 1:
        return pixels, motion
    size = (max(1, round(height * share)), max(1, round(width * share)))
    masks, layer_masks = (
        tuple(None if mask is None else _scaled(mask.reshape(1, height, width), size) for mask in some)
        for some in (motion.masks, motion.layer_masks)
    )
    depth = None if motion.depth is None else _scaled(motion.depth, size)
    return _scaled(pixels, size), replace(motion, masks=masks, layer_masks=layer_masks, depth=depth)


def _scaled(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """[C, H, W] -> [C, *size] in 0..1."""
    return F.interpolate(pixels[None].float(), size, mode="bicubic", antialias=True)[0].clamp_(0, 1)


def own_size(picture: Size, width: int | None = None, height: int | None = None, fit: bool = False) -> Size:
    """Width and height of a picture's frames: its own, made even, and at most MAX_OWN pixels, where neither is given.

    With one of them the other follows from the picture's shape; with both, `fit` keeps the shape inside them.
    """
    across, down = picture
    if width is not None and height is not None and not fit:
        return width, height
    if width is None and height is None:
        share = min(1.0, math.sqrt(MAX_OWN / (across * down)))
    else:
        share = min(given / side for given, side in ((width, across), (height, down)) if given is not None)
    wide, high = (max(2, 2 * math.floor(side * share / 2 + 1e-9)) for side in picture)
    return width if width is not None and not fit else wide, height if height is not None and not fit else high


def framed(picture: Size, width: int, height: int, policy: ResizePolicy) -> View:
    """A frame of this size over a picture: `pad` shows the picture whole, the others fill the frame with it."""
    make = View.around if policy is ResizePolicy.PAD else View.covering
    return make(width, height, picture)


def timed(duration: float | None, fps: float | None, frames: int | None, loop: bool, move: float | None) -> Timing:
    """The clip asked for. duration: seconds of all of it; move: of the plan's way there, if the plan says.

    Raises InputError for a rate that cannot be, and for both frames and a duration.
    """
    rate = exact_rate(FPS if fps is None else fps)
    if frames is not None and duration is not None:
        raise InputError("give either frames or a duration; the rate tells the one from the other")
    if frames is None:
        way = Fraction(FRAMES) / Fraction(FPS) if move is None else Fraction(move).limit_denominator(1_000_000)
        whole = Fraction(duration).limit_denominator(1_000_000) if duration is not None else way * (2 if loop else 1)
        frames = max(1, math.floor(whole * rate + Fraction(1, 2)))
    return Timing(frames, float(rate), loop)


def keyed(plan: Plan, key: int, frames: int, fps: float, loop: bool = False) -> Plan:
    """The plan whose keyframe is seen at frame `key` of a clip, which, looped, sees it on the way back too.

    Raises InputError where the plan's own duration ends before that frame.
    """
    way, turn = (min(key, frames - key), frames / 2) if loop else (key, max(1, frames - 1))
    seconds = turn / fps if plan.duration is None else plan.duration
    if way / fps > seconds:
        raise InputError(
            f"the keyframe would be seen {way / fps:g} s into the clip, and the plan's move lasts {seconds:g} s; "
            "let it be seen earlier, or give the plan a longer duration or none"
        )
    return replace(plan, keyframe_at=way / fps / seconds)
