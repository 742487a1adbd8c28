"""The part of the picture's surface on which a layer acts, and coarse points where what is smooth is worked out.

Places are pixels of the picture; lengths of a layer are in heights of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..camera import Matrix
from ..depth import highest
from ..fill import fill
from ..layer import Layer
from ..plates import SURE
from ..resample import Box, Texture, scaled
from .composed import NOTHING

RIM = 1 / 400  # of the height: so near to its border, the picture often mixes a surface with what is beside it
COARSE = 1 / 60  # of the height: points of a field that is blurred


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The background without its regions.

    colour: [3, h, w], pixels 0..1. given: [1, h, w], 1 where the keyframe shows it.
    corner: its left and top in the picture, whose height is `height` pixels. largest: as a `Texture` has it.
    """

    colour: Tensor
    given: Tensor
    corner: tuple[int, int]
    height: int
    largest: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A part of a frame. places: [1, h, w, 2], x and y in the picture's pixels. level: of shrinking, as a texture's.

    place [3, 3]: from the frame's continuous pixels to the picture's, before anything moved. box: of the frame.
    """

    places: Tensor
    level: float
    place: Matrix
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Points at even distances, in pixels of the picture, from a corner on."""

    left: float
    top: float
    across: float  # from one to the next, to the right
    down: float  # and downwards
    columns: int
    rows: int

    @classmethod
    def over(cls, extent: Box, across: float, down: float) -> Lattice:
        """Covers an extent; steps in pixels."""
        left, top, right, bottom = extent
        columns, rows = (math.ceil(length) + 1 for length in ((right - left) / across, (bottom - top) / down))
        return cls(left, top, across, down, max(2, columns), max(2, rows))

    def points(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """x [1, columns] and y [rows, 1] in pixels of the picture."""
        x = torch.arange(self.columns, dtype=torch.float64) * self.across + self.left
        y = torch.arange(self.rows, dtype=torch.float64) * self.down + self.top
        return x[None].to(like), y[:, None].to(like)

    def read(self, field: Tensor, places: Tensor) -> Tensor:
        """A field [C, rows, columns] at places [1, h, w, 2] of the picture -> [C, h, w]; its border goes on."""
        scale = (2 / (self.across * (self.columns - 1)), 2 / (self.down * (self.rows - 1)))
        grid = scaled(places, scale, (-1 - self.left * scale[0], -1 - self.top * scale[1]))
        return F.grid_sample(field[None], grid, padding_mode="border", align_corners=True)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A layer's part of a ground. mask: [1, h, w], what of it there is. corner: of the mask, in the picture.

    bounds: in pixels of the picture, within it; they do not change with what a camera sees beyond its edges, nor with
    what lies before it. area: of the pixels of the picture that it holds, as little.
    """

    layer: Layer
    mask: Tensor
    corner: tuple[int, int]
    height: int  # of the picture
    bounds: Box
    area: float

    @classmethod
    def of(cls, layer: Layer, mask: Tensor, carried: Tensor, ground: Ground) -> Patch:
        """mask: [1, H, W] of the picture, somewhere above a half; carried: [1, h, w], as large as the ground."""
        left, top, right, bottom = _bounds(carried, NOTHING)
        left, top = max(left - 1, 0), max(top - 1, 0)
        corner = (ground.corner[0] + left, ground.corner[1] + top)
        part = carried[:, top : bottom + 1, left : right + 1]
        half = 0.5 * float(mask.max())
        return cls(layer, part, corner, ground.height, _bounds(mask, half), float((mask > half).sum()))

    @property
    def extent(self) -> Box:
        """In pixels of the picture."""
        left, top = self.corner
        return left, top, left + self.mask.shape[2], top + self.mask.shape[1]

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Its bounds: left, top, right and bottom in heights of the picture."""
        left, top, right, bottom = (side / self.height for side in self.bounds)
        return left, top, right, bottom

    def alpha(self, places: Tensor) -> Tensor:
        """How much of it there is at places [1, h, w, 2] of the picture: [1, h, w], exactly nothing beside it."""
        scale = (2 / self.mask.shape[2], 2 / self.mask.shape[1])
        grid = scaled(places, scale, (-1 - self.corner[0] * scale[0], -1 - self.corner[1] * scale[1]))
        seen = F.grid_sample(self.mask[None], grid, padding_mode="border", align_corners=False)[0]
        return seen.masked_fill_(seen < NOTHING, 0)

    def lattice(self, across: float, down: float) -> Lattice:
        """Over the patch; steps in heights of the picture."""
        return Lattice.over(self.extent, across * self.height, down * self.height)

    def surface(self, ground: Ground) -> Texture:
        """Its colour, carried on beyond its border: whatever is read beside the mask is still of its kind."""
        sure = (self.mask > min(SURE, 0.99 * float(self.mask.max()))).to(self.mask)
        inner = 1 - highest(1 - sure, max(1, round(RIM * self.height)))
        source = inner if bool(inner.any()) else sure
        return Texture(fill(self.cropped(ground.colour, ground), source).clamp(0, 1), 3, ground.largest)

    def cropped(self, pixels: Tensor, ground: Ground) -> Tensor:
        """The mask's part [C, h, w] of what is as large as the ground."""
        left, top = (self.corner[i] - ground.corner[i] for i in (0, 1))
        return pixels[:, top : top + self.mask.shape[1], left : left + self.mask.shape[2]]

    def broad(self, colour: Tensor) -> tuple[Lattice, Tensor]:
        """The mean colour [3, rows, columns] around each point of a coarse lattice. colour: as large as the mask."""
        lattice = self.lattice(COARSE, COARSE)
        size = (lattice.rows, lattice.columns)
        small = F.interpolate(colour[None], size, mode="bilinear", antialias=True)
        return lattice, _blurred(_blurred(small))[0]


def _bounds(mask: Tensor, least: float) -> Box:
    """The part of a mask [1, h, w] where it is more than that."""
    rows, columns = ((mask[0] > least).any(dim=axis).nonzero().flatten() for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _blurred(field: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(field, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
