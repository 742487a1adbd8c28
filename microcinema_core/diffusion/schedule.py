"""Noise schedules: between the time a network is fed, k-diffusion's sigma and the VP coefficients of Eq. 4.

    z_t   = alpha z_0 + s eps            alpha^2 + s^2 = 1, abar = alpha^2
    sigma = s / alpha                    z_t / alpha = z_0 + sigma eps

Times, sigmas and coefficients are tensors of any shape; results have the argument's shape and device, in float64 for
float64 arguments and in float32 otherwise.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..config import ScheduleName
from ..errors import InputError

TRAIN_STEPS = 1000  # length of Stable Diffusion's table, and of the one that diffusers' schedulers are given
ZSNR_TERMINAL_ABAR = 4.8973451890853435e-08  # the host's stand-in for 0, so that sigma stays finite (4519)


def working(x: Tensor) -> Tensor:
    """A tensor [...] in the precision that a schedule's scalars have: float64 stays, all else becomes float32."""
    return x if x.dtype == torch.float64 else x.to(torch.float32)


class Schedule(ABC):
    """A noise schedule. Sampling runs from `sigma_max` to 0, training over all times."""

    sigma_min: float
    sigma_max: float

    @property
    def signal(self) -> float:
        """abar at `sigma_max`, where sampling starts."""
        return 1 / (1 + self.sigma_max**2)

    @abstractmethod
    def time_of_sigma(self, sigma: Tensor) -> Tensor:
        """The time that the network is fed at each sigma. [...] -> [...]."""

    @abstractmethod
    def sigma_of_time(self, t: Tensor) -> Tensor:
        """k-diffusion's sigma = sqrt(1 - abar) / sqrt(abar) at each time, at most `sigma_max`. [...] -> [...]."""

    @abstractmethod
    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, s) of Eq. 4 at each time, with alpha^2 + s^2 = 1. [...] -> two of [...]."""

    @abstractmethod
    def sample_time(self, u: Tensor, towards_noise: float) -> Tensor:
        """Training times [N] from uniform `u` [N] in [0, 1): t = 1 - u^k as a fraction of the schedule.

        towards_noise: k; 1 is uniform, above it there are more of the noisier times.
        """

    @abstractmethod
    def _times(self, steps: int) -> Tensor:
        """`steps` times for sampling, from the noisiest on, evenly spaced, 0 excluded; float64."""

    def sigmas(self, steps: int) -> Tensor:
        """Sigmas of a sampling run, evenly spaced in time ("trailing"): sigma_max, ..., 0. float64 [steps + 1].

        Raises InputError if there is no such run.
        """
        if steps < 1:
            raise InputError(f"steps must be at least 1, got {steps}")
        return torch.cat([self.sigma_of_time(self._times(steps)), torch.zeros(1, dtype=torch.float64)])


class DiscreteSchedule(Schedule):
    """A table of 1000 noise levels; times are 0..999, held as floating point. Stable Diffusion's kind.

    Sigmas between the table's entries are fed to the network as the nearest time in log sigma, as the host does it;
    the sigma itself is not rounded.
    """

    def __init__(self, abar: Tensor) -> None:
        """abar: alpha^2 at each level, the least noise first, float64 [1000]."""
        self._log_sigma = ((1 - abar) / abar).log() / 2
        self.sigma_min = math.exp(self._log_sigma[0].item())
        self.sigma_max = math.exp(self._log_sigma[-1].item())

    def time_of_sigma(self, sigma: Tensor) -> Tensor:
        """The nearest of the times 0..999 in log sigma, for sigmas [...] -> [...]."""
        sigma = working(sigma)
        log_sigma = sigma.clamp(self.sigma_min, self.sigma_max).log()
        table = self._log_sigma.to(sigma, non_blocking=True)
        return (log_sigma[..., None] - table).abs().argmin(-1).to(sigma)

    def sigma_of_time(self, t: Tensor) -> Tensor:
        """The table's sigma, between two times the geometric mean weighted by nearness. [...] -> [...]."""
        t = working(t).clamp(0, TRAIN_STEPS - 1)
        table = self._log_sigma.to(t)
        low, high = t.floor().long(), t.ceil().long()
        return torch.lerp(table[low], table[high], t.frac()).exp()

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, s) of Eq. 4 at times 0..999. [...] -> two of [...]."""
        sigma = self.sigma_of_time(t)
        alpha = (1 + sigma**2).rsqrt()
        return alpha, sigma * alpha

    def sample_time(self, u: Tensor, towards_noise: float) -> Tensor:
        """Whole training times 0..999 from uniform `u` in [0, 1); `towards_noise` 1 is uniform. [N] -> [N]."""
        t = 1 - working(u) ** towards_noise
        return ((t * TRAIN_STEPS).ceil() - 1).clamp(0, TRAIN_STEPS - 1)

    def _times(self, steps: int) -> Tensor:
        if steps > TRAIN_STEPS:
            raise InputError(f"this schedule has {TRAIN_STEPS} noise levels; steps must not exceed that, got {steps}")
        remaining = 1 - torch.arange(steps, dtype=torch.float64) / steps
        return (remaining * TRAIN_STEPS).round() - 1


class CosineSchedule(Schedule):
    """alpha = cos(pi t / 2), s = sin(pi t / 2), t in 0..1; the signal is exactly 0 at t = 1.

    The host's `ModelSamplingContinuousV`: sampling starts at sigma 500, which is t = 0.9987.
    """

    sigma_min = 0.002
    sigma_max = 500.0

    def time_of_sigma(self, sigma: Tensor) -> Tensor:
        """t = 2 / pi atan(sigma), in 0..1. [...] -> [...]."""
        return working(sigma).atan() * (2 / math.pi)

    def sigma_of_time(self, t: Tensor) -> Tensor:
        """tan(pi t / 2), at most `sigma_max`, at times in 0..1. [...] -> [...]."""
        alpha, s = self.alpha_sigma(t)
        return (s / alpha).clamp(max=self.sigma_max)

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(cos(pi t / 2), sin(pi t / 2)) at times in 0..1; alpha is exactly 0 at t = 1. [...] -> two of [...]."""
        t = working(t)
        # The sine of the complement, because cos(pi/2) is not 0 in floating point.
        return torch.sin((1 - t) * (math.pi / 2)), torch.sin(t * (math.pi / 2))

    def sample_time(self, u: Tensor, towards_noise: float) -> Tensor:
        """Training times 1 - u^k in 0..1 from uniform `u` in [0, 1), k being `towards_noise`. [N] -> [N]."""
        return 1 - working(u) ** towards_noise

    def _times(self, steps: int) -> Tensor:
        start = 2 / math.pi * math.atan(self.sigma_max)
        return start * (1 - torch.arange(steps, dtype=torch.float64) / steps)


def scaled_linear_abar() -> Tensor:
    """Stable Diffusion's abar: sqrt(beta) linear from sqrt(0.00085) to sqrt(0.012). float64 [1000]."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0)


def zero_terminal_abar(abar: Tensor) -> Tensor:
    """Shift and stretch sqrt(abar) so that its last entry is 0 and its first unchanged (arXiv 2305.08891, Algorithm 1).

    The last entry is then set to the host's small number instead of 0. [1000] -> [1000].
    """
    root = abar.sqrt()
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    rescaled = root**2
    rescaled[-1] = ZSNR_TERMINAL_ABAR
    return rescaled


def make_schedule(name: ScheduleName) -> Schedule:
    """The schedule that a checkpoint names."""
    match name:
        case ScheduleName.SD:
            return DiscreteSchedule(scaled_linear_abar())
        case ScheduleName.SD_ZSNR:
            return DiscreteSchedule(zero_terminal_abar(scaled_linear_abar()))
        case ScheduleName.COSINE:
            return CosineSchedule()
