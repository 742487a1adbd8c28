"""What a mask holds, moved as clips showed it: the waves of a taught motion, at phases that the seed gives."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..layer import Layer
from ..moments import Moment
from ..taught import Taught
from .clock import Clock
from .course import heading
from .patch import Lattice, Patch
from .swaying import at_points, inner

STEP, FINE = 1 / 240, 1 / 64  # of the lattice: in heights, but no more than that of the region's size
LEAST = 2  # pixels
RIM = 1.6  # times as far as it goes, from the border of the mask to where it is free: what gave way less would fold
NARROWEST, WIDEST = 0.005, 0.3  # of the rim: in heights; of the region's size
MOST = 1.6  # by which what the border keeps still is made up for elsewhere
SIDEWAYS = 0.3  # of a direction's length, from which on it says where to


class Footage:
    """A mask's part of the picture, moved about where it is given; the mask's border stays."""

    def __init__(self, patch: Patch) -> None:
        """patch: its layer has a taught motion."""
        assert patch.layer.taught is not None
        self.layer, self.patch, taught = patch.layer, patch, patch.layer.taught
        left, top, right, bottom = patch.bounds
        across = math.sqrt(patch.area)  # the region's size, in pixels
        step = max(LEAST, min(STEP * patch.height, FINE * across))
        self.lattice = Lattice.over(patch.extent, step, step)
        places = self.lattice.points(torch.zeros((), dtype=torch.float64))
        x, y = places[0][0] - left, places[1][:, 0] - top
        self.rates, fields = _fields(taught, self.layer, x / across, y / across)
        strength = _strengths(taught, self.layer, 2 * x / (right - left) - 1, 2 * y / (bottom - top) - 1)
        size = taught.size * across
        farthest = float((fields.square().sum(dim=(1, 2)).sqrt().sum(dim=0) * strength[0]).max()) * size
        fields, strength, gain, free = fields.to(patch.mask), strength.to(patch.mask), 1.0, strength
        for _ in range(2):  # what the border keeps still moves the rest farther, and that needs a wider border
            rim = min(max(RIM * gain * farthest * self.layer.amount, NARROWEST * patch.height), WIDEST * across)
            free = strength * inner(patch, self.lattice, rim / patch.height)
            gain = _gain(fields, free, patch, self.lattice)
        self.fields = fields * free * (size * gain)

    @property
    def reach(self) -> float:
        """Heights that it moves anything at most."""
        most = self.fields.square().sum(dim=(1, 2)).sqrt().sum(dim=0).max()
        return self.layer.amount * float(most) / self.patch.height

    def displaced(self, moment: Moment) -> Tensor:
        """[2, rows, columns]: where each point's colour is read, right and down in pixels of the picture."""
        clock = Clock.of(self.layer, moment)
        angles = [2 * math.pi * clock.turns(rate) for rate in self.rates]
        # The real part of a field times its turn.
        turns = torch.tensor([part for angle in angles for part in (math.cos(angle), -math.sin(angle))])
        moved = torch.tensordot(turns.to(self.fields), self.fields.flatten(0, 1), dims=1)
        return moved * -self.layer.strength(moment.u)


def _fields(taught: Taught, layer: Layer, x: Tensor, y: Tensor) -> tuple[tuple[float, ...], Tensor]:
    """Rates, and of each what its waves are together: [rates, 2, 2, rows, columns], real and imaginary, right and down.

    x [columns], y [rows]: float64, in sizes of the region. Of mean square 1 altogether, where all is at full strength.
    """
    random = np.random.default_rng([layer.seed, 7]).uniform(0, 2 * math.pi, len(taught.waves))
    rates = tuple(sorted({wave[0] for wave in taught.waves}))
    scale = math.sqrt(2 / sum(wave[3] ** 2 + wave[4] ** 2 for wave in taught.waves))
    flip_x, flip_y = (-1.0 if turned else 1.0 for turned in _turned(layer, taught))
    fields = torch.zeros((len(rates), 2, len(y), len(x)), dtype=torch.complex128)
    for number, rate in enumerate(rates):
        chosen = [(wave, start) for wave, start in zip(taught.waves, random, strict=True) if wave[0] == rate]
        waves = torch.tensor([wave for wave, _ in chosen], dtype=torch.float64)
        starts = torch.tensor([start for _, start in chosen], dtype=torch.float64)
        along = 2 * math.pi / layer.size * waves[:, 1:3] * torch.tensor([flip_x, flip_y], dtype=torch.float64)
        columns = torch.polar(torch.ones_like(along[:, :1]), starts[:, None] - along[:, :1] * x)
        rows = torch.polar(torch.ones_like(along[:, 1:]), -along[:, 1:] * y)
        below = torch.polar(waves[:, 4].abs(), waves[:, 5] + math.pi * (waves[:, 4] < 0))
        for axis, amplitude in enumerate((flip_x * waves[:, 3].to(rows), flip_y * below)):
            fields[number, axis] = scale * (rows * amplitude[:, None]).T @ columns
    return rates, torch.view_as_real(fields).permute(0, 4, 1, 2, 3)


def _strengths(taught: Taught, layer: Layer, x: Tensor, y: Tensor) -> Tensor:
    """How strong it is over the region, [1, rows, columns]; x [columns], y [rows]: -1..1 from side to side."""
    given = torch.tensor(taught.strengths, dtype=torch.float64)
    given = given.flip([axis for axis, turned in zip((1, 0), _turned(layer, taught), strict=True) if turned])
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    full = (given / given.square().mean().sqrt())[None, None]
    return F.grid_sample(full, grid, mode="bicubic", padding_mode="border", align_corners=False)[0].clamp(min=0)


def _gain(fields: Tensor, free: Tensor, patch: Patch, lattice: Lattice) -> float:
    """What makes the region move as far as clips did, whatever its border and this seed's phases take away."""
    there = at_points((patch.mask > 0.5 * patch.mask.max()).to(patch.mask), lattice)[0]
    energy = fields.square().sum(dim=(0, 1, 2)) / 2 * free[0].square()
    mean = float((energy * there).sum() / there.sum().clamp(min=1e-6))
    return min(MOST, 1 / math.sqrt(max(mean, 1e-12)))


def _turned(layer: Layer, taught: Taught) -> tuple[bool, bool]:
    """Whether it is mirrored from left to right and from top to bottom, so that its waves go where the layer says."""
    if layer.direction is None:
        return False, False
    (right, down), (across, along) = heading(layer), taught.travel
    length = math.hypot(across, along)
    sideways = abs(right) > SIDEWAYS and (right < 0) != (across < -SIDEWAYS * length)
    upright = abs(down) > SIDEWAYS and abs(along) > SIDEWAYS * length and (down < 0) != (along < 0)
    return sideways, upright
