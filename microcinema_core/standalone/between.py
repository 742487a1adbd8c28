"""What a model made at its own few frames a second, at any moment between them.

Until temporal super-resolution takes this place (a `Between` of the same frames), what differs goes in a straight line
from one of them to the next; the camera's own motion is in every frame.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# (frame, its picture by the camera at the model's size [3, h, w]) -> made [E, 3, h, w], guide [3, h, w], pixels 0..1
Between = Callable[[int, Tensor], tuple[Tensor, Tensor]]


def held(keys: Sequence[int], drawn: Tensor, guide: Tensor, made: Tensor) -> Between:
    """The line between the model's frames, of which `keys` says which frames of the clip they are.

    drawn: as the camera drew them at the model's size, [T, 3, h, w]. guide: the same through the autoencoder. made:
    what the model made of it, for each thing that was asked, [E, T, 3, h, w]. All pixels, 0..1.
    A frame is the camera's own and what differs at both ends, each by how near it is.
    """
    lost, changed = guide - drawn, made - drawn

    def at(frame: int, picture: Tensor) -> tuple[Tensor, Tensor]:
        before, share = _place(keys, frame)
        after = min(before + 1, len(keys) - 1)
        return (
            picture + torch.lerp(changed[:, before], changed[:, after], share),
            picture + torch.lerp(lost[before], lost[after], share),
        )

    return at


def _place(keys: Sequence[int], frame: int) -> tuple[int, float]:
    """The key before a frame, and how far from it to the next the frame is, 0..1."""
    before = max(0, bisect.bisect_right(keys, frame) - 1)
    if before == len(keys) - 1:
        return before, 0.0
    return before, (frame - keys[before]) / (keys[before + 1] - keys[before])
