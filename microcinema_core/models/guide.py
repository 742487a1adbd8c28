"""The guide: what is known of each frame of a clip before denoising begins.

Four read it, each in one place: AppearNet (`models/appearnet.py`), the noise prior's lambda and gamma
(`diffusion/noise.py`), the hold of an exact keyframe (`shot/hold.py`) and TSR's remainder (`shot/segments.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """Clean latents that frames are made around.

    latents: model-space [B, C, T, h, w]; T = 1 where all frames share one, as with a single keyframe (z_c).
    known: [B, 1, T or 1, h, w] in 0..1, how much of each place the latents really say; None: all of it.
    """

    latents: Tensor
    known: Tensor | None = None

    @property
    def clips(self) -> int:
        return self.latents.shape[0]

    def frame(self, index: int) -> Tensor:
        """The latents at one frame of the clip, [B, C, 1, h, w]."""
        return self.latents if self.latents.shape[2] == 1 else self.latents[:, :, index : index + 1]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Guide:
        """The guide on a device and in a format, its latents [B, C, T, h, w] and what is known of them."""
        known = None if self.known is None else self.known.to(device, dtype)
        return Guide(self.latents.to(device, dtype), known)

    def for_branches(self, branches: int) -> Guide:
        """The guide of a batch [branches * B, ...] that holds the clips once for each branch of guidance."""
        if self.clips == 1:
            return self
        known = None if self.known is None else torch.cat([self.known] * branches)
        return Guide(torch.cat([self.latents] * branches), known)


def together(guides: Sequence[Guide]) -> Guide:
    """Guides of single clips [1, C, T, h, w] as that of a batch of them [B, C, T, h, w]."""
    known = [guide.known for guide in guides if guide.known is not None]
    return Guide(torch.cat([guide.latents for guide in guides]), torch.cat(known) if known else None)


def beside(x: Tensor, guide: Guide) -> Tensor:
    """What a model that fills reads: noisy latents [B, C, T, h, w] and all of `with_known`, [B, 2C + 1, T, h, w].

    One guide may serve all of the batch.
    """
    said = with_known(guide).to(x)
    return torch.cat([x, said.expand(len(x), *said.shape[1:])], dim=1)


def with_known(guide: Guide) -> Tensor:
    """Latents and, as one channel more, how much of each place they really say: [B, C + 1, T, h, w]."""
    latents, known = guide.latents, guide.known
    known = torch.ones_like(latents[:, :1]) if known is None else known.to(latents)
    frames = max(latents.shape[2], known.shape[2])
    return torch.cat([part.expand(-1, -1, frames, -1, -1) for part in (latents, known)], dim=1)
