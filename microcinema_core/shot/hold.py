"""How firmly a clip holds to its guide: an exact keyframe stands at its frame, and appearance acts more or less."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..diffusion.samplers import Denoise
from ..models.guide import Guide
from ..models.injection import Appearance


def hold(latents: Tensor, guide: Guide, key: int) -> Tensor:
    """Latents [B, C, T, h, w] with the guide's own at frame `key`; one guide may serve all clips of the batch."""
    held = guide.frame(key).to(latents).expand(len(latents), -1, -1, -1, -1)
    return torch.cat([latents[:, :, :key], held, latents[:, :, key + 1 :]], dim=2)


def holding(denoise: Denoise, guide: Guide, key: int) -> Denoise:
    """The denoiser whose estimate of z_0 [B, C, T, h, w] is the guide's at `key`, to which its neighbours are drawn."""

    def with_keyframe(y: Tensor, sigma: Tensor) -> Tensor:
        return hold(denoise(y, sigma), guide, key)

    return with_keyframe


def appearance_at(strength: float, read: Callable[[], Appearance]) -> Appearance | None:
    """What AppearNet reads, times the strength. At strength 0 there is no appearance, and AppearNet is not run."""
    return read().scaled(strength) if strength else None
