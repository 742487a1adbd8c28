"""What is not known of a picture, filled from what is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def fill(picture: Tensor, known: Tensor) -> Tensor:
    """[C, H, W], [1, H, W] -> [C, H, W], what is known unchanged."""
    if max(picture.shape[-2:]) == 1:
        return picture
    size = picture.shape[-2:]
    small = F.avg_pool2d(torch.cat([picture * known, known])[None], 2, ceil_mode=True, count_include_pad=False)[0]
    weight = small[-1:]
    coarse = fill(small[:-1] / weight.clamp(min=1e-6), (weight > 0).to(weight))
    up = F.interpolate(coarse[None], size, mode="bilinear", align_corners=False)[0]
    return torch.where(known == 1, picture, known * picture + (1 - known) * up)
