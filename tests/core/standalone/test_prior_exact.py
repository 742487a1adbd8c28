"""The Appearance Noise Prior is exact: shown on Gaussian data, with a closed-form network and with a fitted one."""

from pathlib import Path

import pytest
import torch

from microcinema_core.config import Prediction, ScheduleName
from microcinema_core.diffusion.guidance import GuidedDenoiser
from microcinema_core.diffusion.noise import start_noise
from microcinema_core.diffusion.prediction import Denoiser
from microcinema_core.diffusion.samplers import SAMPLERS, sample
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.errors import InputError
from microcinema_core.models.guide import Guide
from microcinema_core.standalone.schedulers import SCHEDULERS
from studies.prior_table import document, gaussian_denoise, gaussian_network, measure, run

# diffusers against numpy 2; nothing of ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

EVERY = (*SAMPLERS, *SCHEDULERS)
STOCHASTIC = [name for name in EVERY if (SAMPLERS | SCHEDULERS)[name].stochastic]
LAMBDA = 0.03
SD, COSINE = make_schedule(ScheduleName.SD), make_schedule(ScheduleName.COSINE)
SCHEDULE = pytest.mark.parametrize("schedule", [SD, COSINE], ids=["sd", "cosine"])
PREDICTION = pytest.mark.parametrize("prediction", list(Prediction))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(mean, variance):
    return {
        name: torch.full((2, 1, 1, 1, 1), value).double() for name, value in (("mean", mean), ("variance", variance))
    }


COND, UNCOND = gaussian(0.7, 0.3), gaussian(-0.2, 0.9)


def guided_reference(scale):
    def denoise(y, sigma):
        cond, uncond = (gaussian_denoise(y, sigma, **branch) for branch in (COND, UNCOND))
        return uncond + scale * (cond - uncond)

    return denoise


@SCHEDULE
@PREDICTION
@pytest.mark.parametrize("name", EVERY)
def test_inside_the_model_every_sampler_equals_its_unbiased_run(name, prediction, schedule):
    """With guidance between two Gaussians. Both runs round alike, so float32 inside diffusers is no excuse."""
    eps_n, z_c = normal(2, 4, 3, 2, 2), 3 * normal(2, 4, 1, 2, 2, seed=1)
    twice = torch.cat([z_c, z_c])
    denoiser = Denoiser(gaussian_network(prediction, LAMBDA, twice), schedule, prediction, LAMBDA)

    def denoise(y, sigma):
        level = {"level": sigma}
        return GuidedDenoiser(denoiser, Guide(z_c), COND | level, UNCOND | level, 4.0)(y, sigma)

    biased = run(name, denoise, eps_n, schedule, steps=8)
    unbiased = run(name, guided_reference(4.0), eps_n, schedule, steps=8)
    assert (biased - unbiased).abs().max() < 1e-10


@SCHEDULE
@PREDICTION
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_the_level_may_come_from_the_time_the_network_is_fed(name, prediction, schedule):
    """The same, with a network that knows the noise level only from its time, as a trained one does."""
    eps_n, z_c = normal(2, 4, 3, 2, 2), 3 * normal(2, 4, 1, 2, 2, seed=1)
    closed_form = gaussian_network(prediction, LAMBDA, z_c)

    def network(x_in, t, **conditioning):
        return closed_form(x_in, t, level=schedule.sigma_of_time(t).reshape(-1, 1, 1, 1, 1), **conditioning)

    denoiser = Denoiser(network, schedule, prediction, LAMBDA)
    biased = run(name, GuidedDenoiser(denoiser, Guide(z_c), COND), eps_n, schedule, steps=8)
    assert (biased - run(name, guided_reference(1.0), eps_n, schedule, steps=8)).abs().max() < 1e-10


def test_the_closed_form_is_the_conditional_expectation():
    """Independent of any wrapper: regress the noise on z_t, drawn straight from Eq. 3 and Eq. 4."""
    level, z_c, count = torch.tensor(0.8, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64), 200_000
    alpha, s = 1 / (1 + level**2).sqrt(), level / (1 + level**2).sqrt()
    z0, eps = 0.4 + 0.5**0.5 * normal(count), 0.3 * z_c + normal(count, seed=1)
    z_t = alpha * z0 + s * eps
    network = gaussian_network(Prediction.EPS, 0.3, z_c)
    mean, variance = torch.tensor(0.4).double(), torch.tensor(0.5).double()
    residual = eps - network(z_t, level, mean=mean, variance=variance, level=level)
    # The best estimate leaves a residual without mean and uncorrelated with z_t; five standard errors are 0.011.
    assert abs(residual.mean().item()) < 0.011
    assert abs((residual * (z_t - z_t.mean())).mean().item()) < 0.011


# Data for the fitted network: frames follow the keyframe, z_0 = FOLLOW z_c + SHIFT + SPREAD w.
FOLLOW, SHIFT, SPREAD = 0.8, 0.3, 0.6
FIT_STEPS = 100


def whitened(count, columns, seed=0):
    """Draws whose sample mean is 0 and whose sample covariance is the identity. [count, columns].

    Least squares sees second moments only, so a fit on such draws is that of infinitely many.
    """
    draws = normal(count, columns, seed=seed)
    draws = draws - draws.mean(0)
    root = torch.linalg.cholesky(draws.T @ draws / count)
    return torch.linalg.solve_triangular(root, draws.T, upper=False).T


def fit(schedule, prediction, times):
    """One linear network (z_t, z_c, 1) -> output for each time, by least squares on the project's training pairs."""
    z_c, w, eps_n = (column.reshape(-1, 1, 1, 1, 1) for column in whitened(300, 3).T)
    z0 = FOLLOW * z_c + SHIFT + SPREAD * w
    trainer = Denoiser(lambda x, t: x, schedule, prediction, LAMBDA)
    weights = {}
    for t in times:
        z_t, wanted = trainer.training_pair(z0, Guide(z_c), eps_n, t)
        inputs = torch.stack([z_t, z_c, torch.ones_like(z_t)], -1).reshape(-1, 3)
        weights[round(t.item(), 9)] = torch.linalg.lstsq(inputs, wanted.reshape(-1, 1)).solution[:, 0]

    def network(z_t, t, *, keyframe):
        a, b, c = weights[round(t[0].item(), 9)]
        return a * z_t + b * keyframe + c

    return network


def moments(name, prediction, sampled_lambda, z_c_value=2.0):
    """Mean and variance of samples for one keyframe, from a network fitted with LAMBDA."""
    sigmas = COSINE.sigmas(FIT_STEPS)
    network = fit(COSINE, prediction, COSINE.time_of_sigma(sigmas[:-1]))
    denoiser = Denoiser(network, COSINE, prediction, sampled_lambda)
    start, *fresh = (column.reshape(-1, 1, 1, 1, 1) for column in whitened(1000, 1 + FIT_STEPS, seed=5).T)
    z_c = torch.full_like(start, z_c_value)
    denoise = GuidedDenoiser(denoiser, Guide(z_c), {"keyframe": z_c})
    x = sample(name, denoise, sigmas[0] * start, sigmas, noise_fn=lambda step: fresh[step])
    return x.mean().item(), x.var(correction=0).item()


# Whitened noise leaves no sampling error in either fit or samples. Of the mean, SPREAD / 500 is missing because a run
# starts from pure noise at sigma 500: 1.9 * 0.0012 = 0.0023. The variance is the samplers' discretisation at 100 steps,
# second order for DPM++ 2M and first order else (measured: 0.2 %, 3 %, 6 %).
MEAN_TOLERANCE = 0.003
VARIANCE_TOLERANCE = {"dpmpp_2m": 0.005, "euler": 0.04, "euler_ancestral": 0.08}


@PREDICTION
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_network_fitted_on_training_pairs_samples_the_data(name, prediction):
    """This one cannot be fooled by a wrapper that is its own inverse: the network comes from training pairs alone."""
    mean, variance = moments(name, prediction, LAMBDA)
    assert mean == pytest.approx(FOLLOW * 2.0 + SHIFT, abs=MEAN_TOLERANCE)
    assert variance == pytest.approx(SPREAD**2, rel=VARIANCE_TOLERANCE[name])


@PREDICTION
@pytest.mark.parametrize("name", list(SAMPLERS))
@pytest.mark.parametrize("wrong", [-LAMBDA, 0.0], ids=["sign", "missing"])
def test_a_wrong_shift_fails_that_tolerance(name, prediction, wrong):
    mean, _ = moments(name, prediction, wrong)
    assert abs(mean - (FOLLOW * 2.0 + SHIFT)) > 10 * MEAN_TOLERANCE


def test_gamma_repairs_the_signal_missing_at_sds_first_step():
    """Frames with mean rho z_c: sampling from pure noise loses part of it, gamma = rho / sigma_max restores it."""
    rho, variance = 0.9, torch.tensor(0.4, dtype=torch.float64)
    z_c = 2 * torch.ones(1000, dtype=torch.float64)
    eps_n = whitened(1000, 1)[:, 0]
    sigmas = SD.sigmas(100)

    def mean_error(gamma):
        y = sigmas[0] * start_noise(eps_n, Guide(z_c), gamma)
        x = sample("dpmpp_2m", lambda y, sigma: gaussian_denoise(y, sigma, rho * z_c, variance), y, sigmas)
        return abs(x.mean().item() - 2 * rho)

    # In closed form the loss is rho z_c sqrt(V / (V + sigma_max^2)) = 0.078; the repair leaves discretisation only.
    assert mean_error(0.0) == pytest.approx(0.078, rel=0.05)
    assert mean_error(rho / SD.sigma_max) < 1e-3


@SCHEDULE
@PREDICTION
@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "diffusers:euler", "diffusers:heun", "diffusers:lms"])
def test_noise_only_is_right_for_deterministic_samplers(name, prediction, schedule):
    deviation = measure(name, schedule, prediction, LAMBDA).noise_only
    # Of the largest element. diffusers' Euler rounds its sample to float32 at each of 20 steps; the others reach 4e-7.
    assert deviation.largest < 1e-6


@pytest.mark.parametrize("name", STOCHASTIC)
def test_noise_only_is_wrong_for_stochastic_samplers_and_refused(name):
    # Most of the prior's mean (lambda times a keyframe of unit variance) is lost: that is why it is refused. The
    # deviation is in units of the largest element, about 2.4.
    assert measure(name, SD, Prediction.EPS, LAMBDA).noise_only.rms > LAMBDA / 2 / 2.4
    with pytest.raises(InputError, match="fresh noise"):
        run(name, lambda y, sigma: y, normal(1, 1, 4), SD, noise_only=True)


def test_deterministic_samplers_accept_noise_only():
    for name in set(EVERY) - set(STOCHASTIC):
        run(name, lambda y, sigma: y, normal(1, 1, 4), SD, steps=4, noise_only=True)


def test_the_committed_table_is_up_to_date():
    """Names, verdicts and orders of magnitude; the last digits of rounding errors differ between machines."""
    path = Path(__file__).parents[3] / "docs/noise-prior.md"
    committed, current = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
        for text in (path.read_text(encoding="utf-8"), document())
    )
    assert len(committed) == len(current) == 2 * len(EVERY)
    for old, new in zip(committed, current, strict=True):
        assert (old[0], old[4]) == (new[0], new[4])
        for column in (1, 2, 3):
            assert float(old[column]) == pytest.approx(float(new[column]), rel=0.1, abs=2e-6)
