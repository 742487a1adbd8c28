"""Readers of what changed between a camera's clip and the same with something on it, one for each kind of change.

They know nothing of how layers are drawn: light is read off pixels before and after, fog off contrast that is lost,
flakes and streaks off what is new in each frame, bright and smaller than a few pixels, wind and waves off optical flow
from the one clip to the other. Thresholds were set on drawn clips of pictures of `train`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from microcinema_core.worlds.pocket.effects import Effect

DARKEST = 1 / 64  # of linear light, below which logarithms would tell of noise
SMALL = 4  # pixels to a cell where light is read, so that what is small does not count
SPECK = 9  # pixels of what flakes and streaks are smaller than
NEAR = 15  # pixels about a place, whose contrast is made equal before motion is looked for
CELLS, FAINT = 7, 0.05  # cells about one, and stops of contrast that are none
STRONG = 0.06  # of a pixel, that a flake or streak adds at least


@dataclass(frozen=True, slots=True)
class Signs:
    """Numbers read of a clip. All are 0 where nothing changed.

    light: stops, median of the last third. flat: share of contrast that dark places lose there.
    warm, cold: stops of red over blue, or blue over red, gained by what was warm and by what was cold, the
    lesser of both. flicker: stops by which a frame differs from the mean of those beside it. specks: share of pixels
    with something small and new that is brighter, less that which is darker. streaks: how much sharper that is across
    than down. moves: how far places go to and fro, in thousandths of the frame's width, where it was asked.
    """

    light: float
    flat: float
    warm: float
    cold: float
    flicker: float
    specks: float
    streaks: float
    moves: float


def signs(before: Tensor, after: Tensor, where: Tensor) -> Signs:
    """before, after: clips [T, 3, H, W], pixels 0..1. where: [1, H, W], where motion is looked for."""
    stops, reds = _stops(before, after)
    late = slice(2 * len(stops) // 3, None)
    course = stops.flatten(1).median(dim=1).values.numpy()
    specks, streaks = _specks(before, after)
    ratio = _reds(before)[late]
    cool, hot = ratio <= ratio.median(), ratio > ratio.median()
    gained = [float(reds[late][part].median()) if bool(part.any()) else 0.0 for part in (cool, hot)]
    return Signs(
        light=float(stops[late].median()),
        flat=_flat(before[late], after[late]),
        warm=min(gained),
        cold=-max(gained),
        flicker=float(np.median(np.abs(np.diff(course, 2)))),
        specks=specks,
        streaks=streaks,
        moves=_moves(before, after, where),
    )


def seen(read: Signs) -> frozenset[Effect]:
    """What a clip shows. Ripples and wind look alike: places go to and fro, so both are seen where one is."""
    return frozenset(effect for effect, sees in SEES.items() if sees(read))


def _sways(read: Signs) -> bool:
    """Flakes and fog lead the flow astray, so that nothing is said of it where they are."""
    return read.moves > 0.35 and read.specks < 0.005 and read.flat < 0.5


SEES: Mapping[Effect, Callable[[Signs], bool]] = MappingProxyType(
    {
        Effect.SNOW: lambda read: read.specks > 0.005 and read.streaks < 1.6,
        Effect.RAIN: lambda read: read.specks > 0.005 and read.streaks >= 1.6,
        Effect.FOG: lambda read: read.flat > 0.5 and read.light > 0.15,
        Effect.RIPPLES: _sways,
        Effect.WIND: _sways,
        Effect.BRIGHTER: lambda read: read.light > 0.25 and read.flat <= 0.5,
        Effect.DARKER: lambda read: read.light < -0.25,
        Effect.WARM: lambda read: read.warm > 0.2 and read.flat <= 0.5,
        Effect.COLD: lambda read: read.cold > 0.2 and read.flat <= 0.5,
        Effect.FLICKER: lambda read: read.flicker > 0.05,
    }
)


def _light(clip: Tensor) -> Tensor:
    """Linear light of cells, [T, 3, h, w]."""
    return F.avg_pool2d(clip.clamp(0, 1) ** 2.2, SMALL).clamp(min=DARKEST)


def _flat(before: Tensor, after: Tensor) -> float:
    """The share of contrast that dark cells lose of those about them: a quarter of them lose more."""
    was, now = (_light(clip).mean(dim=1).log2() for clip in (before, after))
    lost = 1 - _spread(now) / (_spread(was) + FAINT)
    dark = lost[was <= was.median()]
    return float(dark.sort().values[int(0.75 * len(dark))])


def _spread(stops: Tensor) -> Tensor:
    """Deviation of the cells about each, [T, h, w]."""
    around = _blurred(stops, CELLS)
    return _blurred((stops - around).square(), CELLS).clamp(min=0).sqrt()


def _reds(clip: Tensor) -> Tensor:
    """Stops of red over blue, [T, h, w]."""
    light = _light(clip).log2()
    return light[:, 0] - light[:, 2]


def _stops(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """What each cell gained of light and of red over blue, stops, [T, h, w]."""
    gained = _light(after).mean(dim=1).log2() - _light(before).mean(dim=1).log2()
    return gained, _reds(after) - _reds(before)


def _specks(before: Tensor, after: Tensor) -> tuple[float, float]:
    """The share of pixels in which something small is brighter than before and was not in the last frame, less that
    in which it is darker; and how many times as steep what is small is across as down."""
    added = (after - before).mean(dim=1, keepdim=True)
    fine = added - F.avg_pool2d(added, SPECK, stride=1, padding=SPECK // 2, count_include_pad=False)
    new, gone = (((way * fine[1:] > STRONG) & (way * fine[:-1] < STRONG / 2)).float().mean() for way in (1, -1))
    across, down = (fine.diff(dim=axis).square().mean() for axis in (3, 2))
    return float(new - gone), float((across / down.clamp(min=1e-9)).sqrt())


def _moves(before: Tensor, after: Tensor, where: Tensor) -> float:
    """Deviation in time of optical flow from each frame to the same with something on it."""
    mask = where[0].numpy() > 0.5
    flows = []
    for one, other in zip(before, after, strict=True):
        grey = [_structure(p) for p in (one, other)]
        start = np.zeros((*grey[0].shape, 2), np.float32)
        flows.append(cv2.calcOpticalFlowFarneback(*grey, start, 0.5, 3, 15, 3, 5, 1.1, 0)[mask])
    spread = np.stack(flows).std(axis=0)
    return float(1000 * np.median(np.hypot(spread[:, 0], spread[:, 1])) / before.shape[-1])


def _structure(picture: Tensor) -> NDArray[np.uint8]:
    """[3, H, W] -> [H, W], what of it is neither light nor contrast, which fog and lamps change."""
    grey = picture.mean(dim=0)[None]
    around = _blurred(grey, NEAR)
    spread = _blurred((grey - around).square(), NEAR).sqrt()
    return (128 + 48 * (grey - around) / (spread + 0.02)).clamp(0, 255)[0].byte().numpy()


def _blurred(pixels: Tensor, size: int) -> Tensor:
    """Means of so many pixels each way, of [N, H, W]."""
    return F.avg_pool2d(pixels[:, None], size, stride=1, padding=size // 2, count_include_pad=False)[:, 0]
