"""What a model made at its own few frames a second, at any moment between them.

Until temporal super-resolution takes this place (a `Between` of the same frames), what differs goes in a straight line
from one of them to the next, carried by the camera; the camera's own motion is in every frame.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..motion.camera import Matrix
from ..motion.render import Renderer
from ..motion.resample import grid_of
from ..shot.resize import Size

# (frame, its picture by the camera at the model's size [3, h, w]) -> made [E, 3, h, w], guide [3, h, w], pixels 0..1
Between = Callable[[int, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """Pictures of one frame of a clip as the camera would show them in another. size: theirs, width and height."""

    renderer: Renderer
    size: Size

    def carried(self, pixels: Tensor, key: int, frame: int) -> Tensor:
        """[N, C, h, w] of frame `key` -> the same in frame `frame`, as what is farthest goes; edges are repeated."""
        there, here = self._where(key), self._where(frame)
        if there is None or here is None or np.array_equal(there, here):
            return pixels
        width, height = self.size
        view = self.renderer.view
        scale = np.diag([view.width / width, view.height / height, 1.0])
        to_grid = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
        matrix = to_grid @ np.linalg.inv(scale) @ np.linalg.inv(there) @ here @ scale
        grid = grid_of(matrix, (0, 0, width, height), pixels).expand(len(pixels), -1, -1, -1)
        return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)

    def _where(self, frame: int) -> Matrix | None:
        """From a frame's pixels to the picture's, of what is farthest."""
        scene, moments = self.renderer.scene, self.renderer.moments
        return scene.plates[0].planes[0].where(scene.plan, moments[frame], self.renderer.view)


def held(carrier: Carrier, keys: Sequence[int], drawn: Tensor, guide: Tensor, made: Tensor) -> Between:
    """The line between the model's frames, of which `keys` says which frames of the clip they are.

    drawn: as the camera drew them at the model's size, [T, 3, h, w]. guide: the same through the autoencoder. made:
    what the model made of it, for each thing that was asked, [E, T, 3, h, w]. All pixels, 0..1.
    A frame is the camera's own and what differs at both ends, each by how near it is.
    """
    differs = torch.cat([guide[None], made]) - drawn

    def at(frame: int, picture: Tensor) -> tuple[Tensor, Tensor]:
        before, share = _place(keys, frame)
        line = carrier.carried(differs[:, before], keys[before], frame)
        if share > 0:
            line = torch.lerp(line, carrier.carried(differs[:, before + 1], keys[before + 1], frame), share)
        return picture + line[1:], picture + line[0]

    return at


def _place(keys: Sequence[int], frame: int) -> tuple[int, float]:
    """The last key up to a frame, and how far from it to the next the frame is, 0..1."""
    before = max(0, bisect.bisect_right(keys, frame) - 1)
    if before == len(keys) - 1:
        return before, 0.0
    return before, (frame - keys[before]) / (keys[before + 1] - keys[before])
