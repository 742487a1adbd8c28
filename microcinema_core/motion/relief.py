"""The background of a picture with depth: two sheets of planes on the canvas of a scene."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .depth import bands, disparity, sheets
from .fill import fill
from .moments import extremes
from .plan import Plan
from .plates import Plate, View, padded
from .resample import Box

OFF_SHAPE = 0.05  # of a depth picture's shape: depth networks round its sides
DEEPEST = 0.25  # of the longer side: how far behind near things what they hide is filled


def disparity_of(depth: Tensor, plan: Plan, picture: tuple[int, int]) -> Tensor:
    """A depth picture [1, h, w] or [h, w] of any size as the disparity [1, H, W] of a picture of that width and height.

    Raises InputError for one of another shape, and for one that is constant, empty or no picture.
    """
    depth = depth.float()[None] if depth.ndim == 2 else depth.float()
    if depth.ndim != 3 or len(depth) != 1 or 0 in depth.shape:
        raise InputError(f"the depth picture must be grey, [1, H, W], got {list(depth.shape)}")
    width, height = picture
    across, down = depth.shape[2], depth.shape[1]
    if abs(across / down / (width / height) - 1) > OFF_SHAPE + 1 / min(across, down):
        raise InputError(
            f"the depth picture is {across}x{down}, of another shape than the picture, {width}x{height}; make it "
            "of the whole picture, at any size"
        )
    if (down, across) != (height, width):
        depth = F.interpolate(depth[None], (height, width), mode="bilinear", antialias=True)[0]
    return disparity(depth, plan.relief.kind, plan.relief.range)


def sheets_of(picture: Tensor, near: Tensor, plan: Plan, view: View, given: Tensor, box: Box) -> list[Plate]:
    """The background as two sheets of planes, the farther first: what is behind what is seen of it, and that itself.

    picture: [3, H, W], near: its disparity [1, H, W]. given: [1, h, w] on the canvas, 1 where the keyframe shows it.
    """
    cut = sheets(picture, near, _parallax(plan, view), plan.relief.planes)
    made = []
    for sheet, behind in ((cut.back, True), (cut.front, False)):
        canvas = padded(sheet, box)
        depth = fill(canvas[3:4], given, 0.0).clamp(near.min(), near.max())
        plate = Plate(
            torch.where(given > 0, canvas[:3], padded(picture, box)),
            given * canvas[4:5] if behind else given,
            box[:2],
            disparity=depth,
            bands=tuple(bands(cut.levels, behind=behind)),
            alpha=None if behind else torch.where(given > 0, canvas[4:5], 1.0),
        )
        made.append(plate)
    return made


def _parallax(plan: Plan, view: View) -> int:
    """How many pixels of the picture its nearest and farthest planes move against each other at most."""
    corners = np.array([[0, 0, 1], [view.width, 0, 1], [0, view.height, 1], [view.width, view.height, 1.0]]).T
    nothing = torch.zeros(1, 1, 1)
    planes = [Plate(nothing, nothing, (0, 0), distance=distance) for distance in (1.0, plan.relief.range)]
    most = 0.0
    for moment in extremes(plan):
        near, far = (plane.where(plan, moment, view) for plane in planes)
        if near is not None and far is not None:
            (x0, y0, w0), (x1, y1, w1) = near @ corners, far @ corners
            if (w0 > 1e-3).all() and (w1 > 1e-3).all():
                most = max(most, float(np.hypot(x0 / w0 - x1 / w1, y0 / w0 - y1 / w1).max()))
    return math.ceil(min(most, max(view.picture) * DEEPEST)) + 1
