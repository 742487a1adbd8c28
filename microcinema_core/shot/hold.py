"""How firmly a clip holds to its keyframe: its latent stands at its frame, and its appearance acts more or less."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..diffusion.samplers import Denoise
from ..models.injection import Appearance


def place_keyframe(latents: Tensor, z_c: Tensor, key: int) -> Tensor:
    """Latents [B, C, T, h, w] with the keyframe's own, [B, C, 1, h, w] or one for all, at its frame."""
    keyframe = z_c.to(latents).expand(len(latents), -1, -1, -1, -1)
    return torch.cat([latents[:, :, :key], keyframe, latents[:, :, key + 1 :]], dim=2)


def anchored(denoise: Denoise, z_c: Tensor, key: int) -> Denoise:
    """The denoiser whose estimate of z_0 is the keyframe at its frame, so that its neighbours are drawn to it."""

    def with_keyframe(y: Tensor, sigma: Tensor) -> Tensor:
        return place_keyframe(denoise(y, sigma), z_c, key)

    return with_keyframe


def scaled(appearance: Appearance, strength: float) -> Appearance:
    """Every injected term times the strength; the keyframe's latent, which the noise prior needs, as it is."""
    if strength == 1:
        return appearance
    return replace(
        appearance,
        concat=None if appearance.concat is None else appearance.concat * strength,
        add={name: term * strength for name, term in appearance.add.items()},
        spade={name: pair * strength for name, pair in appearance.spade.items()},
    )
