"""The Appearance Noise Prior's noise (Sec. 3.3) and where random numbers come from.

Latents are model-space [B, C, T, H, W]. z_c is the keyframe's latent, [B, C, 1, H, W], or one latent per frame (TSR).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def prior_mean(z_c: Tensor | None, prior_lambda: float) -> Tensor | float:
    """lambda z_c, the mean of the training noise; 0 for a model trained without the prior, which needs no keyframe."""
    if prior_lambda == 0:
        return 0.0
    if z_c is None:
        raise ValueError("a model with prior_lambda > 0 needs the keyframe latent z_c")
    return prior_lambda * z_c


def biased_noise(eps_n: Tensor, z_c: Tensor | None, prior_lambda: float) -> Tensor:
    """eps = lambda z_c + eps_n: the training noise (Eq. 3)."""
    return prior_mean(z_c, prior_lambda) + eps_n


def start_noise(eps_n: Tensor, z_c: Tensor, gamma: float) -> Tensor:
    """eps_n + gamma z_c: unit noise from which sampling starts when the Denoiser adds lambda itself."""
    return eps_n + gamma * z_c


def noise_only_start(eps_n: Tensor, z_c: Tensor, prior_lambda: float, gamma: float) -> Tensor:
    """(lambda + gamma) z_c + eps_n: the paper's form, with a Denoiser whose prior_lambda is 0.

    Right for deterministic samplers alone: fresh noise drawn on the way would lack the mean lambda z_c.
    """
    return start_noise(eps_n, z_c, prior_lambda + gamma)


def draw_noise(seed: int, shape: Sequence[int], *stream: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Unit Gaussian noise on the CPU, a function of the arguments alone.

    `stream` separates draws under one seed (pass, segment, step, ...): batching cannot change what a segment gets.
    Drawn in float32 whatever `dtype`, so that precision does not change the clip.
    """
    state = np.random.SeedSequence([seed % 2**64, *stream]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
    return torch.randn(tuple(shape), generator=generator).to(dtype)
