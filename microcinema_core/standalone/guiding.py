"""A motion plan as the guide of a model's clip: its frames as latents, and how much of each place they really say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..models.guide import Guide
from ..motion.moments import Moments
from ..motion.render import Renderer
from ..motion.scene import Motion, cut
from ..places.placing import placed
from ..shot.plan import Loop, ShotPlan
from ..shot.resize import Size
from .framing import framed, keyed, source


def guide_of(
    image: Any, keyframe: Tensor, motion: Motion, plan: ShotPlan, size: Size, encode: Callable[[Tensor], Tensor]
) -> Guide:
    """The guide [1, C, T, h, w] of a clip: the plan's frames at the clip's own times, with the keyframe at its frame.

    Where the plan draws layers, the keyframe's frame has them too.
    image: the keyframe, before it was resized. keyframe: as it was, pixels [1, 3, H, W] in 0..1. size: of the frames,
    width and height. encode: pixels [N, 3, H, W] in 0..1 -> latents [N, C, h, w].
    Raises InputError for what the camera cannot do with this picture.
    """
    picture, motion = source(image, motion)
    motion = placed(picture, motion).motion
    moments = Moments(
        keyed(motion.plan, plan.clip_key, plan.clip_frames, plan.clip_fps), plan.clip_frames, plan.clip_fps
    )
    view = framed((picture.shape[2], picture.shape[1]), *size, plan.shot.resize)
    frames = list(Renderer(cut(picture, motion, view).filled(), moments, view))
    pixels = torch.stack([frame.picture for frame in frames])
    if not motion.plan.draws:
        pixels[plan.clip_key] = keyframe[0]
    latents = encode(pixels)
    known = F.adaptive_avg_pool2d(
        1 - torch.stack([frame.unknown for frame in frames]), (latents.shape[-2], latents.shape[-1])
    )
    return Guide(_over_time(latents), _over_time(known).to(latents))


def _over_time(frames: Tensor) -> Tensor:
    """[T, C, h, w] -> [1, C, T, h, w]."""
    return frames.transpose(0, 1)[None]


def check_led(plan: ShotPlan) -> None:
    """Raises InputError for a shot that a motion plan cannot lead."""
    if plan.clips > 1:
        raise InputError(
            f"a camera or region leads a single clip, and this shot chains {plan.clips}; ask for a shorter duration "
            "and no clips before or after, or leave the motion plan out"
        )
    if plan.shot.loop is Loop.JOIN:
        raise InputError("a camera or region leads no joined loop; loop by ping-pong, or leave the motion plan out")


def digest(motion: Motion) -> str:
    """Tells a motion from any other: its plan, masks and depth."""
    found = hashlib.sha256(motion.plan.to_json().encode())
    for tensor in (*motion.masks, *motion.layer_masks, motion.depth):
        found.update(b"none" if tensor is None else repr(tuple(tensor.shape)).encode())
        if tensor is not None:
            found.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
