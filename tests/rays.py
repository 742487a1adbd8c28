"""A renderer of its own, in float64 and by rays, that shares nothing with `motion`'s homographies.

Every pixel of the frame sends a ray from the camera through the scene, and asks where on a plate's plane it lands.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotated(vectors: Array, axis: int, degrees: float) -> Array:
    """[..., 3] turned about an axis by the right-hand rule; x is right, y is down, z is forward."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = vectors.copy()
    turned[..., a] = c * vectors[..., a] - s * vectors[..., b]
    turned[..., b] = s * vectors[..., a] + c * vectors[..., b]
    return turned


def landing(
    size: tuple[int, int], share: float, *, fov: float = 50.0, distance: float = 1.0, **dials: float
) -> tuple[Array, Array]:
    """Where each pixel of a frame (width, height) sees a plane at a distance: x, y in pixels of the keyframe.

    share: of the moves that are done. A pixel that looks past the plane lands at infinity.
    """
    width, height = size
    longer = max(size)
    lens = longer / 2 / math.tan(math.radians(fov) / 2)  # pixels, which are the world's unit too
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    zoomed = lens * dials.get("zoom", 1.0) ** share
    ray = np.stack([x / zoomed, y / zoomed, np.ones_like(x)], axis=-1)
    # The camera rolls about its own axis first, then tilts, then pans: the outermost turn comes last.
    ray = rotated(ray, 2, share * dials.get("roll", 0.0))
    ray = rotated(ray, 0, share * dials.get("tilt", 0.0))
    ray = rotated(ray, 1, share * dials.get("pan", 0.0))
    eye = np.array(
        [
            share * dials.get("horizontal", 0.0) * width,
            -share * dials.get("vertical", 0.0) * height,
            share * dials.get("dolly", 0.0) * lens,
        ]
    )
    ahead = ray[..., 2] > 1e-9
    length = np.where(ahead, (distance * lens - eye[2]) / np.where(ahead, ray[..., 2], 1), np.inf)
    with np.errstate(invalid="ignore"):
        hit = eye + ray * length[..., None]
    return hit[..., 0] / distance + width / 2, hit[..., 1] / distance + height / 2


def walked_back(
    place: tuple[Array, Array], size: tuple[int, int], share: float, pivot: tuple[float, float], **dials: float
) -> tuple[Array, Array]:
    """Where a place of a region's plane was in the keyframe, before the region went there."""
    x = place[0] - share * dials.get("horizontal", 0.0) * size[0] - pivot[0]
    y = place[1] + share * dials.get("vertical", 0.0) * size[1] - pivot[1]
    turn, scale = math.radians(share * dials.get("roll", 0.0)), dials.get("zoom", 1.0) ** share
    c, s = math.cos(turn) / scale, math.sin(turn) / scale
    return pivot[0] + c * x + s * y, pivot[1] - s * x + c * y


def within(place: tuple[Array, Array], box: tuple[float, float, float, float]) -> NDArray[Any]:
    """Which places lie in left, top, right, bottom."""
    left, top, right, bottom = box
    return (place[0] > left) & (place[0] < right) & (place[1] > top) & (place[1] < bottom)
