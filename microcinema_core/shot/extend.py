"""A shot of any length: clips chained by their end frames, whose latents are the next clips' keyframes.

The latent itself is handed on, so nothing is lost to the autoencoder from clip to clip.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# (keyframe latent [C, h, w], its index in the clip, the clip's number: 0 is the first made, negative before it)
# -> latents [C, T, h, w]
MakeClip = Callable[[Tensor, int, int], Tensor]


def chain(keyframe: Tensor, key: int, frames: int, make: MakeClip, before: int = 0, after: int = 0) -> list[Tensor]:
    """Latents [C, h, w] of all frames in order. A chained clip's shared frame is the one that was there already."""
    shot = list(make(keyframe, key, 0).unbind(1))
    for number in range(1, after + 1):
        shot += make(shot[-1], 0, number).unbind(1)[1:]
    for number in range(1, before + 1):
        shot = [*make(shot[0], frames - 1, -number).unbind(1)[:-1], *shot]
    return shot
