"""How fast the places of a clip's frames go: optical flow from each frame to the next, by least squares in windows.

Lucas and Kanade's equations, coarse to fine; where a window shows nothing, or is lost, its surroundings answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 3  # each half as large as the one before
SMALLEST = 16  # pixels of the shorter side at the coarsest level
WINDOW = 3.5  # pixels: the deviation of what is solved together
EVEN = 8.0  # pixels: within them brightness and contrast are taken out
GRAIN = 0.7  # pixels: what is finer is the noise of a camera
NOISE = 0.05  # of a contrast: less is no texture
ROUNDS = 3  # at each level
STEADY = 0.02  # of a window's equations: what keeps an unseen direction still
FARTHEST = 2.0  # pixels that a round goes at most
LOST = 0.15  # of a window's mean square: where so much is left, half as much is believed
AT_ONCE = 500_000  # pixels of frames
TOGETHER = 2.0  # pixels: the deviation over which displacements are evened


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """moved: [T - 1, 2, h, w], right and down in pixels, from each frame to the next.

    sure: [1, h, w], 0..1, how much there is to see around a place, on the mean of all frames.
    """

    moved: Tensor
    sure: Tensor


def flow_of(frames: Tensor) -> Flow:
    """frames: [T, 1, h, w] of brightness."""
    levels = [blurred(_evened(frames), GRAIN)]
    while min(levels[-1].shape[-2:]) >= 2 * SMALLEST and len(levels) < LEVELS:
        levels.append(_halved(levels[-1]))
    parts = torch.arange(len(frames) - 1).split(max(1, AT_ONCE // frames[0].numel()))
    moved, sure = zip(*(_between(levels, int(part[0]), int(part[-1]) + 2) for part in parts), strict=True)
    return Flow(torch.cat(moved), torch.cat(sure).mean(0))


def _between(levels: list[Tensor], first: int, last: int) -> tuple[Tensor, Tensor]:
    """Of the frames from `first` to before `last`: [n - 1, 2, h, w], and how sure each is, [n - 1, 1, h, w]."""
    moved = levels[-1].new_zeros((last - first - 1, 2, *levels[-1].shape[-2:]))
    for level in reversed(levels):
        window = _Window.of(level[first : last - 1])
        moved = window.solved(level[first + 1 : last], moved)
    return moved, window.sure


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A level's frames [N, 1, h, w], their slopes, of each window the equations' own side, and how sure it is."""

    reference: Tensor
    slopes: tuple[Tensor, Tensor]
    sides: tuple[Tensor, Tensor, Tensor]
    sure: Tensor

    @classmethod
    def of(cls, reference: Tensor) -> _Window:
        right, down = _slopes(reference)
        xx, xy, yy = (blurred(part, WINDOW) for part in (right * right, right * down, down * down))
        seen = xx + yy
        steady = STEADY * seen.mean(dim=(1, 2, 3), keepdim=True) + 1e-6
        return cls(reference, (right, down), (xx + steady, xy, yy + steady), seen / (seen + 10 * steady))

    def solved(self, frames: Tensor, moved: Tensor) -> Tensor:
        """The next frames' displacements [N, 2, h, w] at this level, from those of another."""
        size = self.reference.shape[-2:]
        moved = _sized(moved, size)
        xx, xy, yy = self.sides
        whole = xx * yy - xy * xy
        for _ in range(ROUNDS):
            rest = self.reference - warped(frames, moved)
            parts = [rest * self.slopes[0], rest * self.slopes[1], rest * rest]
            x, y, lost = blurred(torch.cat(parts, dim=1), WINDOW).split(1, dim=1)
            step = torch.cat([(yy * x - xy * y) / whole, (xx * y - xy * x) / whole], dim=1)
            moved = moved + step.clamp(-FARTHEST, FARTHEST)
            trust = self.sure / (1 + lost / LOST)
            evened = blurred(torch.cat([moved * trust, trust], 1), TOGETHER)
            moved = evened[:, :2] / evened[:, 2:].clamp(min=1e-4)
        return moved


def _sized(moved: Tensor, size: torch.Size) -> Tensor:
    """Displacements [N, 2, h, w] in pixels, as those of another size of the frame."""
    if moved.shape[-2:] == size:
        return moved
    scale = torch.tensor([size[1] / moved.shape[-1], size[0] / moved.shape[-2]])[:, None, None]
    return F.interpolate(moved, size, mode="bilinear", antialias=True) * scale


def warped(frames: Tensor, moved: Tensor) -> Tensor:
    """Frames [T, C, h, w] read where each place has moved to: [T, 2, h, w], right and down in pixels."""
    height, width = frames.shape[-2:]
    x = (torch.arange(width, dtype=moved.dtype) + moved[:, 0] + 0.5) * (2 / width) - 1
    y = (torch.arange(height, dtype=moved.dtype)[:, None] + moved[:, 1] + 0.5) * (2 / height) - 1
    return F.grid_sample(frames, torch.stack([x, y], dim=-1), padding_mode="border", align_corners=False)


def blurred(field: Tensor, deviation: float) -> Tensor:
    """[N, C, h, w], by a Gaussian of so many pixels, the edges carried on."""
    reach = round(2.5 * deviation)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=field.dtype) / deviation).square())
    weights = (weights / weights.sum()).expand(field.shape[1], 1, 1, -1)
    wide = F.pad(field, (reach, reach, 0, 0), mode="replicate")
    wide = F.conv2d(wide, weights, groups=field.shape[1])
    wide = F.pad(wide, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(wide, weights.transpose(2, 3), groups=field.shape[1])


def _evened(frames: Tensor) -> Tensor:
    """[T, 1, h, w] without what light and shadow do to brightness and contrast."""
    small = min(EVEN, min(frames.shape[-2:]) / 6)
    plain = frames - _broad(frames, small)
    return plain / (_broad(plain.square(), small).sqrt() + NOISE)


def _broad(frames: Tensor, deviation: float) -> Tensor:
    """A wide blur, at a quarter of the size."""
    size = frames.shape[-2:]
    small = F.interpolate(frames, scale_factor=0.25, mode="bilinear", antialias=True)
    return F.interpolate(blurred(small, max(0.5, deviation / 4)), size, mode="bilinear")


def _halved(frames: Tensor) -> Tensor:
    return F.interpolate(frames, scale_factor=0.5, mode="bilinear", antialias=True)


def _slopes(frames: Tensor) -> tuple[Tensor, Tensor]:
    """To the right and downwards, per pixel."""
    wide = F.pad(frames, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
