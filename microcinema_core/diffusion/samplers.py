"""The core's own samplers, in k-diffusion's space: y = z_0 + sigma eps_n, sigma from sigma_max down to 0.

They see the model only as `denoise(y, sigma) -> z_0 estimate`, so the prior inside the model changes nothing here.
Coefficients are computed in float64 whatever the sample's precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ..errors import InputError
from .schedule import working

Denoise = Callable[[Tensor, Tensor], Tensor]  # (y [B, C, T, H, W], sigma []) -> estimate of z_0
Callback = Callable[[int, int, Tensor], None]  # (steps done, steps in all, estimate of z_0); may raise Cancelled
Noise = Callable[[int], Tensor]  # step, from 0 -> unit noise in the sample's shape


def is_finite(numbers: Tensor) -> bool:
    """Whether all are, in a tensor of any shape."""
    return bool(numbers.isfinite().all())


class Watch:
    """Whether estimates are numbers: read of each when the next is under way, so that no device waits for it."""

    def __init__(self, calls: int) -> None:
        """calls: how many estimates there will be."""
        self.calls, self.call = calls, 0
        self.finite: Tensor | None = None  # of the last one, not yet read from the device

    def see(self, x0: Tensor) -> None:
        """The next estimate, [B, C, T, H, W]. Raises InputError as `settle` does, of the one before."""
        finite = x0.isfinite().all()
        self.settle()
        self.call, self.finite = self.call + 1, finite

    def settle(self) -> None:
        """Raises InputError where the last one had NaN or infinity: nothing but a black clip would follow."""
        if self.finite is not None and not bool(self.finite):
            raise InputError(
                f"the latents became NaN or infinite at step {self.call} of {self.calls}; lower cfg, or try another "
                "sampler or precision (fp32); if that does not help, the model's file is damaged: get it anew"
            )


@dataclass(frozen=True, slots=True)
class Run:
    """What one sampling run is given: the model, the noise levels, fresh noise, the observer and the watch."""

    denoise: Denoise
    sigmas: list[float]
    noise: Noise
    callback: Callback | None
    watch: Watch

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    def estimate(self, y: Tensor, step: int) -> Tensor:
        """The model's estimate of z_0 for y [B, C, T, H, W] at this step, in y's shape, reported to the observer.

        Raises InputError where the one before was no number.
        """
        sigma = torch.full((), self.sigmas[step], dtype=working(y).dtype, device=y.device)
        x0 = self.denoise(y, sigma)
        self.watch.see(x0)
        if self.callback is not None:
            self.callback(step + 1, self.steps, x0)
        return x0


def euler(run: Run, y: Tensor) -> Tensor:
    """From y [B, C, T, H, W] at the first noise level to a sample, by Euler's method on dy/dsigma = (y - x0) / sigma.

    arXiv 2206.00364, Algorithm 1 without churn; the same as DDIM with eta 0.
    """
    for i in range(run.steps):
        x0 = run.estimate(y, i)
        y = torch.lerp(x0, y, run.sigmas[i + 1] / run.sigmas[i])
    return y


def ancestral_step(sigma: float, sigma_next: float) -> tuple[float, float]:
    """(sigma to go down to, sigma of the noise to add): their squares sum to sigma_next^2."""
    up = sigma_next * math.sqrt(max(0.0, 1 - (sigma_next / sigma) ** 2))
    return sigma_next**2 / sigma, up


def euler_ancestral(run: Run, y: Tensor) -> Tensor:
    """From y [B, C, T, H, W] to a sample by ancestral sampling (k-diffusion, eta 1).

    Each step goes past the next level, and fresh noise leads up to it.
    """
    for i in range(run.steps):
        x0 = run.estimate(y, i)
        down, up = ancestral_step(run.sigmas[i], run.sigmas[i + 1])
        y = torch.lerp(x0, y, down / run.sigmas[i])
        if up > 0:
            y = y + up * run.noise(i).to(y)
    return y


def dpmpp_2m(run: Run, y: Tensor) -> Tensor:
    """From y [B, C, T, H, W] to a sample by DPM-Solver++(2M) (arXiv 2211.01095, Algorithm 2), lambda = -log sigma.

    First order at both ends of the run.
    """
    previous: Tensor | None = None
    for i in range(run.steps):
        x0 = run.estimate(y, i)
        ratio = run.sigmas[i + 1] / run.sigmas[i]  # exp(-h)
        extrapolated = x0
        if previous is not None and ratio > 0:
            r = math.log(run.sigmas[i - 1] / run.sigmas[i]) / -math.log(ratio)
            extrapolated = x0 + (x0 - previous) / (2 * r)
        y = torch.lerp(extrapolated, y, ratio)
        previous = x0
    return y


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler and whether it draws fresh noise on the way."""

    run: Callable[[Run, Tensor], Tensor]
    stochastic: bool


SAMPLERS = MappingProxyType(
    {
        "euler": Sampler(euler, stochastic=False),
        "euler_ancestral": Sampler(euler_ancestral, stochastic=True),
        "dpmpp_2m": Sampler(dpmpp_2m, stochastic=False),
    }
)


def refuse_noise_only(name: str, *, stochastic: bool) -> None:
    """The prior in the noise only needs a deterministic sampler. Raises InputError otherwise."""
    if stochastic:
        raise InputError(
            f"sampler {name!r} draws fresh noise at every step, and that noise lacks the prior's mean lambda * z_c; "
            "put the prior inside the model (the default) or choose a deterministic sampler"
        )


def _unit_noise(like: Tensor, generator: torch.Generator) -> Noise:
    """Noise drawn on the generator's own device, in float32 so that precision does not change the clip."""
    return lambda step: torch.randn(like.shape, generator=generator, device=generator.device).to(like)


def _no_noise(name: str) -> Noise:
    def noise(step: int) -> Tensor:
        raise ValueError(f"sampler {name!r} draws noise: give `sample` a generator or a noise_fn")

    return noise


@torch.no_grad()
def sample(
    name: str,
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    generator: torch.Generator | None = None,
    noise_fn: Noise | None = None,
    callback: Callback | None = None,
    noise_only: bool = False,
) -> Tensor:
    """Sample with one of the core's samplers; returns model-space latents in x's shape.

    x: sigmas[0] * start noise. sigmas: [steps + 1], descending, the last one 0 for a finished sample.
    Fresh noise comes from `noise_fn` or else from `generator`; deterministic samplers need neither.
    `noise_only` says that `denoise` lacks the prior's shift, which stochastic samplers then refuse.
    Raises InputError for an unknown name, no steps, that refusal and estimates that are no numbers; what `callback`
    raises passes through.
    """
    if name not in SAMPLERS:
        raise InputError(f"sampler {name!r} does not exist; there are: {', '.join(SAMPLERS)}")
    if len(sigmas) < 2:
        raise InputError(f"steps must be at least 1, got {len(sigmas) - 1}")
    sampler = SAMPLERS[name]
    if noise_only:
        refuse_noise_only(name, stochastic=sampler.stochastic)
    if noise_fn is None:
        noise_fn = _no_noise(name) if generator is None else _unit_noise(x, generator)
    watch = Watch(len(sigmas) - 1)
    made = sampler.run(Run(denoise, sigmas.tolist(), noise_fn, callback, watch), x)
    watch.settle()
    return made
