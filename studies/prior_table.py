"""Both forms of the Appearance Noise Prior against the unbiased run, sampler by sampler, on Gaussian data.

For Gaussian data the best network is known in closed form, so any difference is the sampler's doing.
`python -m studies.prior_table` writes docs/noise-prior.md anew.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from microcinema_core.config import DiffusionConfig, Prediction, ScheduleName
from microcinema_core.diffusion.noise import noise_only_start
from microcinema_core.diffusion.prediction import Denoiser, Network
from microcinema_core.diffusion.samplers import SAMPLERS, Callback, Denoise, sample
from microcinema_core.diffusion.schedule import Schedule, make_schedule
from microcinema_core.models.guide import Guide
from microcinema_core.standalone.schedulers import SCHEDULERS, sample_with_scheduler

MEAN, VARIANCE = 0.4, 0.5
SHAPE = (2, 4, 3, 4, 4)
STEPS = 20  # a divisor of 1000: diffusers' DDIM and PNDM step by 1000 // steps whatever the spacing


def gaussian_network(prediction: Prediction, prior_lambda: float, z_c: Tensor) -> Network:
    """The best network for z_0 ~ N(mean, variance) under eps = lambda z_c + n (Eq. 3): E[eps | z_t], or E[v | z_t].

    z_t [B, C, T, h, w] ~ N(alpha mean + s lambda z_c, alpha^2 variance + s^2): both expectations are linear in it. The
    conditioning is `mean`, `variance` (broadcastable to z_t) and `level`, the k-diffusion sigma.
    """

    def network(z_t: Tensor, t: Tensor, /, *, mean: Tensor, variance: Tensor, level: Tensor) -> Tensor:
        alpha = 1 / (1 + level**2).sqrt()
        s = level * alpha
        total = alpha**2 * variance + s**2
        surprise = z_t - alpha * mean - s * prior_lambda * z_c
        eps = prior_lambda * z_c + s / total * surprise
        if prediction is Prediction.EPS:
            return eps
        return alpha * eps - s * (mean + alpha * variance / total * surprise)

    return network


def gaussian_denoise(y: Tensor, sigma: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """E[z_0 | y] for y = z_0 + sigma n, [B, C, T, h, w], with unbiased noise n."""
    return mean + variance / (variance + sigma**2) * (y - mean)


def run(
    name: str,
    denoise: Denoise,
    noise: Tensor,
    schedule: Schedule,
    *,
    steps: int = STEPS,
    callback: Callback | None = None,
    noise_only: bool = False,
) -> Tensor:
    """One run of a core sampler or a diffusers scheduler from unit noise; fresh noise is the same in every run."""
    generator = torch.Generator().manual_seed(1)
    if name not in SAMPLERS:
        return sample_with_scheduler(
            name, denoise, noise, schedule, steps, generator=generator, callback=callback, noise_only=noise_only
        )
    sigmas = schedule.sigmas(steps)
    start = sigmas[0].to(noise) * noise
    return sample(name, denoise, start, sigmas, generator=generator, callback=callback, noise_only=noise_only)


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far final samples are from the unbiased run, in units of that run's largest element."""

    rms: float
    largest: float

    @classmethod
    def between(cls, x: Tensor, reference: Tensor) -> Deviation:
        """Root mean square and largest difference of two tensors [...], over the reference's largest number."""
        difference = (x - reference) / reference.abs().max()
        return cls(difference.square().mean().sqrt().item(), difference.abs().max().item())


@dataclass(frozen=True, slots=True)
class Row:
    """One sampler under both forms of the prior, for a z_c of unit variance."""

    name: str
    stochastic: bool
    in_model: Deviation
    noise_only: Deviation


def measure(name: str, schedule: Schedule, prediction: Prediction, prior_lambda: float) -> Row:
    """Run one sampler three times from the same noise: unbiased, prior in the model, prior in the noise only."""
    generator = torch.Generator().manual_seed(0)
    eps_n = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    z_c = torch.randn(SHAPE[0], SHAPE[1], 1, *SHAPE[3:], generator=generator, dtype=torch.float64)
    mean, variance = (torch.tensor(value, dtype=torch.float64) for value in (MEAN, VARIANCE))
    network, guide = gaussian_network(prediction, prior_lambda, z_c), Guide(z_c)

    def with_lambda(value: float) -> Denoise:
        denoiser = Denoiser(network, schedule, prediction, value)
        return lambda y, sigma: denoiser.denoise(y, sigma, guide, mean=mean, variance=variance, level=sigma)

    unbiased = run(name, lambda y, sigma: gaussian_denoise(y, sigma, mean, variance), eps_n, schedule)
    in_model = run(name, with_lambda(prior_lambda), eps_n, schedule)
    noise_only = run(name, with_lambda(0.0), noise_only_start(eps_n, guide, prior_lambda, 0.0), schedule)
    stochastic = (SAMPLERS[name] if name in SAMPLERS else SCHEDULERS[name]).stochastic
    return Row(name, stochastic, Deviation.between(in_model, unbiased), Deviation.between(noise_only, unbiased))


def _cells(row: Row) -> str:
    figures = f"{row.in_model.largest:.1e} | {row.noise_only.largest:.1e} | {row.noise_only.rms:.1e}"
    return f"| `{row.name}` | {figures} | {'refused' if row.stochastic else 'offered'} |"


def table(name: ScheduleName, prediction: Prediction, prior_lambda: float) -> str:
    """A Markdown section: every sampler on one schedule."""
    schedule = make_schedule(name)
    rows = [_cells(measure(sampler, schedule, prediction, prior_lambda)) for sampler in (*SAMPLERS, *SCHEDULERS)]
    head = [
        f"## Schedule `{name}`, {prediction}-prediction, {STEPS} steps",
        "",
        "| sampler | inside the model: largest | noise only: largest | noise only: rms | noise only is |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


INTRODUCTION = """\
# The Appearance Noise Prior, sampler by sampler

The network is trained with noise that has the mean lambda z_c (Sec. 3.3, Eq. 3). There are two ways to sample from it:

- **inside the model** (our default): the sampler works on ordinary noise and the model adds sigma lambda z_c to its
  input. Right for every sampler.
- **in the noise only** (the paper's description): the start noise is (lambda + gamma) z_c + n and the sampler is left
  alone. Right for deterministic samplers; a stochastic one draws fresh noise on the way, which lacks the mean, so we
  refuse that combination.

The figures are deviations of the final samples from a run without any bias, as shares of that run's largest element:
the largest deviation and the root mean square (rms). They are on Gaussian data (mean {mean}, variance
{variance}) whose best network is known in closed form, with lambda = {prior_lambda} and a keyframe of unit variance, in
float64. Fresh noise is the same in all runs.

- A stochastic sampler loses most of the mean: its rms is of the order of lambda over that element.
- `diffusers:euler` and `diffusers:dpmpp_2m` keep their sample in float32 whatever they are given. What remains of
  them is that rounding, accumulated over the steps.
- `diffusers:deis` and `diffusers:sa_solver` end at the schedule's least noise sigma_0 instead of 0 and keep that
  noise's mean, sigma_0 lambda z_c.
- diffusers' DDIM and PNDM step by 1000 // steps, whatever the spacing: choose a divisor of 1000.

Written by `python -m studies.prior_table`.
"""


def document() -> str:
    """The whole page."""
    prior_lambda = DiffusionConfig().prior_lambda
    sections = [
        table(ScheduleName.SD, Prediction.EPS, prior_lambda),
        table(ScheduleName.COSINE, Prediction.V, prior_lambda),
    ]
    head = INTRODUCTION.format(mean=MEAN, variance=VARIANCE, prior_lambda=prior_lambda)
    return "\n\n".join([head.rstrip(), *sections]) + "\n"


def main(path: str = "docs/noise-prior.md") -> None:
    Path(path).write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
