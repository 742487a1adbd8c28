"""The Appearance Noise Prior's noise (Sec. 3.3) and where random numbers come from.

Latents are model-space [B, C, T, h, w]. z_c is what the guide says of each frame: the keyframe's latent for all of
them, or one latent per frame (TSR). Where a part of the guide is unknown, both coefficients multiply `known`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..config import DiffusionConfig
from ..models.guide import Guide
from .streams import generator_of

NO_SIGNAL = 1e-5  # abar at the start of a zero-terminal-SNR schedule is below it; Stable Diffusion's is 5e-3


def prior_mean(guide: Guide | None, coefficient: float) -> Tensor | float:
    """coefficient * known * z_c, [B, C, T or 1, h, w]; 0 without a coefficient, as without the prior.

    With lambda it is the mean of the training noise, with gamma what the start noise holds besides.
    """
    if coefficient == 0:
        return 0.0
    if guide is None:
        raise ValueError("a model with prior_lambda > 0 needs a guide, which says what z_c is")
    mean = coefficient * guide.latents
    return mean if guide.known is None else mean * guide.known


def biased_noise(eps_n: Tensor, guide: Guide | None, prior_lambda: float) -> Tensor:
    """eps = lambda z_c + eps_n [B, C, T, h, w]: the training noise (Eq. 3)."""
    return prior_mean(guide, prior_lambda) + eps_n


def start_noise(eps_n: Tensor, guide: Guide | None, gamma: float) -> Tensor:
    """eps_n + gamma z_c [B, C, T, h, w]: noise from which sampling starts when the Denoiser adds lambda itself."""
    return eps_n + prior_mean(guide, gamma)


def gamma_for(asked: float | None, stored: DiffusionConfig, signal: float) -> float:
    """The gamma of a sampling run: what was asked for, else the file's own.

    signal: abar where sampling starts. A schedule without any (zero terminal SNR) leaves nothing to repair: 0 there.
    """
    if asked is not None:
        return asked
    return 0.0 if signal < NO_SIGNAL else stored.prior_gamma


def noise_only_start(eps_n: Tensor, guide: Guide, prior_lambda: float, gamma: float) -> Tensor:
    """(lambda + gamma) z_c + eps_n [B, C, T, h, w]: the paper's form, with a Denoiser whose prior_lambda is 0.

    Right for deterministic samplers alone: fresh noise drawn on the way would lack the mean lambda z_c.
    """
    return start_noise(eps_n, guide, prior_lambda + gamma)


def draw_noise(seed: int, shape: Sequence[int], *stream: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Unit Gaussian noise of a shape, for example [C, T, h, w], on the CPU: a function of the arguments alone.

    `stream` separates draws under one seed (pass, segment, step, ...): batching cannot change what a segment gets.
    Drawn in float32 whatever `dtype`, so that precision does not change the clip.
    """
    return torch.randn(tuple(shape), generator=generator_of(seed % 2**64, *stream)).to(dtype)
