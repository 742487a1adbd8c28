"""The network that finds places: a small encoder and decoder over a picture of about 352 by 256 pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..motion.layer import Place

PLACES = (Place.SKY, Place.WATER, Place.PLANTS, Place.PEOPLE)  # the classes after the first, which is none of them
WIDTHS = (24, 48, 80, 128, 160)  # channels at 1/2, 1/4 ... 1/32 of the picture
LATERAL = (24, 40, 64, 96)  # of the decoder, at 1/2 ... 1/16
STEP = 32  # a picture's sides are multiples of it

Convolution = Callable[..., nn.Module]  # (inputs, outputs, kernel, stride) -> [B, inputs, H, W] to [B, outputs, h, w]


class Seen(NamedTuple):
    """What the network says of pictures [B, 3, H, W]."""

    places: Tensor  # [B, 5, H/2, W/2], logits of none and PLACES, exclusive
    distance: Tensor  # [B, 1, H/2, W/2], natural logarithms, up to an offset and roughly to scale
    there: Tensor  # [B, 5], logits: each of PLACES is somewhere in it; it is a landscape with a ground


def plain(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """A convolution with its bias, as the stored file has them."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


class Residual(nn.Module):
    """[B, C, H, W] -> same."""

    def __init__(self, channels: int, convolution: Convolution) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(x + self.second(F.hardswish(self.first(x))))


class Bottleneck(nn.Module):
    """[B, C, H, W] -> same, by half as many channels."""

    def __init__(self, channels: int, convolution: Convolution) -> None:
        super().__init__()
        self.narrow = convolution(channels, channels // 2, 1)
        self.look = convolution(channels // 2, channels // 2)
        self.widen = convolution(channels // 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.hardswish(self.look(F.hardswish(self.narrow(x))))
        return F.hardswish(x + self.widen(y))


class Network(nn.Module):
    """Pictures [B, 3, H, W], pixels 0..1, sides multiples of STEP -> Seen."""

    def __init__(self, convolution: Convolution = plain) -> None:
        super().__init__()
        c, d = WIDTHS, LATERAL
        self.down = nn.ModuleList(
            [convolution(4 if level == 0 else c[level - 1], c[level], 3, 2) for level in range(4)]
            + [convolution(c[3], c[4], 1)]  # of the mean of four: a wider kernel would be a fifth of all
        )
        self.blocks = nn.ModuleList(
            [
                nn.Identity(),
                Residual(c[1], convolution),
                Residual(c[2], convolution),
                nn.Sequential(*(Bottleneck(c[3], convolution) for _ in range(4))),
                nn.Sequential(*(Bottleneck(c[4], convolution) for _ in range(2))),
            ]
        )
        self.context = nn.Linear(c[4], c[4])
        self.there = nn.Linear(c[4], len(PLACES) + 1)
        self.lateral = nn.ModuleList(convolution(c[level], d[level], 1) for level in range(4))
        self.up = nn.ModuleList(
            [convolution(d[1], d[0]), convolution(d[2], d[1]), convolution(d[3], d[2], 1), convolution(c[4], d[3], 1)]
        )
        self.mend = nn.ModuleList(
            [
                convolution(d[0], d[0]),
                convolution(d[1], d[1]),
                Residual(d[2], convolution),
                nn.Sequential(Bottleneck(d[3], convolution), Bottleneck(d[3], convolution)),
            ]
        )
        self.out = nn.Conv2d(d[0], 1 + len(PLACES) + 1, 1)
        self.calibration: Tensor
        self.register_buffer(
            "calibration", torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(PLACES), 1)
        )  # find.how_sure's

    def forward(self, pictures: Tensor) -> Seen:
        x, kept = _with_height(pictures), []
        for level, (down, block) in enumerate(zip(self.down, self.blocks, strict=True)):
            x = F.hardswish(down(F.avg_pool2d(x, 2) if level == 4 else x))
            x = block(x)
            kept.append(x)
        whole = x.mean((2, 3))
        x = x + self.context(whole)[:, :, None, None]  # the whole picture, known everywhere
        for level in (3, 2, 1, 0):
            side = self.lateral[level](kept[level])
            x = F.interpolate(self.up[level](x), size=side.shape[2:], mode="bilinear", align_corners=False)
            x = self.mend[level](F.hardswish(x + side))
        out = self.out(F.hardswish(x)).float()
        return Seen(out[:, :-1], out[:, -1:], self.there(whole).float())


def _with_height(pictures: Tensor) -> Tensor:
    """Pixels about nought, and a fourth channel that says how high in the picture one is: [B, 4, H, W]."""
    batch, _, height, width = pictures.shape
    rows = torch.linspace(-1, 1, height, device=pictures.device, dtype=pictures.dtype)
    return torch.cat([(pictures - 0.45) / 0.25, rows[None, None, :, None].expand(batch, 1, height, width)], 1)
