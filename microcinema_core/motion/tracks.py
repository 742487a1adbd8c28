"""Where points of the keyframe are seen in each frame, for models that follow tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .moments import Moment
from .plates import Plate
from .render import Renderer
from .resample import BEHIND

MAX_POINTS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """places: [T, N, 2], x and y in pixels of the frame. visible: [T, N]: in the frame, with nothing before it."""

    places: Tensor
    visible: Tensor


def grid_points(width: int, height: int, count: int) -> Tensor:
    """About so many points [N, 2] spread evenly over a frame, none on its edge."""
    if not 1 <= count <= MAX_POINTS:
        raise InputError(f"between 1 and {MAX_POINTS} points can be tracked, got {count}")
    columns = max(1, round((count * width / height) ** 0.5))
    rows = max(1, round(count / columns))
    x = (torch.arange(columns, dtype=torch.float64) + 0.5) * width / columns
    y = (torch.arange(rows, dtype=torch.float64) + 0.5) * height / rows
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def tracked(renderer: Renderer, points: Tensor) -> Tracks:
    """Points [N, 2], in pixels of the frame that shows the keyframe, followed through every frame of the clip.

    A point belongs to the nearest plate that it lies on.
    """
    planes = [layer.plate for layer in renderer.layers]
    start = np.concatenate([points.double().cpu().numpy(), np.ones((len(points), 1))], axis=1) @ renderer.still.T
    owner = np.zeros(len(points), int)
    for number, plate in enumerate(planes):
        owner[_lies_on(plate, start)] = number
    places, visible = zip(*(_at(renderer, moment, start, owner) for moment in renderer.moments), strict=True)
    return Tracks(torch.from_numpy(np.stack(places)).float(), torch.from_numpy(np.stack(visible)))


def _at(
    renderer: Renderer, moment: Moment, start: NDArray[np.float64], owner: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Places [N, 2] and visibility [N] in one frame."""
    view, planes = renderer.view, [layer.plate for layer in renderer.layers]
    matrices = [plate.where(renderer.scene.plan, moment, view) for plate in planes]
    places, visible = np.zeros((len(start), 2)), np.zeros(len(start), bool)
    for number, matrix in enumerate(matrices):
        mine = owner == number
        if matrix is None or not mine.any():
            continue
        x, y, w = np.linalg.inv(matrix) @ start[mine].T
        places[mine] = np.stack([x, y], axis=1) / np.maximum(w, BEHIND)[:, None]
        visible[mine] = w > BEHIND
    within = (places >= 0) & (places < (view.width, view.height))
    visible &= within.all(axis=1)
    seen = np.concatenate([places, np.ones((len(places), 1))], axis=1)
    for number, (plate, matrix) in enumerate(zip(planes, matrices, strict=True)):
        if matrix is not None:
            on = seen @ matrix.T
            before = on[:, 2] > BEHIND
            on = on / np.where(before, on[:, 2], 1.0)[:, None]
            visible &= ~((owner < number) & before & _lies_on(plate, on))
    return places, visible


def _lies_on(plate: Plate, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which places [N, 3] of the picture's plane a plate covers."""
    if plate.backmost:
        return np.ones(len(places), bool)
    width, height = plate.size
    column, row = (np.floor(places[:, i] - plate.corner[i]).astype(int) for i in (0, 1))
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    rows, columns = row.clip(0, height - 1), column.clip(0, width - 1)
    at = [torch.from_numpy(where).to(plate.colour.device) for where in (rows, columns)]
    alpha = plate.colour.new_ones(len(places)) if plate.alpha is None else plate.alpha[0][at[0], at[1]]
    if plate.band is not None and plate.disparity is not None:
        alpha = alpha * plate.band.alpha(plate.disparity[0][at[0], at[1]])
    return np.asarray(inside & (alpha.cpu().numpy() > 0.5))
