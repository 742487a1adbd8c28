"""Classifier-free guidance on the estimate of z_0.

Guiding z_0 equals guiding eps or v here, because both branches get the same z_t: the prior's lambda z_c depends on the
keyframe, never on the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..models.guide import Guide
from .prediction import Denoiser


def guided(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """uncond + scale (cond - uncond), all [B, C, T, h, w]; scale 1 is the conditional estimate alone."""
    return uncond + scale * (cond - uncond)


class GuidedDenoiser:
    """What a sampler calls: (y [B, C, T, H, W], sigma [] or [B]) -> guided estimate of z_0.

    `cond` and `uncond` hold the network's conditioning by name. A value that is the same object in both is shared and
    passed on as it is; tensors that differ are joined along the batch, so one call serves both branches. At scale 1 the
    unconditional branch is not run.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        guide: Guide | None,
        cond: Mapping[str, Any],
        uncond: Mapping[str, Any] | None = None,
        scale: float = 1.0,
    ) -> None:
        if scale != 1 and uncond is None:
            raise ValueError(f"guidance scale {scale} needs the unconditional branch's conditioning")
        self.denoiser, self.guide, self.scale = denoiser, guide, scale
        self.cond, self.uncond = cond, uncond

    def __call__(self, y: Tensor, sigma: Tensor) -> Tensor:
        if self.scale == 1 or self.uncond is None:
            return self.denoiser.denoise(y, sigma, self.guide, **self.cond)
        both = join(self.cond, self.uncond)
        sigma = sigma if sigma.ndim == 0 else torch.cat([sigma, sigma])
        guide = None if self.guide is None else self.guide.for_branches(2)
        x0 = self.denoiser.denoise(torch.cat([y, y]), sigma, guide, **both)
        cond_x0, uncond_x0 = x0.chunk(2)
        return guided(cond_x0, uncond_x0, self.scale)


def join(cond: Mapping[str, Any], uncond: Mapping[str, Any]) -> dict[str, Any]:
    """Conditioning of both branches for one call: conditional items first along the batch."""
    if cond.keys() != uncond.keys():
        raise ValueError(f"the branches differ in their conditioning: {sorted(cond)} and {sorted(uncond)}")
    return {name: _join(name, value, uncond[name]) for name, value in cond.items()}


def _join(name: str, cond: Any, uncond: Any) -> Any:
    if cond is uncond:
        return cond
    if isinstance(cond, Tensor) and isinstance(uncond, Tensor):
        return torch.cat([cond, uncond])
    raise ValueError(f"conditioning {name!r} differs between the branches and is no tensor")
