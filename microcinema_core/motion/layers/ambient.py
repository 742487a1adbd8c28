"""The light around: a picture's own, blurred, by which what is drawn into it is lit."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 24  # of a blurred picture, on its longer side
WIDTH = 1.6  # cells: deviation of the blur
BRIGHT = 0.25  # of a picture: its brightest part is what lights it
PERCEIVED = (0.2126, 0.7152, 0.0722)


def luminance(light: Tensor) -> Tensor:
    """[3, H, W] linear light -> [1, H, W]."""
    red, green, blue = PERCEIVED
    return red * light[:1] + green * light[1:2] + blue * light[2:]


def blurred(light: Tensor) -> Tensor:
    """[3, H, W] -> [3, h, w], at most CELLS on a side: what is seen with the eyes half closed."""
    height, width = light.shape[1:]
    cell = max(width, height) / CELLS
    small = F.interpolate(light[None], (max(1, round(height / cell)), max(1, round(width / cell))), mode="area")[0]
    return softened(small, WIDTH)


def softened(small: Tensor, deviation: float) -> Tensor:
    """[C, h, w] after a Gaussian blur; its edge goes on beyond it."""
    reach = int(3 * deviation + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).to(small)[None, None]
    made = F.pad(small[None], (reach,) * 4, mode="replicate").transpose(0, 1)
    return F.conv2d(F.conv2d(made, weights[..., None]), weights[:, :, None])[:, 0]


def bright(light: Tensor) -> Tensor:
    """The light that falls on a picture [3, H, W], [3, 1, 1]: the mean of its brightest part, blurred."""
    small = blurred(light).flatten(1)
    shining = luminance(small[..., None])[0, :, 0]
    return small[:, shining.topk(max(1, round(BRIGHT * len(shining)))).indices].mean(dim=1)[:, None, None]


def spread_out(small: Tensor, width: int, height: int) -> Tensor:
    """[C, h, w] -> [C, height, width], smoothly."""
    return F.interpolate(small[None], (height, width), mode="bilinear", align_corners=False)[0]
