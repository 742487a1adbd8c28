"""Rendered frames as the guide of a clip: the latents of each, and how much of each place they really say."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.errors import InputError
from ..microcinema_core.models.guide import Guide
from .finite import is_finite
from .pictures import check_pictures

ALIKE = 0.02  # mean difference of pixels, 0..1, up to which a frame shows the keyframe


def guide_inputs() -> list[io.Input]:
    return [
        io.Image.Input(
            "guide",
            optional=True,
            tooltip="Frames to be led by, such as MicroCinema Render's: as many as the clip has.",
        ),
        io.Mask.Input(
            "guide_mask", optional=True, tooltip="1 where the guide is not to be followed: Render's unknown."
        ),
    ]


def frames_guide(
    vae: Any, title: str, frames: Tensor, unknown: Tensor | None, clips: int, count: int, channels: int
) -> Guide:
    """A guide of the VAE's own latents: [clips, C, count, h, w], with what is known of each place, or None for all.

    frames: IMAGE [clips * count, H, W, 3], clip after clip. unknown: MASK of the same size, 1 = unknown.
    Raises InputError for another number of frames, NaN, and a mask of another size or number.
    """
    check_pictures(frames, f"{title}: guide")
    if len(frames) != clips * count:
        each = f"{count} frames" if clips == 1 else f"{count} frames for each of {clips} keyframes"
        raise InputError(
            f"{title}: the guide holds {len(frames)} frames, the clip {each}; give MicroCinema Render as many as here"
        )
    latents: Tensor = vae.encode(frames[..., :3])
    if latents.ndim != 4 or latents.shape[:2] != (clips * count, channels):
        raise InputError(
            f"{title}: this VAE makes latents of shape {list(latents.shape)} of the guide, the model takes {channels} "
            "channels with frames in the batch; connect the VAE that belongs to the model"
        )
    known = None if unknown is None else known_of(unknown, frames, latents, title)
    return Guide(by_clip(latents, count), None if known is None else by_clip(known, count))


def by_clip(frames: Tensor, count: int) -> Tensor:
    """[clips * count, C, h, w] -> [clips, C, count, h, w]."""
    return frames.unflatten(0, (-1, count)).transpose(1, 2)


def known_of(unknown: Tensor, frames: Tensor, latents: Tensor, title: str) -> Tensor:
    """MASK [N, H, W] of frames [N, H, W, 3] -> what of each latent's pixels is known, [N, 1, h, w] in 0..1."""
    if unknown.shape != frames.shape[:3]:
        raise InputError(
            f"{title}: guide_mask has shape {list(unknown.shape)}, the guide {list(frames.shape[:3])}; connect both to "
            "the same MicroCinema Render"
        )
    if not is_finite(unknown):
        raise InputError(f"{title}: guide_mask holds NaN or infinity; look for the node it comes from")
    mask = 1 - unknown.float()[:, None].clamp(0, 1)
    height, width = latents.shape[-2:]
    each = mask.shape[2] // height  # pixels of a latent; a margin is cropped as the VAE crops it
    top, left = (mask.shape[2] - each * height) // 2, (mask.shape[3] - each * width) // 2
    inner = mask[:, :, top : top + each * height, left : left + each * width]
    return F.adaptive_avg_pool2d(inner, (height, width)).to(latents.device)


def with_keyframe(guide: Guide, keyframes: Tensor, key: int) -> Guide:
    """The guide whose frame `key` is the keyframe's own latents [clips, C, h, w], all of them known."""
    latents = guide.latents.clone()
    latents[:, :, key] = keyframes.to(latents)
    known = guide.known
    if known is not None:
        known = known.clone()
        known[:, :, key] = 1
    return Guide(latents, known)


def check_size(guide: Guide, keyframes: Tensor, frames: Tensor, keyframe: Tensor, title: str) -> None:
    """Raises InputError for a guide whose latents are of another size than the keyframe's [clips, C, h, w].

    frames, keyframe: the IMAGEs of which they are.
    """
    if keyframes.shape[-2:] != guide.latents.shape[-2:]:
        theirs, ours = (f"{of.shape[2]}x{of.shape[1]}" for of in (frames, keyframe))
        raise InputError(
            f"{title}: the guide's frames are of {theirs} pixels, the keyframe of {ours}; set width and height of "
            "MicroCinema Render to the keyframe's"
        )


def elsewhere(frames: Tensor, keyframes: Tensor, key: int) -> bool:
    """Whether frame `key` of the guide [clips * T, H, W, 3] is another picture than the keyframe [clips, H, W, 3]."""
    shown = frames.unflatten(0, (len(keyframes), -1))[:, key, ..., :3]
    same_size = shown.shape == keyframes[..., :3].shape
    return same_size and float(torch.mean((shown - keyframes[..., :3].to(shown)).abs())) > ALIKE
