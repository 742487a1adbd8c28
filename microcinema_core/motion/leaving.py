"""Regions that leave the frame: said, as it may be meant."""

from __future__ import annotations

import numpy as np

from .plates import Plate
from .render import Renderer

LOOKED_AT = 65  # frames, evenly spaced


def leaving(renderer: Renderer) -> str:
    """A sentence on the regions that are wholly outside the frame at some time; empty where there are none."""
    count = len(renderer)
    frames = sorted({round(i * (count - 1) / (LOOKED_AT - 1)) for i in range(LOOKED_AT)})
    regions = list(renderer.scene.plan.regions)
    gone: dict[int, int] = {}
    for plate in renderer.scene.plates:
        number = next((i for i, region in enumerate(regions, start=1) if region is plate.region), None)
        if number is None:
            continue
        first = next((frame for frame in frames if _outside(renderer, plate, frame)), None)
        if first is not None:
            gone[number] = min(first, gone.get(number, first))
    told = (f"region {number} is outside the frame at frame {frame}" for number, frame in sorted(gone.items()))
    return "; ".join(told)


def _outside(renderer: Renderer, plate: Plate, frame: int) -> bool:
    """Whether nothing of a plate can be seen in a frame."""
    view, (width, height) = renderer.view, plate.size
    place = plate.where(renderer.scene.plan, renderer.moments[frame], view)
    if place is None:
        return True
    left, top = plate.corner
    corners = np.array([[x, y, 1.0] for x in (left, left + width) for y in (top, top + height)]).T
    x, y, w = np.linalg.inv(place) @ corners
    if (w <= 0).any():
        return bool((w <= 0).all())
    x, y = x / w, y / w
    return bool(x.max() <= 0 or y.max() <= 0 or x.min() >= view.width or y.min() >= view.height)
