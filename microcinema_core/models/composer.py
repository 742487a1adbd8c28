"""The composer: what of a camera's own detail belongs into a frame that a model changed, and where it goes.

Where light or fog changed, detail is stronger or weaker; where wind or water moved something, its detail has moved too.
One network at the size that is wanted, on blocks of pixels, with one level more for what lies around.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backend import Backend
from ..config import ComposerConfig
from .zero_start import Adds, starts_at_zero

FARTHEST = 16.0  # pixels that detail moves at most
TINY = 0.02  # of a change, pixels 0..1: at it, half of what the network says counts
FAINT = 1e-4  # of a variance, pixels 0..1: of so much, half of what it says of a gain counts
STRONGEST = 2.5  # of a gain that is read off
UNSHOWN = 1e-3  # of the weight of what the keyframe shows, that what it does not show has


class Residual(nn.Module):
    """[B, C, h, w] -> same."""

    def __init__(self, channels: int, backend: Backend) -> None:
        super().__init__()
        self.first = backend.conv(channels, channels, 3)
        self.second = starts_at_zero(backend.conv(channels, channels, 3), Adds.DETAIL)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.silu(self.first(F.silu(x))))
        return out


class Composer(nn.Module):
    """out = made + (local + gain) * shift(known * (drawn - guide), flow) + rest; all but local are 0 at the start.

    local: by what detail grew from the guide to what was made of it, read off what lies around, without the network:
    1 where nothing changed, and then all of this is the plain form. Gain, flow and rest fade there, so that the frame
    is the camera's own.
    """

    def __init__(self, config: ComposerConfig, backend: Backend | None = None) -> None:
        super().__init__()
        backend = backend or Backend()
        self.config, self.block = config, config.block
        channels, deep, area = config.channels, config.deep, config.block**2
        self.read = backend.conv(10 * area + 4, channels, 3)  # three differences of three colours, known, and `_seen`
        self.near = Residual(channels, backend)
        self.down = backend.conv(channels, deep, 3, stride=2)
        self.around = nn.Sequential(*(Residual(deep, backend) for _ in range(2)))
        self.up = backend.conv(deep, channels, 3)
        self.mend = Residual(channels, backend)
        self.out = starts_at_zero(backend.conv(channels, 6 * area + 2, 3), Adds.DETAIL)

    @property
    def multiple(self) -> int:
        """What height and width are padded to."""
        return 2 * self.block

    @property
    def reach(self) -> int:
        """Pixels beyond which nothing bears on a pixel: a tile with so much around it is as the whole frame has it."""
        farthest = 18 * self.block + int(FARTHEST)
        return farthest + -farthest % self.multiple

    def forward(self, made: Tensor, guide: Tensor, drawn: Tensor, known: Tensor) -> Tensor:
        """Pixels 0..1, all at the size that is wanted: [B, 3, H, W] three times, known [B, 1, H, W] -> [B, 3, H, W].

        made: the model's latents decoded. guide: the camera's frames through the autoencoder. drawn: those frames.
        known: how much of each place the keyframe shows.
        """
        height, width = made.shape[-2:]
        made, guide, drawn, known = (_padded(x, self.multiple) for x in (made, guide, drawn, known))
        change = _around(made - guide, self.block)
        local = local_gain(made, guide, known, 2 * self.block)
        seen = torch.cat([change, F.interpolate(local - 1, scale_factor=2.0, mode="nearest")], 1)
        told = self._told(made, guide, drawn, known, seen)
        counts = change / (change + TINY)
        counts = torch.maximum(counts, 1 - F.avg_pool2d(known, self.block))
        pixels = F.pixel_shuffle(told[:, :-2], self.block) * _enlarged(counts, self.block)
        flow = FARTHEST * torch.tanh(told[:, -2:] / FARTHEST * 4) * counts
        detail = shifted(known * (drawn - guide), _enlarged(flow, self.block))
        gain = _enlarged(local, 2 * self.block) + pixels[:, :3]
        out = made + gain * detail + pixels[:, 3:] / 4
        return out[..., :height, :width]

    def _told(self, made: Tensor, guide: Tensor, drawn: Tensor, known: Tensor, seen: Tensor) -> Tensor:
        """Of each pixel of a block, gain and rest, and of each block, flow: [B, 6 * block**2 + 2, h, w]."""
        inputs = torch.cat([made - 0.5, 2 * (made - guide), 4 * (drawn - guide), known], 1)
        x = self.read(torch.cat([F.pixel_unshuffle(inputs, self.block), seen], 1))
        x = self.near(x)
        around = self.up(self.around(self.down(x)))
        x = self.mend(x + F.interpolate(around, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.out(F.silu(x))
        return out.float()


def shifted(pixels: Tensor, flow: Tensor) -> Tensor:
    """[B, C, H, W] read bilinearly from `flow` [B, 2, H, W] pixels to the right and down; the border goes on."""
    height, width = pixels.shape[-2:]
    x, y = (torch.arange(n, device=flow.device, dtype=flow.dtype) + 0.5 for n in (width, height))
    grid = torch.stack([(x + flow[:, 0]) * (2 / width) - 1, (y[:, None] + flow[:, 1]) * (2 / height) - 1], -1)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def local_gain(made: Tensor, guide: Tensor, known: Tensor, block: int) -> Tensor:
    """By what detail grew, or faded, from the guide to what was made of it: [B, 3, H / block, W / block].

    The slope of the straight line from the one's pixels [B, 3, H, W] to the other's, over five by five blocks; what
    the keyframe does not show, known [B, 1, H, W] says, hardly counts: what fills it has detail of its own.
    """
    weight = known + UNSHOWN
    every = _wide(weight, block)
    of_made, of_guide, together, alone = (
        _wide(weight * pixels, block) / every for pixels in (made, guide, made * guide, guide.square())
    )
    together, alone = together - of_made * of_guide, (alone - of_guide.square()).clamp(min=0)
    return ((together + FAINT) / (alone + FAINT)).clamp(0, STRONGEST)


def _around(difference: Tensor, block: int) -> Tensor:
    """How large a difference [B, 3, H, W] is in each block and those beside it: [B, 1, H / block, W / block]."""
    square = F.avg_pool2d(difference.square().mean(1, keepdim=True), block)
    return F.avg_pool2d(square, 3, 1, 1, count_include_pad=False).sqrt()


def _wide(pixels: Tensor, block: int) -> Tensor:
    """Means over five by five blocks, [B, C, H, W] -> [B, C, H / block, W / block]."""
    return F.avg_pool2d(F.avg_pool2d(pixels, block), 5, 1, 2, count_include_pad=False)


def _enlarged(blocks: Tensor, block: int) -> Tensor:
    return F.interpolate(blocks, scale_factor=float(block), mode="bilinear", align_corners=False)


def _padded(pixels: Tensor, multiple: int) -> Tensor:
    """Right and below, by its border, to a multiple."""
    height, width = pixels.shape[-2:]
    right, below = -width % multiple, -height % multiple
    return F.pad(pixels, (0, right, 0, below), mode="replicate") if right or below else pixels
