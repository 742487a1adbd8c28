"""The core's samplers against closed forms and diffusers; what is refused; reporting and cancelling."""

import math
from itertools import pairwise

import pytest
import torch

from microcinema_core.config import ScheduleName
from microcinema_core.diffusion.samplers import SAMPLERS, sample
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.errors import Cancelled, InputError
from microcinema_core.standalone.schedulers import SCHEDULERS, sample_with_scheduler, trained_betas
from studies.prior_table import gaussian_denoise, run

# diffusers against numpy 2; nothing of ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

SD, ZSNR, COSINE = (make_schedule(name) for name in (ScheduleName.SD, ScheduleName.SD_ZSNR, ScheduleName.COSINE))
MEAN, VARIANCE = torch.tensor(0.4, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)


def denoise(y, sigma):
    return gaussian_denoise(y, sigma, MEAN, VARIANCE)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error(name, steps):
    """Against the flow, from sigma 20 to 0.05 in equal ratios, which leaves the method's own error alone."""
    sigmas = torch.logspace(math.log10(20), math.log10(0.05), steps + 1, dtype=torch.float64)
    y = 20 * normal(64)
    exact = MEAN + ((VARIANCE + sigmas[-1] ** 2) / (VARIANCE + sigmas[0] ** 2)).sqrt() * (y - MEAN)
    return (sample(name, denoise, y, sigmas) - exact).abs().max().item()


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("dpmpp_2m", 2)])
def test_deterministic_samplers_converge_to_the_flow_at_their_order(name, order):
    # A method of order p divides its error by 2^p when the steps double, up to the next order's terms.
    assert math.log2(error(name, 200) / error(name, 400)) == pytest.approx(order, abs=0.15)


def test_euler_is_eulers_method_on_the_written_out_ode():
    sigmas = SD.sigmas(7)
    y = sigmas[0] * normal(8)
    by_hand = y.clone()
    for now, then in pairwise(sigmas):
        by_hand = by_hand + (then - now) * (by_hand - denoise(by_hand, now)) / now
    assert torch.allclose(sample("euler", denoise, y, sigmas), by_hand, atol=1e-13)


@pytest.mark.parametrize("schedule", [SD, ZSNR, COSINE], ids=list(ScheduleName))
@pytest.mark.parametrize("name", ["euler", "dpmpp_2m"])
def test_ours_and_diffusers_agree(name, schedule):
    """Same noise levels, same method; diffusers keeps its betas in float32, which is what the tolerance allows for."""
    noise = normal(1, 4, 3, 4, 4)
    sigmas = schedule.sigmas(20)
    ours = sample(name, denoise, sigmas[0] * noise, sigmas)
    theirs = sample_with_scheduler(f"diffusers:{name}", denoise, noise, schedule, 20)
    # 1000 float32 betas multiplied: sigmas off by up to about 1e-4, near sigma_min of the cosine schedule by 1e-2.
    assert torch.allclose(ours, theirs, atol=2e-4)


def test_ddim_is_euler():
    noise = normal(1, 4, 3, 4, 4)
    sigmas = SD.sigmas(20)
    ddim = sample_with_scheduler("diffusers:ddim", denoise, noise, SD, 20)
    assert torch.allclose(ddim, sample("euler", denoise, sigmas[0] * noise, sigmas), atol=2e-4)


def test_ancestral_sampling_gives_the_datas_mean_and_variance():
    sigmas = COSINE.sigmas(200)
    generator = torch.Generator().manual_seed(1)
    x = sample("euler_ancestral", denoise, sigmas[0] * normal(20000), sigmas, generator=generator)
    # Five standard errors of 20000 samples (0.025 and 0.025); with 200 steps the variance is 4 % low (first order).
    assert x.mean().item() == pytest.approx(0.4, abs=0.025)
    assert x.var().item() == pytest.approx(0.5, abs=0.025 + 0.02)


def test_the_ancestral_split_keeps_the_variance():
    """With a model that always answers 0 a sample must have variance sigma^2 at every level."""
    sigmas = torch.tensor([5.0, 2.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    x = sample("euler_ancestral", lambda y, s: torch.zeros_like(y), 5 * normal(50000), sigmas, generator=generator)
    assert x.var().item() == pytest.approx(4.0, rel=0.032)  # five standard errors


def test_fresh_noise_comes_from_the_seed_or_from_the_caller():
    sigmas, y = SD.sigmas(5), 14.6 * normal(1, 2, 3)

    def run(**noise):
        return sample("euler_ancestral", denoise, y, sigmas, **noise)

    def seeded(seed):
        return run(generator=torch.Generator().manual_seed(seed))

    assert torch.equal(seeded(1), seeded(1))
    assert not torch.allclose(seeded(1), seeded(2))
    steps = []
    run(noise_fn=lambda step: steps.append(step) or normal(1, 2, 3, seed=step))
    assert steps == [0, 1, 2, 3]  # the last step goes to sigma 0 and adds none
    with pytest.raises(ValueError, match="generator"):
        run()


def test_float32_samples_follow_float64_ones():
    sigmas = COSINE.sigmas(20)
    y = sigmas[0] * normal(1, 4, 3, 4, 4)
    for name in ("euler", "dpmpp_2m"):
        single = sample(name, lambda y, s: denoise(y.double(), s).float(), y.float(), sigmas)
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), sample(name, denoise, y, sigmas), atol=1e-5)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_step_is_reported_and_the_last_estimate_is_the_sample(name):
    seen = []
    sigmas = SD.sigmas(3)
    x = sample(
        name,
        denoise,
        normal(4),
        sigmas,
        generator=torch.Generator(),
        callback=lambda step, steps, x0: seen.append((step, steps, x0)),
    )
    assert [(step, steps) for step, steps, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(seen[-1][2], x)


@pytest.mark.parametrize("name", ["euler", "diffusers:heun"])
def test_a_callback_that_raises_cancels(name):
    def cancel(step, steps, x0):
        if step == 2:
            raise Cancelled("stopped")

    calls = []

    def counting(y, sigma):
        calls.append(sigma)
        return denoise(y, sigma)

    with pytest.raises(Cancelled):
        run(name, counting, normal(4), SD, callback=cancel)
    assert len(calls) == 2


def test_unknown_names_are_refused_with_the_valid_ones():
    with pytest.raises(InputError, match="euler_ancestral"):
        sample("eular", denoise, normal(4), SD.sigmas(2))
    with pytest.raises(InputError, match="diffusers:heun"):
        sample_with_scheduler("heun", denoise, normal(4), SD, 2)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(InputError, match="steps"):
        sample_with_scheduler("diffusers:euler", denoise, normal(4), SD, steps)


def test_no_steps_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        sample("euler", denoise, normal(4), torch.zeros(1))


def test_steps_that_diffusers_cannot_space_are_refused():
    """At 61 steps diffusers makes 62 timesteps and the last is -1, which indexes the noisiest level."""
    with pytest.raises(InputError, match="61"):
        sample_with_scheduler("diffusers:ddim", denoise, normal(4), SD, 61)


@pytest.mark.parametrize("name", list(SCHEDULERS))
@pytest.mark.parametrize("schedule", [SD, ZSNR, COSINE], ids=list(ScheduleName))
@pytest.mark.parametrize("steps", [1, 4])
def test_every_scheduler_is_finite_on_every_schedule(name, schedule, steps):
    """In float32, from the noisiest level on, where zero-terminal-SNR schedules have almost no signal."""
    levels = []

    def single(y, sigma):
        levels.append(sigma.item())
        return gaussian_denoise(y, sigma, MEAN.float(), VARIANCE.float())

    generator = torch.Generator().manual_seed(0)
    x = sample_with_scheduler(name, single, normal(1, 4, 2, 2, 2).float(), schedule, steps, generator=generator)
    assert x.dtype == torch.float32
    assert x.isfinite().all()
    assert levels[0] == pytest.approx(schedule.sigma_max, rel=1e-3)  # float32 betas
    if steps == 1:  # nothing but the estimate at the noisiest level, which is almost the mean
        assert torch.allclose(x, MEAN.float(), atol=0.3)


@pytest.mark.parametrize("name", [n for n, s in SCHEDULERS.items() if n != "diffusers:lcm"])
def test_schedulers_reach_the_datas_mean_and_variance(name):
    """Each converts our estimates correctly: with many steps Gaussian data come out. LCM needs weights made for it."""
    noise = normal(40, 100)
    noise = (noise - noise.mean()) / noise.std()
    x = sample_with_scheduler(name, denoise, noise, COSINE, 100, generator=torch.Generator().manual_seed(1))
    # Deterministic ones keep the exact moments of this noise; stochastic ones add the error of 4000 draws (standard
    # errors 0.011 and 2.2 %). At 100 steps first-order ones lose 3 % (DDIM, Euler) or 7 % (stochastic) of the variance.
    stochastic = SCHEDULERS[name].stochastic
    assert x.mean().item() == pytest.approx(0.4, abs=0.03 if stochastic else 0.002)
    assert x.var().item() == pytest.approx(0.5, rel=0.12 if stochastic else 0.04)


@pytest.mark.parametrize("schedule", [SD, ZSNR, COSINE], ids=list(ScheduleName))
def test_betas_are_what_diffusers_can_use(schedule):
    betas = torch.from_numpy(trained_betas(schedule))
    assert betas.shape == (1000,)
    assert ((betas > 0) & (betas < 1)).all()
    abar = (1 - betas).cumprod(0)
    assert ((1 - abar[-1]) / abar[-1]).sqrt().item() == pytest.approx(schedule.sigma_max, rel=1e-9)
