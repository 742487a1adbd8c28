"""A picture under the camera, as files have it: the frames of a motion plan, with no model."""

from __future__ import annotations

import math
from dataclasses import replace
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

MAX_SOURCE = 4 * 2560 * 1440  # pixels of a picture that frames are resampled from; a larger one is scaled down


def source(image: Any, motion: Motion) -> tuple[Tensor, Motion]:
    """A picture [3, H, W], pixels 0..1, and the motion with its masks and depth, all scaled down alike if too large.

    image: PIL, uint8 [H, W, 3] or float tensor [3, H, W] in 0..1.
    Raises InputError for unusable pictures and for masks of another size than the picture.
    """
    pixels = to_pixels([np.asarray(to_picture(image))])[0]
    height, width = pixels.shape[1:]
    for number, mask in enumerate(motion.masks, start=1):
        if mask is not None:
            check_mask(mask, (width, height), f"region {number}'s mask")
    share = math.sqrt(MAX_SOURCE / (width * height))
    if share >= 1:
        return pixels, motion
    size = (max(1, round(height * share)), max(1, round(width * share)))
    masks = tuple(None if mask is None else _scaled(mask.reshape(1, height, width), size) for mask in motion.masks)
    depth = None if motion.depth is None else _scaled(motion.depth, size)
    return _scaled(pixels, size), replace(motion, masks=masks, depth=depth)


def _scaled(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """[C, H, W] -> [C, *size] in 0..1."""
    return F.interpolate(pixels[None].float(), size, mode="bicubic", antialias=True)[0].clamp_(0, 1)


def framed(picture: Size, width: int, height: int, policy: ResizePolicy) -> View:
    """A frame of this size over a picture: `pad` shows the picture whole, the others fill the frame with it."""
    make = View.around if policy is ResizePolicy.PAD else View.covering
    return make(width, height, picture)


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
