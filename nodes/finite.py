"""Latents that stop being numbers: said at the step where it happens, not shown as a black clip at the end."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..microcinema_core.diffusion.samplers import is_finite
from ..microcinema_core.errors import InputError

REMEDY = (
    "lower cfg, try another sampler or scheduler, leave out LoRAs and other patches, or start ComfyUI with "
    "--force-fp32; if all that does not help, the model's file is damaged: get it anew"
)


def check_estimate(estimate: Tensor, x: Tensor, sigma: Tensor, options: dict[str, Any]) -> None:
    """Raises InputError for an estimate [N, C, h, w] with NaN or infinity, of noisy x in that shape.

    sigma: [N] of one number. options: the host's, with the noise levels of the run.
    """
    if is_finite(estimate):
        return
    level, sigmas = float(sigma[0]), options.get("sample_sigmas")
    if not is_finite(sigma):
        raise InputError(f"MicroCinema: the scheduler gave {level} as a noise level; take another, or more steps")
    raise InputError(f"MicroCinema: the latents became NaN or infinite {_when(level, sigmas, is_finite(x))}; {REMEDY}")


def check_result(latents: Tensor) -> None:
    """Raises InputError for sampled latents [N, C, h, w] with NaN or infinity, which came after the last estimate."""
    if not is_finite(latents):
        raise InputError(f"MicroCinema: the latents became NaN or infinite at the last step; {REMEDY}")


def _when(level: float, sigmas: Tensor | None, by_model: bool) -> str:
    """The step, counted from 1. by_model: the noisy latents were finite, so it was the model's own estimate."""
    if sigmas is None:
        return f"at noise level {level:g}"
    step = max(1, int((sigmas >= level * (1 - 1e-6)).sum()))  # samplers ask between two levels too
    if by_model:
        return f"at step {step} of {len(sigmas) - 1}"
    return f"after step {step - 1} of {len(sigmas) - 1}" if step > 1 else "before the first step"
