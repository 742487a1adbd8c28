"""Plates: the picture cut into what lies behind each other, each with what the camera will uncover of it.

Coordinates are pixels of the picture; a plate reaches beyond its edges as far as the camera will see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .camera import Aspect, Matrix, aspect, path, seen
from .depth import Band
from .layer import Layer
from .layers.repeats import extremes_of, moved
from .moments import Moment, extremes
from .plan import Plan, Region
from .resample import Box

SPARE = 2  # pixels seen beyond what these moments need: between two of them a frame may reach further
MULTIPLE = 8  # plates that leave for an inpainting model have sides that its autoencoder takes
BEYOND = 1.0  # how far a plate reaches beyond the picture's edge at most, in its longer sides
SELECTED = 0.5  # of a mask: less than this everywhere is an empty one
SURE = 0.99  # of a region's mask: what belongs to it alone


@dataclass(frozen=True, slots=True)
class View:
    """A frame over the picture: `scale` pixels of the picture to one of its own, centre on centre."""

    width: int
    height: int
    picture: tuple[int, int]  # width, height
    scale: float

    @classmethod
    def covering(cls, width: int, height: int, picture: tuple[int, int]) -> Self:
        """The largest frame inside the picture."""
        return cls(width, height, picture, min(picture[0] / width, picture[1] / height))

    @classmethod
    def around(cls, width: int, height: int, picture: tuple[int, int]) -> Self:
        """The smallest frame that shows the whole picture; what is beyond its edges is unknown."""
        return cls(width, height, picture, max(picture[0] / width, picture[1] / height))

    @property
    def aspect(self) -> Aspect:
        return aspect(self.width, self.height)

    @property
    def to_picture(self) -> Matrix:
        """From the camera's coordinates of the frame to pixels of the picture."""
        unit = max(self.width, self.height) * self.scale
        return np.array([[unit, 0, self.picture[0] / 2], [0, unit, self.picture[1] / 2], [0, 0, 1]])

    @property
    def from_pixels(self) -> Matrix:
        """From pixels of the frame to the camera's coordinates."""
        unit = 1 / max(self.width, self.height)
        return np.array([[unit, 0, -self.width * unit / 2], [0, unit, -self.height * unit / 2], [0, 0, 1]])


@dataclass(frozen=True, slots=True)
class Repeat:
    """A layer that moves a plate about a pivot, in pixels of the picture."""

    layer: Layer
    pivot: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """One picture under the camera.

    colour: [3, h, w], pixels 0..1. given: [1, h, w], 1 where the keyframe shows it, 0 where it was or is to be filled.
    alpha: [1, h, w], what of it there is; None: all. corner: its left and top in the picture, in whole pixels.
    disparity: [1, h, w], of a sheet that stands for as many planes as it has `bands`; a plane of it has its own `band`.
    """

    colour: Tensor
    given: Tensor
    corner: tuple[int, int]
    alpha: Tensor | None = None
    disparity: Tensor | None = None
    bands: tuple[Band, ...] = ()
    band: Band | None = None
    distance: float = 1.0
    region: Region | None = None
    pivot: tuple[float, float] = (0.0, 0.0)  # in pixels of the picture
    repeats: tuple[Repeat, ...] = ()  # what moves it besides its region's path

    @property
    def size(self) -> tuple[int, int]:
        return self.colour.shape[2], self.colour.shape[1]

    @property
    def planes(self) -> tuple[Plate, ...]:
        """What is rendered: a sheet's planes, which share its pixels, or the plate itself."""
        return tuple(replace(self, band=band, distance=1 / band.level) for band in self.bands) or (self,)

    @property
    def backmost(self) -> bool:
        """Whether nothing is seen behind it."""
        return self.alpha is None and (self.band is None or self.band.whole)

    def where(self, plan: Plan, moment: Moment, view: View) -> Matrix | None:
        """From the frame's pixels to the picture's, of this plate at a moment; None: it is not seen."""
        shown = seen(plan, moment, self.distance, view.aspect)
        if shown is None:
            return None
        picture = view.to_picture
        if self.region is not None:
            shown = shown @ path(plan, moment, self.region, _placed(self.pivot, picture), view.aspect)
        for repeat in self.repeats:
            height = view.picture[1] / picture[1, 1]
            shown = shown @ moved(repeat.layer, moment, _placed(repeat.pivot, picture), height)
        if np.array_equal(shown, np.eye(3)):
            return picture @ view.from_pixels
        # The homography's sign keeps what is behind the camera apart: its last row is positive before it.
        back = np.linalg.inv(shown)
        return picture @ (back / abs(back[2, 2])) @ view.from_pixels


def _placed(pivot: tuple[float, float], picture: Matrix) -> tuple[float, float]:
    """A point in the picture's pixels in the camera's coordinates. picture: from these to those."""
    x, y, _ = np.linalg.inv(picture) @ (*pivot, 1.0)
    return float(x), float(y)


def check_picture(picture: Tensor) -> None:
    """Raises InputError for what is no picture [3, H, W] of finite numbers."""
    if picture.ndim != 3 or picture.shape[0] != 3 or 0 in picture.shape:
        raise InputError(f"a picture must be [3, H, W], got {list(picture.shape)}")
    if not bool(picture.isfinite().all()):
        raise InputError("the picture holds NaN or infinite values; what made it went wrong")


def sized_mask(mask: Tensor, picture: tuple[int, int], name: str) -> Tensor:
    """A mask [H, W] or [1, H, W] as [1, H, W] in 0..1. picture: width, height of what it belongs to.

    Raises InputError for one of another size and for NaN; `name` says which.
    """
    mask = mask.float()[None] if mask.ndim == 2 else mask.float()
    width, height = picture
    if mask.ndim != 3 or tuple(mask.shape) != (1, height, width):
        sizes = "x".join(str(side) for side in reversed(mask.shape[-2:]))
        raise InputError(
            f"{name} is {sizes}, the picture {width}x{height}; paint the mask on the picture itself or scale it"
        )
    if not bool(mask.isfinite().all()):
        raise InputError(f"{name} holds NaN or infinite values")
    return mask.clamp(0, 1)


def check_mask(mask: Tensor, picture: tuple[int, int], name: str) -> Tensor:
    """As `sized_mask`. Raises InputError for an empty one too."""
    mask = sized_mask(mask, picture, name)
    if float(mask.max()) < SELECTED:
        raise InputError(f"{name} is empty: nothing in it is selected (white, or 1, is the region)")
    return mask


def polygon_mask(points: tuple[tuple[float, ...], ...], width: int, height: int) -> Tensor:
    """A polygon in widths and heights of a picture as its mask [1, height, width], by the even-odd rule."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5)[:, None] / height
    inside = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if y0 != y1:
            crossed = (y0 > y) != (y1 > y)
            inside ^= crossed & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return torch.from_numpy(inside.astype(np.float32))[None]


def reach(plate: Plate, plan: Plan, view: View) -> Box:
    """The part of the picture's plane that frames see of this plate: left, top, right, bottom in pixels."""
    width, height = view.picture
    limit = math.ceil(BEYOND * max(width, height))
    corners = np.array([[0, 0, 1], [view.width, 0, 1], [0, view.height, 1], [view.width, view.height, 1.0]]).T
    low, high = np.zeros(2), np.array([width, height], float)
    moments = extremes(plan)
    far = [one for repeat in plate.repeats for moment in moments for one in extremes_of(repeat.layer, moment)]
    for moment in far or moments:
        matrix = plate.where(plan, moment, view)
        if matrix is None:
            continue
        x, y, w = matrix @ corners
        if (w < 1e-3).any():
            low, high = np.full(2, -limit), np.array([width + limit, height + limit])
            break
        low, high = np.minimum(low, ((x / w).min(), (y / w).min())), np.maximum(high, ((x / w).max(), (y / w).max()))
    spare = np.array([0, 0, width, height])
    found = np.concatenate([np.floor(low - 1e-3), np.ceil(high + 1e-3)])
    found = np.where(np.abs(found - spare) <= 1, spare, found + np.sign(found - spare) * SPARE)
    clipped = np.clip(found, -limit, (width + limit, height + limit) * 2)
    left, top, right, bottom = (int(v) for v in clipped)
    return left, top, right, bottom


def extended(box: Box, picture: tuple[int, int]) -> Box:
    """The box with sides that an autoencoder takes, where it reaches beyond the picture at all."""
    left, top, right, bottom = box
    if box == (0, 0, *picture):
        return box
    return left, top, right + (left - right) % MULTIPLE, bottom + (top - bottom) % MULTIPLE


def padded(pixels: Tensor, box: Box) -> Tensor:
    """[C, H, W] of a picture -> [C, bottom - top, right - left], its border repeated beyond it."""
    height, width = pixels.shape[1:]
    left, top, right, bottom = box
    return F.pad(pixels[None], (-left, right - width, -top, bottom - height), mode="replicate")[0]


def inside(picture: tuple[int, int], box: Box, like: Tensor) -> Tensor:
    """[1, h, w]: 1 where a box of the plane lies in the picture."""
    left, top, _, _ = box
    within = torch.zeros((1, box[3] - top, box[2] - left), device=like.device, dtype=like.dtype)
    within[:, -top : -top + picture[1], -left : -left + picture[0]] = 1
    return within


def grown(mask: Tensor) -> Tensor:
    """What a mask [1, H, W] touches, and a pixel around it: [1, H, W] of 0 and 1."""
    return F.max_pool2d((mask > 1 / 255).to(mask)[None], 3, stride=1, padding=1)[0]


def cropped(plate: Plate) -> Plate:
    """A plate without the margins where it has no alpha, but for a pixel."""
    if plate.alpha is None:
        return plate
    rows, columns = ((plate.alpha[0] > 0).any(dim=axis).nonzero().flatten() for axis in (1, 0))
    top, bottom = max(int(rows[0]) - 1, 0), int(rows[-1]) + 2
    left, right = max(int(columns[0]) - 1, 0), int(columns[-1]) + 2
    part = (slice(None), slice(top, bottom), slice(left, right))
    corner = (plate.corner[0] + left, plate.corner[1] + top)
    return replace(plate, colour=plate.colour[part], given=plate.given[part], alpha=plate.alpha[part], corner=corner)
