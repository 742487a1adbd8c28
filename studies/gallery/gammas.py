"""What gamma does, on data whose best denoiser is known: frames with mean rho z_c, on SD's own schedule.

Sampling starts from pure noise although training never saw less signal than SD's last step has; the mean of the samples
lacks that signal. gamma z_c in the starting noise puts it back (docs/noise-prior.md, Sec. 3.3 of the paper).
"""

from __future__ import annotations

import torch

from microcinema_core.config import ScheduleName
from microcinema_core.diffusion.noise import start_noise
from microcinema_core.diffusion.samplers import sample
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.models.guide import Guide

from ..prior_table import gaussian_denoise
from ..shares import table

GAMMAS = (0.0, 0.02, 0.05, 0.1)
RHO, VARIANCE, KEYFRAME = 0.9, 0.4, 2.0  # frames follow the keyframe with rho, around that with this variance
STEPS = 100


def mean_error(gamma: float) -> float:
    """Of the samples' mean. The denoiser and DPM++ 2M are linear, so it is the sample of the noise's mean, exactly."""
    schedule = make_schedule(ScheduleName.SD)
    z_c, variance = torch.tensor([KEYFRAME], dtype=torch.float64), torch.tensor(VARIANCE, dtype=torch.float64)
    sigmas = schedule.sigmas(STEPS)
    start = sigmas[0] * start_noise(torch.zeros_like(z_c), Guide(z_c), gamma)
    mean = sample("dpmpp_2m", lambda y, sigma: gaussian_denoise(y, sigma, RHO * z_c, variance), start, sigmas)
    return mean.item() - RHO * KEYFRAME


def gamma_table() -> str:
    best = RHO / make_schedule(ScheduleName.SD).sigma_max
    rows = [[f"{gamma:.2f}", f"{mean_error(gamma):+.4f}"] for gamma in GAMMAS]
    rows.append([f"{best:.4f} = rho / sigma_max", f"{mean_error(best):+.4f}"])
    return table(["gamma", f"error of the mean, which is {RHO * KEYFRAME:g}"], rows)
