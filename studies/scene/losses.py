"""What the network is asked for: the right class, whole shapes, what is there at all, and what lies behind what."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.places.network import PLACES, Seen

from .labels import IGNORED

WEIGHTS = (1.0, 1.0, 1.5, 1.0, 2.0)  # of none and PLACES: what is rare counts more
APART = math.log(1.25)  # distances that differ by less are in no order


@dataclass(frozen=True, slots=True)
class Batch:
    """pictures [B, 3, H, W], 0..1; masks [B, H, W]; points [B, n, 3], NaN where there is none; there [B, 5]."""

    pictures: Tensor
    masks: Tensor
    points: Tensor
    there: Tensor


def loss(seen: Seen, batch: Batch) -> Tensor:
    """One number, lower is better."""
    logits, masks = seen.places, halved(batch.masks).long()
    each = F.cross_entropy(logits, masks, logits.new_tensor(WEIGHTS), ignore_index=IGNORED)
    known = batch.there.isfinite()
    asked = F.binary_cross_entropy_with_logits(seen.there[known], batch.there[known])
    return each + 0.5 * overlap(logits, masks) + 0.2 * asked + 0.15 * order(seen.distance, batch.points)


def halved(masks: Tensor) -> Tensor:
    """Every other pixel, [B, H, W] -> [B, H/2, W/2]: from the first in one picture, from the second in the next."""
    return torch.stack([mask[i % 2 :: 2, i % 2 :: 2] for i, mask in enumerate(masks)])


def overlap(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - soft intersection over union of the classes that a picture holds. Logits [B, 5, H, W], masks [B, H, W]."""
    known = (masks != IGNORED)[:, None]
    share = logits.softmax(1) * known
    truth = F.one_hot(masks.clamp_max(len(PLACES)), 1 + len(PLACES)).permute(0, 3, 1, 2) * known
    both = (share * truth).sum((2, 3))
    union = share.sum((2, 3)) + truth.sum((2, 3)) - both
    there = truth.sum((2, 3)) > 0.002 * masks[0].numel()
    there[:, 0] = False
    return 1 - (both[there] / union[there]).mean() if there.any() else logits.sum() * 0


def order(distance: Tensor, points: Tensor) -> Tensor:
    """Of distances [B, 1, h, w] at points [B, n, 3]: pairs the wrong way round, and, less, how far they are apart."""
    known = points.isfinite().all(2)
    grid = (2 * points[..., :2] - 1).nan_to_num()[:, :, None]
    made = F.grid_sample(distance, grid, align_corners=False, padding_mode="border")[:, 0, :, 0]
    truth = points[..., 2].nan_to_num()
    apart, steps = truth[:, :, None] - truth[:, None], made[:, :, None] - made[:, None]
    asked = known[:, :, None] & known[:, None] & (apart > APART)
    if not asked.any():
        return distance.sum() * 0
    return F.softplus(-2 * steps[asked]).mean() + 0.2 * F.smooth_l1_loss(steps[asked], apart[asked])
