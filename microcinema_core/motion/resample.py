"""A picture seen through a homography: one resample from its own pixels.

A texture is enlarged once by a windowed sinc (Lanczos, sixteen taps), and each frame reads that bilinearly. What lies
between the pixels is then right to the picture's own finest detail, which `grid_sample`'s bicubic (a = -0.75) is not: a
slow pan would jitter. Where a frame shrinks the picture, it reads from copies that were shrunk with an antialiasing
filter, a quarter of an octave apart, and blends the two nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.float64]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two beyond the end

TAPS = 16
SHRINKING = 3  # zeros of the antialiasing sinc on each side
FINE = 3  # samples to a pixel of an enlarged copy: with two of them, a slow pan is seen to jitter
OCTAVE = 4  # copies of a texture in an octave of shrinking
HELD = 3  # copies that are kept
MAX_ENLARGED = 24_000_000  # pixels of an enlarged copy
SAME = 1e-6  # pixels
BEHIND = 1e-6
FAR = 1e6  # pixels; the place of what lies behind the camera


@dataclass(slots=True, eq=False)
class Texture:
    """Pixels [C, h, w] that frames are resampled from: `smooth` channels (colour), then plain ones (masks).

    largest: the most output pixels that a frame makes of one pixel, which decides how finely it is enlarged.
    """

    pixels: Tensor
    smooth: int
    largest: float = 1.0
    copies: dict[int, Tensor] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[2], self.pixels.shape[1]

    def sample(self, matrix: Matrix, box: Box) -> Tensor:
        """The channels [C, bottom - top, right - left] of a part of a frame.

        matrix [3, 3]: from the frame's continuous pixel coordinates (a pixel's centre is at .5) to the texture's.
        """
        copied = self._copied(matrix, box)
        if copied is not None:
            return copied
        return self._blended(level_of(matrix, box), lambda level: self._read(level, matrix, box))

    def at(self, places: Tensor, level: float, corner: tuple[int, int], *, mirrored: bool = False) -> Tensor:
        """The channels [C, h, w] at places [1, h, w, 2], x and y in pixels from which the texture's corner is away.

        level: of shrinking, as `level_of` tells it. mirrored: beyond the border; else the border goes on.
        """
        return self._blended(level, lambda level: self._place(level, places, corner, mirrored))

    def _blended(self, level: float, read: Callable[[int], Tensor]) -> Tensor:
        lower = math.floor(level)
        below = read(lower)
        return below if level - lower < 1e-3 else below.lerp_(read(lower + 1), level - lower)

    def _place(self, level: int, places: Tensor, corner: tuple[int, int], mirrored: bool) -> Tensor:
        fine = self._copy(level)
        (ax, _, bx), (_, ay, by), _ = self._to_grid(level, fine.shape[2], fine.shape[1]).tolist()
        grid = scaled(places, (ax, ay), (bx - ax * corner[0], by - ay * corner[1]))
        mode = "reflection" if mirrored else "border"
        return F.grid_sample(fine[None], grid, padding_mode=mode, align_corners=False)[0]

    def _copied(self, matrix: Matrix, box: Box) -> Tensor | None:
        """The pixels themselves, where the frame shows them unmoved or moved by whole pixels."""
        shift = np.rint(matrix[:2, 2])
        target = np.eye(3)
        target[:2, 2] = shift
        if np.abs(matrix - target).max() > SAME:
            return None
        (dx, dy), (left, top, right, bottom) = (int(v) for v in shift), box
        width, height = self.size
        if left + dx < 0 or top + dy < 0 or right + dx > width or bottom + dy > height:
            return None
        return self.pixels[:, top + dy : bottom + dy, left + dx : right + dx].clone()

    def _read(self, level: int, matrix: Matrix, box: Box) -> Tensor:
        fine = self._copy(level)
        height, width = fine.shape[1:]
        return F.grid_sample(
            fine[None],
            grid_of(self._to_grid(level, width, height) @ matrix, box, fine),
            padding_mode="border",
            align_corners=False,
        )[0]

    def _to_grid(self, level: int, width: int, height: int) -> Matrix:
        """From the texture's coordinates to grid_sample's on a copy of so many pixels."""
        small, factor = self._small_size(level), self._factor(level)
        scale = [small[i] / self.size[i] for i in (0, 1)]
        # A copy's sample k lies at (k / factor + .5) pixels of the shrunk texture.
        ax, ay = (2 * factor * s / n for s, n in zip(scale, (width, height), strict=True))
        bx, by = ((1 - factor) / n - 1 for n in (width, height))
        return np.array([[ax, 0, bx], [0, ay, by], [0, 0, 1]])

    def _small_size(self, level: int) -> tuple[int, int]:
        width, height = (max(1, round(side * 2 ** (-level / OCTAVE))) for side in self.size)
        return width, height

    def _factor(self, level: int) -> int:
        width, height = self._small_size(level)
        wanted = FINE if level else min(FINE + 1, max(FINE, round(2 * self.largest)))
        while wanted > 1 and wanted * wanted * width * height > MAX_ENLARGED:
            wanted -= 1
        return wanted

    def _copy(self, level: int) -> Tensor:
        """The texture at a level of shrinking, enlarged; the last few that were asked for are kept."""
        if level not in self.copies:
            while len(self.copies) >= HELD:
                del self.copies[next(iter(self.copies))]
            width, height = self._small_size(level)
            small = self.pixels
            if level:
                small = shrunk(small, width, height, self.smooth)
            self.copies[level] = enlarged(small, self._factor(level), self.smooth)
        else:
            self.copies[level] = self.copies.pop(level)
        return self.copies[level]


def level_of(matrix: Matrix, box: Box) -> float:
    """How far a texture is shrunk where a box of a frame shows it, in quarters of an octave, never below 0."""
    return max(0.0, OCTAVE * math.log2(shrinking(matrix, box)))


def shown(matrix: Matrix, extent: Box, within: Box) -> Box | None:
    """The part of a box of the frame in which a part of a texture is seen; None: nowhere."""
    left, top, right, bottom = extent
    if left == right:
        return None
    corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1.0]]).T
    x, y, w = np.linalg.inv(matrix) @ corners
    if (w < BEHIND).any():
        return within
    x, y = x / w, y / w
    left, top = max(within[0], int(np.floor(x.min())) - 1), max(within[1], int(np.floor(y.min())) - 1)
    right, bottom = min(within[2], int(np.ceil(x.max())) + 1), min(within[3], int(np.ceil(y.max())) + 1)
    return (left, top, right, bottom) if left < right and top < bottom else None


def shrinking(matrix: Matrix, box: Box) -> float:
    """How many pixels of the texture one of the frame's spans, in the middle of a box of it."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    (u, v, w) = matrix @ (x, y, 1.0)
    if w < BEHIND:
        return 1.0
    du, dv = (matrix[:2, :2] - np.outer((u / w, v / w), matrix[2, :2])) / w
    return max(math.sqrt(abs(du[0] * dv[1] - du[1] * dv[0])), 1e-6)


def shrunk(pixels: Tensor, width: int, height: int, smooth: int) -> Tensor:
    """[C, h, w] -> [C, height, width], antialiased; the first `smooth` by a windowed sinc, others without ringing."""
    colour = _fewer(_fewer(pixels[:smooth], height).mT, width).mT
    if smooth == len(pixels):
        return colour
    plain = F.interpolate(pixels[None, smooth:], (height, width), mode="bilinear", antialias=True)[0]
    return torch.cat([colour, plain])


def enlarged(pixels: Tensor, factor: int, smooth: int) -> Tensor:
    """[C, h, w] -> [C, factor * (h - 1) + 1, factor * (w - 1) + 1]; every factor-th sample is one of the pixels.

    smooth: how many of the channels are enlarged by a windowed sinc; the others, linearly, so that nothing rings.
    """
    if factor == 1:
        return pixels
    colour, plain = pixels[:smooth], pixels[smooth:]
    parts = [_finer(_finer(colour, factor, 2), factor, 1)] if smooth else []
    if plain.shape[0]:
        size = [factor * (side - 1) + 1 for side in pixels.shape[1:]]
        parts.append(F.interpolate(plain[None], size, mode="bilinear", align_corners=True)[0])
    return torch.cat(parts).contiguous()


def _finer(pixels: Tensor, factor: int, dim: int) -> Tensor:
    """[C, h, w] with `factor` * (length - 1) + 1 samples along a dimension."""
    length, kernels = pixels.shape[dim], _lanczos(factor).tolist()
    around = (TAPS // 2 - 1, TAPS // 2)
    padded = F.pad(pixels, (*around, 0, 0) if dim == 2 else (0, 0, *around), mode="replicate")
    between = pixels.new_empty((*pixels.shape[: dim + 1], factor, *pixels.shape[dim + 1 :]))
    between.select(dim + 1, 0).copy_(pixels)
    for phase in range(1, factor):
        total = padded.narrow(dim, 0, length) * kernels[phase][0]
        for tap in range(1, TAPS):
            total.add_(padded.narrow(dim, tap, length), alpha=kernels[phase][tap])
        between.select(dim + 1, phase).copy_(total)
    return between.flatten(dim, dim + 1).narrow(dim, 0, factor * (length - 1) + 1)


def _lanczos(factor: int) -> Tensor:
    """Kernels [factor, TAPS] for the samples between two pixels, each of sum 1."""
    place = torch.arange(factor, dtype=torch.float64)[:, None] / factor
    x = torch.arange(TAPS, dtype=torch.float64)[None] - (TAPS // 2 - 1) - place
    return _straight(x, TAPS // 2)


def _straight(x: Tensor, zeros: int) -> Tensor:
    """Weights [N, taps] of samples at distances x, by a windowed sinc: of sum 1, and straight lines stay straight."""
    weights = torch.sinc(x) * torch.sinc(x / zeros) * (x.abs() < zeros)
    weights = weights / weights.sum(dim=1, keepdim=True)
    bell = weights.abs()
    total, first, second = (bell.sum(1, True), (bell * x).sum(1, True), (bell * x * x).sum(1, True))
    off = (weights * x).sum(dim=1, keepdim=True)
    return weights - off * bell * (x - first / total) / (second - first * first / total).clamp(min=1e-12)


def _fewer(pixels: Tensor, count: int) -> Tensor:
    """[C, h, w] -> [C, count, w], by a windowed sinc as wide as antialiasing needs; straight lines stay straight."""
    height = pixels.shape[1]
    wide = height / count
    taps = 2 * math.ceil(SHRINKING * wide) + 1
    centre = (torch.arange(count, dtype=torch.float64) + 0.5) * wide - 0.5
    place = centre.round()[:, None] + torch.arange(taps) - taps // 2
    weights = _straight((place - centre[:, None]) / wide, SHRINKING)
    rows = place.long().clamp(0, height - 1).to(pixels.device)
    weights = weights.to(pixels)
    made = torch.zeros_like(pixels[:, :1]).expand(-1, count, -1).clone()
    for tap in range(taps):
        made.addcmul_(pixels[:, rows[:, tap]], weights[:, tap, None])
    return made


def grid_of(matrix: Matrix, box: Box, like: Tensor) -> Tensor:
    """Where a matrix takes the pixels of a box of a frame: [1, bottom - top, right - left, 2], x and y.

    matrix [3, 3]: from the frame's continuous pixel coordinates. What lies behind the camera is far away.
    """
    left, top, right, bottom = box
    x = torch.arange(left, right, device=like.device, dtype=like.dtype) + 0.5
    y = torch.arange(top, bottom, device=like.device, dtype=like.dtype)[:, None] + 0.5
    grid = torch.empty((1, bottom - top, right - left, 2), device=like.device, dtype=like.dtype)
    flat = not (matrix[2, 0] or matrix[2, 1])
    scale = float(matrix[2, 2]) if flat else 1.0
    for axis, (a, b, c) in enumerate(matrix[:2] / scale):
        torch.add(float(a) * x + float(c), float(b) * y, out=grid[0, ..., axis])
    if flat:
        return grid
    depth = torch.add(float(matrix[2, 0]) * x + float(matrix[2, 2]), float(matrix[2, 1]) * y)[None, ..., None]
    return grid.div_(depth.clamp(min=BEHIND)).masked_fill_(depth < BEHIND, -FAR)


def scaled(places: Tensor, scale: tuple[float, float], shift: tuple[float, float]) -> Tensor:
    """Places [1, h, w, 2] times scale plus shift, x and y apart: the same."""
    made = torch.empty_like(places)
    for axis in (0, 1):  # on both at once, vectors would be two numbers long
        torch.mul(places[..., axis], scale[axis], out=made[..., axis])
        made[..., axis] += shift[axis]
    return made


def shifted(places: Tensor, by: Sequence[Tensor] | Tensor, share: float = 1.0) -> Tensor:
    """Places [1, h, w, 2] moved by a share of what is right and what is down, [h, w] or [1, h, w] each: the same."""
    made = torch.empty_like(places)
    for axis in (0, 1):
        torch.add(places[..., axis], by[axis], alpha=share, out=made[..., axis])
    return made
