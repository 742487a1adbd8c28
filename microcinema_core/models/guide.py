"""The guide: what is known of each frame of a clip before denoising begins.

Four read it, each in one place: AppearNet (`models/appearnet.py`), the noise prior's lambda and gamma
(`diffusion/noise.py`), the hold of an exact keyframe (`shot/hold.py`) and TSR's remainder (`shot/segments.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NEAR = 5  # latents across: what moves from end to end is near both of its places
LEAST_CHANGE, SMALLEST = 0.2, 1e-3  # of what differs; of latents


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """Clean latents that frames are made around.

    latents: model-space [B, C, T, h, w]; T = 1 where all frames share one, as with a single keyframe (z_c).
    known: [B, 1, T or 1, h, w] in 0..1, how much of each place the latents really say; None: all of it.
    along: of a line between a segment's ends, the frames along which it goes, as `latents`; None: it is straight.
    """

    latents: Tensor
    known: Tensor | None = None
    along: Tensor | None = None

    @property
    def clips(self) -> int:
        return self.latents.shape[0]

    def frame(self, index: int) -> Tensor:
        """The latents at one frame of the clip, [B, C, 1, h, w]."""
        return self.latents if self.latents.shape[2] == 1 else self.latents[:, :, index : index + 1]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Guide:
        """The guide on a device and in a format, its latents [B, C, T, h, w] and what is known of them."""
        known, along = (None if part is None else part.to(device, dtype) for part in (self.known, self.along))
        return Guide(self.latents.to(device, dtype), known, along)

    def part(self, clips: slice) -> Guide:
        """Of some of the clips: of a guide [B, C, T, h, w] one [b, C, T, h, w]."""
        known, along = (None if part is None else part[clips] for part in (self.known, self.along))
        return Guide(self.latents[clips], known, along)

    def for_branches(self, branches: int) -> Guide:
        """The guide of a batch [branches * B, ...] that holds the clips once for each branch of guidance."""
        if self.clips == 1:
            return self
        known, along = (None if part is None else torch.cat([part] * branches) for part in (self.known, self.along))
        return Guide(torch.cat([self.latents] * branches), known, along)


def together(guides: Sequence[Guide]) -> Guide:
    """Guides of single clips [1, C, T, h, w] as that of a batch of them [B, C, T, h, w]."""
    known = [guide.known for guide in guides if guide.known is not None]
    return Guide(torch.cat([guide.latents for guide in guides]), torch.cat(known) if known else None)


def with_known(guide: Guide) -> Tensor:
    """Latents and, as one channel more, how much of each place they really say: [B, C + 1, T, h, w]."""
    latents, known = guide.latents, guide.known
    known = torch.ones_like(latents[:, :1]) if known is None else known.to(latents)
    frames = max(latents.shape[2], known.shape[2])
    return torch.cat([part.expand(-1, -1, frames, -1, -1) for part in (latents, known)], dim=1)


def with_along(line: Guide) -> Tensor:
    """What a line differs by from that along which it goes, over its `change`, that, and what is known of it:
    [B, 2C + 1, T, h, w]."""
    assert line.along is not None
    differs = (line.latents - line.along) / change(line)
    return torch.cat([differs, with_known(Guide(line.along, line.known))], dim=1)


def change(line: Guide) -> Tensor:
    """How much of what a line differs by from that along which it goes changes from end to end: [B, 1, 1, h, w].

    Over channels and near each place, of line and what it goes along [B, C, T, h, w], and never less than a share of
    what differs: light that stays leaves next to nothing for between the ends, rain leaves more than it shows there.
    """
    assert line.along is not None
    first, last = ((line.latents[:, :, end] - line.along[:, :, end]).float() for end in (0, -1))
    squares = (last - first).square() + LEAST_CHANGE**2 * (first.square() + last.square()) / 2
    near = F.avg_pool2d(squares.mean(dim=1, keepdim=True), NEAR, 1, NEAR // 2, count_include_pad=False)
    return (near.sqrt() + SMALLEST)[:, :, None].to(line.latents)
