"""diffusers' schedulers as samplers. Standalone only: nothing that the host loads imports this file.

A scheduler sees a v-predicting model: v = (alpha z_t - x0) / s exists wherever s > 0, and turning it back into x0 takes
no division by a signal that may be (almost) 0. PNDM alone sees eps: it averages outputs of different times before it
converts them, which is right for eps and wrong for v. Times are the scheduler's own business: each call of the
model is made at the sigma that the scheduler uses there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import Prediction
from ..diffusion.prediction import per_item
from ..diffusion.samplers import Callback, Denoise, Watch, refuse_noise_only
from ..diffusion.schedule import TRAIN_STEPS, Schedule, working
from ..errors import InputError
from ..shot.settings import SCHEDULER_PREFIX


class Space(Enum):
    """What a scheduler's sample is, and where its noise level is written."""

    SIGMA = auto()  # y = z_0 + sigma eps; `sigmas`
    VP_SIGMAS = auto()  # z_t = alpha z_0 + s eps; `sigmas`
    VP_TABLE = auto()  # z_t; `alphas_cumprod` at the timestep


@dataclass(frozen=True, slots=True)
class SchedulerSampler:
    """One offered scheduler. `build(betas)` makes it; `eta` is for those whose step takes it."""

    build: Callable[[NDArray[np.float64]], Any]
    space: Space
    stochastic: bool = False
    prediction: Prediction = Prediction.V
    eta: float | None = None


def _own_spacing(
    cls: Any, prediction_type: str = "v_prediction", **options: Any
) -> Callable[[NDArray[np.float64]], Any]:
    """A scheduler that starts at the noisiest level and has no option for it."""
    return lambda betas: cls(
        num_train_timesteps=TRAIN_STEPS, trained_betas=betas, prediction_type=prediction_type, **options
    )


def _trailing(cls: Any, **options: Any) -> Callable[[NDArray[np.float64]], Any]:
    """A scheduler told to start at the noisiest level (arXiv 2305.08891, Sec. 3.3)."""
    return _own_spacing(cls, timestep_spacing="trailing", **options)


_DDIM = _trailing(diffusers.DDIMScheduler, clip_sample=False, set_alpha_to_one=True)

SCHEDULERS = MappingProxyType(
    {
        f"{SCHEDULER_PREFIX}{name}": sampler
        for name, sampler in {
            "euler": SchedulerSampler(_trailing(diffusers.EulerDiscreteScheduler), Space.SIGMA),
            "heun": SchedulerSampler(_trailing(diffusers.HeunDiscreteScheduler, clip_sample=False), Space.SIGMA),
            "lms": SchedulerSampler(_trailing(diffusers.LMSDiscreteScheduler), Space.SIGMA),
            "kdpm2": SchedulerSampler(_trailing(diffusers.KDPM2DiscreteScheduler), Space.SIGMA),
            "dpmpp_2m": SchedulerSampler(_trailing(diffusers.DPMSolverMultistepScheduler), Space.VP_SIGMAS),
            "dpmpp_2s": SchedulerSampler(
                _own_spacing(diffusers.DPMSolverSinglestepScheduler, lower_order_final=True), Space.VP_SIGMAS
            ),
            "unipc": SchedulerSampler(_trailing(diffusers.UniPCMultistepScheduler), Space.VP_SIGMAS),
            "deis": SchedulerSampler(_trailing(diffusers.DEISMultistepScheduler), Space.VP_SIGMAS),
            "ddim": SchedulerSampler(_DDIM, Space.VP_TABLE, eta=0.0),
            "pndm": SchedulerSampler(
                _trailing(
                    diffusers.PNDMScheduler, prediction_type="epsilon", skip_prk_steps=True, set_alpha_to_one=True
                ),
                Space.VP_TABLE,
                prediction=Prediction.EPS,
            ),
            "ddim_eta1": SchedulerSampler(_DDIM, Space.VP_TABLE, stochastic=True, eta=1.0),
            "ddpm": SchedulerSampler(
                _trailing(diffusers.DDPMScheduler, clip_sample=False), Space.VP_TABLE, stochastic=True
            ),
            "euler_ancestral": SchedulerSampler(
                _trailing(diffusers.EulerAncestralDiscreteScheduler), Space.SIGMA, stochastic=True
            ),
            "dpmpp_2m_sde": SchedulerSampler(
                _trailing(diffusers.DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++"),
                Space.VP_SIGMAS,
                stochastic=True,
            ),
            "sa_solver": SchedulerSampler(_trailing(diffusers.SASolverScheduler), Space.VP_SIGMAS, stochastic=True),
            # Right only with weights distilled for it; with others the variance comes out too small.
            "lcm": SchedulerSampler(
                _own_spacing(
                    diffusers.LCMScheduler,
                    clip_sample=False,
                    set_alpha_to_one=True,
                    original_inference_steps=TRAIN_STEPS,  # else at most 50 steps
                ),
                Space.VP_TABLE,
                stochastic=True,
            ),
        }.items()
    }
)


def trained_betas(schedule: Schedule) -> NDArray[np.float64]:
    """The beta table [1000] that gives a diffusers scheduler our noise levels, sigma_max the noisiest.

    The end is `sigma_max`, not infinity, on zero-terminal-SNR schedules: the samplers in sigma space could not start
    there, and the others would start at another level than the core's.
    """
    abar = 1 / (1 + schedule.sigmas(TRAIN_STEPS)[:-1].flip(0) ** 2)
    previous = torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
    return (1 - abar / previous).numpy()


def find(name: str) -> SchedulerSampler:
    """The offered scheduler of that name. Raises InputError if there is none."""
    if name not in SCHEDULERS:
        raise InputError(f"sampler {name!r} does not exist; there are: {', '.join(SCHEDULERS)}")
    return SCHEDULERS[name]


def _prepare(name: str, schedule: Schedule, steps: int) -> Any:
    """The scheduler with its timesteps set. Raises InputError for steps it cannot do."""
    if not 1 <= steps <= TRAIN_STEPS:
        raise InputError(f"steps must be 1 to {TRAIN_STEPS}, got {steps}")
    scheduler = find(name).build(trained_betas(schedule))
    scheduler.set_timesteps(steps)
    if int(scheduler.timesteps.min()) < 0:
        # arange(1000, 0, -1000 / steps) has one element too many where that quotient was rounded down: 61, 103, ...
        raise InputError(f"diffusers cannot space {steps} steps evenly (a rounding error in it); choose another number")
    return scheduler


def _sigma(scheduler: Any, space: Space, call: int) -> Tensor:
    """The noise level, [] float64, at which the scheduler wants its `call`-th model output."""
    if space is Space.VP_TABLE:
        abar = scheduler.alphas_cumprod[int(scheduler.timesteps[call])].double()
        return ((1 - abar) / abar).sqrt()
    between = hasattr(scheduler, "sigmas_interpol") and not scheduler.state_in_first_order
    return (scheduler.sigmas_interpol if between else scheduler.sigmas)[call].double()


def _output(prediction: Prediction, x0: Tensor, y: Tensor, sigma: Tensor) -> Tensor:
    """The model output, for a z_t = y / sqrt(1 + sigma^2), that says this estimate of z_0."""
    if prediction is Prediction.EPS:
        return (y - x0) / per_item(sigma, y)
    alpha = (1 + sigma**2).rsqrt()
    return (per_item(alpha**2, y) * y - x0) / per_item(sigma * alpha, y)


@torch.no_grad()
def sample_with_scheduler(
    name: str,
    denoise: Denoise,
    noise: Tensor,
    schedule: Schedule,
    steps: int,
    *,
    generator: torch.Generator | list[torch.Generator] | None = None,
    callback: Callback | None = None,
    noise_only: bool = False,
) -> Tensor:
    """Sample with a diffusers scheduler; returns model-space latents in the shape of `noise`.

    noise: unit noise [B, C, T, h, w] to start from (`start_noise`); it is scaled by the scheduler's first sigma here.
    generator: fresh noise of the stochastic ones, one for all or one for each batch item.
    callback: counts model calls, of which two-stage schedulers make about two a step.
    `noise_only` says that `denoise` lacks the prior's shift, which stochastic schedulers then refuse.
    Raises InputError for an unknown name, for impossible steps and for that refusal.
    """
    sampler = find(name)
    if noise_only:
        refuse_noise_only(name, stochastic=sampler.stochastic)
    scheduler = _prepare(name, schedule, steps)
    options: dict[str, Any] = {"generator": generator} if sampler.stochastic else {}
    if sampler.eta is not None:
        options["eta"] = sampler.eta
    calls = len(scheduler.timesteps)
    watch = Watch(calls)
    sample = noise
    for call, timestep in enumerate(scheduler.timesteps):
        sigma = _sigma(scheduler, sampler.space, call)
        alpha = (1 + sigma**2).rsqrt()
        to_sample = torch.ones_like(alpha) if sampler.space is Space.SIGMA else alpha  # sample = to_sample * y
        if call == 0:
            sample = per_item(sigma * to_sample, noise) * noise
        y = sample / per_item(to_sample, sample)
        x0 = denoise(y, working(sigma.to(y)))
        watch.see(x0)
        if callback is not None:
            callback(call + 1, calls, x0)
        output = _output(sampler.prediction, x0, y, sigma)
        scheduler.scale_model_input(sample, timestep)  # some choose their step here, all of them check for the call
        sample = scheduler.step(output, timestep, sample, return_dict=False, **options)[0]
    watch.settle()
    return sample
