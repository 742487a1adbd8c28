"""A frame as the plates show it, and what a layer must know to draw over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..camera import Matrix
from ..resample import Box, grid_of

NOTHING = 1 / 512  # of a mask: less than half of what a pixel can show
SOFT = 0.1  # of a distance: within it, what is there is partly behind and partly before


@dataclass(slots=True, eq=False)
class Composed:
    """A frame before anything is drawn over it.

    picture: [3, H, W], pixels 0..1. known: [1, H, W], 1 where it shows what the keyframe does. distance: [1, H, W], of
    what is seen, 1 = the keyframe's plane. masks: [M, H, W], those of `Maps`, where they lie in this frame.
    shown: for each distance asked for, how much of something there is seen past what is nearer, [1, H, W].
    """

    picture: Tensor
    known: Tensor
    distance: Tensor
    masks: Tensor
    shown: dict[float, Tensor] = field(default_factory=dict)

    @classmethod
    def empty(cls, like: Tensor, width: int, height: int, masks: int, distances: tuple[float, ...]) -> Composed:
        """like: a tensor of the dtype and device of all of it."""
        return cls(
            like.new_zeros((3, height, width)),
            like.new_zeros((1, height, width)),
            like.new_ones((1, height, width)),
            like.new_zeros((masks, height, width)),
            {distance: like.new_ones((1, height, width)) for distance in distances},
        )

    def lay(self, box: Box, alpha: Tensor | float, distance: Tensor, masks: Tensor, *, hides: bool) -> None:
        """Lay a plate over it: alpha and distance [1, h, w] of the box, masks [M, h, w].

        hides: whether what is behind it is hidden by it; a background of unknown distance hides nothing.
        """
        left, top, right, bottom = box
        part = (slice(None), slice(top, bottom), slice(left, right))
        for mine, laid in ((self.distance, distance), (self.masks, masks)):
            mine[part] = laid if isinstance(alpha, float) else torch.lerp(mine[part], laid, alpha)
        if hides:
            for asked, shown in self.shown.items():
                before = ((asked - distance) / (SOFT * asked) + 0.5).clamp(0, 1)
                shown[part] *= 1 - alpha * before


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Pictures of the keyframe's size that go where its pixels go: layers' masks and, where known, distances.

    masks: [M, H, W]. distance: [1, H, W] or None. channels: of each layer of the plan, which mask is its own; None: it
    is everywhere.
    """

    masks: Tensor
    distance: Tensor | None
    channels: tuple[int | None, ...] = ()

    @classmethod
    def of(cls, masks: Sequence[Tensor | None], distance: Tensor | None, like: Tensor) -> Maps:
        """masks: each layer's [1, H, W], or None; one that several layers share is kept once. like: [C, H, W]."""
        kept: dict[int, int] = {}
        unlike: list[Tensor] = []
        channels: list[int | None] = []
        for mask in masks:
            if mask is not None and id(mask) not in kept:
                kept[id(mask)] = len(unlike)
                unlike.append(mask)
            channels.append(None if mask is None else kept[id(mask)])
        return cls(torch.cat(unlike) if unlike else like[:0], distance, tuple(channels))

    def own(self, number: int, masks: Tensor | None = None) -> Tensor | None:
        """The mask [1, H, W] of a layer of the plan, by its number from 0, or None for everywhere.

        masks: [M, h, w], these masks in a frame, in place of the picture's.
        """
        channel, all_of_them = self.channels[number], self.masks if masks is None else masks
        return None if channel is None else all_of_them[channel : channel + 1]

    def sample(self, matrix: Matrix, box: Box) -> tuple[Tensor, Tensor | None]:
        """Masks [M, h, w] and distance [1, h, w] of a part of a frame; beyond the picture, as at its edge.

        matrix [3, 3]: from the frame's continuous pixel coordinates to the picture's.
        """
        pixels = self.masks if self.distance is None else torch.cat([self.masks, self.distance])
        height, width = pixels.shape[1:]
        if not len(pixels):
            return pixels.new_zeros((0, box[3] - box[1], box[2] - box[0])), None
        to_grid = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
        grid = grid_of(to_grid @ matrix, box, pixels)
        seen = F.grid_sample(pixels[None], grid, padding_mode="border", align_corners=False)[0]
        masks = seen if self.distance is None else seen[:-1]
        masks.masked_fill_(masks < NOTHING, 0)
        return masks, None if self.distance is None else seen[-1:]
