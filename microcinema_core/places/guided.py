"""The guided filter (He, Sun and Tang, 2010), in colour: a coarse mask takes the edges of a fine picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def guided(picture: Tensor, small: Tensor, masks: Tensor, *, radius: int, epsilon: float) -> Tensor:
    """Masks [N, h, w] at the size of a picture [3, H, W], pixels 0..1 -> [N, H, W], 0..1.

    small [3, h, w]: the picture at the masks' size, where windows of 2 radius + 1 pixels say how each mask follows from
    colour; only that is enlarged. epsilon: the variance of colour below which a window counts as plain.
    """
    slope, offset = _following(small, masks, radius, epsilon)
    size = picture.shape[1:]
    made = torch.empty(len(masks), *size, dtype=picture.dtype, device=picture.device)
    for place in range(len(masks)):  # one at a time: coefficients are four pictures large
        enlarged = F.interpolate(
            torch.cat([slope[place], offset[place, None]])[None], size=size, mode="bilinear", align_corners=False
        )[0]
        made[place] = enlarged[:3].mul_(picture).sum(0).add_(enlarged[3]).clamp_(0, 1)
    return made


def _following(small: Tensor, masks: Tensor, radius: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """What makes masks from colours: slopes [N, 3, h, w] and offsets [N, h, w]."""
    count = len(masks)
    products = (masks[:, None] * small).flatten(0, 1)
    squares = torch.stack([small[i] * small[j] for i in range(3) for j in range(3)])
    means = mean_about(torch.cat([small, masks, products, squares]), radius)
    colour, mask, product, square = means.split([3, count, 3 * count, 9])
    spread = (square.unflatten(0, (3, 3)) - colour[:, None] * colour).permute(2, 3, 0, 1)  # [h, w, 3, 3]
    spread = spread + epsilon * torch.eye(3, dtype=small.dtype, device=small.device)
    together = product.unflatten(0, (count, 3)) - mask[:, None] * colour  # [N, 3, h, w]
    slope = torch.einsum("hwij,njhw->nihw", _inverse(spread), together)
    offset = mask - (slope * colour).sum(1)
    smooth = mean_about(torch.cat([slope.flatten(0, 1), offset]), radius)
    return smooth[: 3 * count].unflatten(0, (count, 3)), smooth[3 * count :]


def _inverse(matrices: Tensor) -> Tensor:
    """Of symmetric [..., 3, 3], by cofactors: a solver works through a picture's matrices one by one."""
    first, second, third = matrices.unbind(-1)
    rows = torch.stack([second.cross(third, dim=-1), third.cross(first, dim=-1), first.cross(second, dim=-1)], -2)
    return rows / (first * rows[..., 0, :]).sum(-1)[..., None, None]


def mean_about(x: Tensor, radius: int) -> Tensor:
    """Means over windows of 2 radius + 1 pixels, or what of them lies inside. [C, H, W] -> same."""
    for kernel, padding in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        x = F.avg_pool2d(x, kernel, 1, padding, count_include_pad=False)
    return x
