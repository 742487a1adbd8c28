"""What a model that fills says before it has learnt anything: the known stays, the rest is near the pyramid's colour.

With z_0 = guide + r, r normal of deviation d at each place, and z_t = alpha z_0 + s eps, the best estimate of
v = alpha eps - s z_0 is (alpha s (1 - d^2) / (alpha^2 d^2 + s^2)) (z_t - alpha guide) - s guide. The network adds what
it has learnt beyond that, so that little training is enough to be better than the guide.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

KNOWN, UNKNOWN = 0.02, 0.4  # d^2 where the picture is known, and what is added where it is not


def expected_v(x: Tensor, t: Tensor) -> Tensor:
    """x [B, 2C + 1, T, h, w] as `guide.beside` makes it; t [B], time of the cosine schedule -> v [B, C, T, h, w]."""
    channels = x.shape[1] // 2
    z_t, guide, known = x.float().split([channels, channels, 1], dim=1)
    angle = t.float().reshape(-1, *[1] * (x.ndim - 1)) * (math.pi / 2)
    alpha, s = torch.cos(angle), torch.sin(angle)
    variance = KNOWN + UNKNOWN * (1 - known)
    share = alpha * s * (1 - variance) / (alpha.square() * variance + s.square())
    return (share * (z_t - alpha * guide) - s * guide).to(x.dtype)
