"""The pinhole camera: where a plane of the picture is seen at a moment.

Coordinates are those of the frame, from its centre, x to the right and y down, in units of its longer side. A plane at
distance d carries the picture as the camera sees it at the keyframe; a homography [3, 3] takes its points to where
they are seen. Camera moves are along and about the keyframe's axes: first it goes, then it turns (pan, tilt, roll).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .moments import Moment
from .plan import NEAREST, Camera, Plan, Region

Matrix = NDArray[np.float64]
Aspect = tuple[float, float]  # the frame's width and height in units of its longer side


def aspect(width: float, height: float) -> Aspect:
    """Of a frame of so many pixels."""
    longer = max(width, height)
    return width / longer, height / longer


def focal(camera: Camera) -> float:
    """Distance of the keyframe's plane, in units of the frame's longer side."""
    return 0.5 / math.tan(math.radians(camera.fov) / 2)


def seen(plan: Plan, moment: Moment, distance: float, frame: Aspect) -> Matrix | None:
    """The homography of a plane at a distance; None where the camera has passed it."""
    camera = plan.camera
    done = plan.done(moment.u) - plan.done(moment.key)
    ahead = distance - camera.dolly * done
    if ahead < NEAREST:
        return None
    f = focal(camera)
    across, up = camera.horizontal * done * frame[0], camera.vertical * done * frame[1]
    plane = np.array([[distance, 0, -across], [0, distance, up], [0, 0, f * ahead]])
    lens = f * camera.zoom**done
    turned = np.diag([lens, lens, 1.0]) @ _turn(plan, moment, done).T @ plane
    return np.asarray(turned / (f * distance))


def path(plan: Plan, moment: Moment, region: Region, pivot: tuple[float, float], frame: Aspect) -> Matrix:
    """Where a region goes on its own plane. pivot: x, y in the frame's coordinates."""
    done = plan.done(moment.u, region) - plan.done(moment.key, region)
    angle, scale = math.radians(region.roll * done), region.zoom**done
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    x, y = pivot
    return np.array(
        [
            [c, -s, x - c * x + s * y + region.horizontal * done * frame[0]],
            [s, c, y - s * x - c * y - region.vertical * done * frame[1]],
            [0, 0, 1],
        ]
    )


def _turn(plan: Plan, moment: Moment, done: float) -> Matrix:
    """The camera's axes as columns."""
    camera = plan.camera
    pan, tilt, roll = camera.pan * done, camera.tilt * done, camera.roll * done
    pan, tilt, roll = (a + b for a, b in zip((pan, tilt, roll), moment.tremor, strict=True))
    (cp, sp), (ct, st), (cr, sr) = ((math.cos(r), math.sin(r)) for r in map(math.radians, (pan, tilt, roll)))
    right = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    up = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])
    clockwise = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(right @ up @ clockwise)
