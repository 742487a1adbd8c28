"""Noise schedules: published constants, inverses, endpoints."""

import math

import pytest
import torch

from microcinema_core.config import ScheduleName
from microcinema_core.diffusion.schedule import make_schedule, scaled_linear_abar, zero_terminal_abar
from microcinema_core.errors import InputError

SD, ZSNR, COSINE = (make_schedule(name) for name in (ScheduleName.SD, ScheduleName.SD_ZSNR, ScheduleName.COSINE))
ALL = pytest.mark.parametrize("schedule", [SD, ZSNR, COSINE], ids=list(ScheduleName))
DISCRETE = pytest.mark.parametrize("schedule", [SD, ZSNR], ids=["sd", "sd_zsnr"])


def test_sd_has_its_known_noise_levels():
    """k-diffusion's figures for Stable Diffusion, to the digits that are quoted everywhere."""
    assert SD.sigma_min == pytest.approx(0.0292, abs=5e-5)
    assert SD.sigma_max == pytest.approx(14.6146, abs=5e-5)
    assert SD.alpha_sigma(torch.tensor(999.0))[0].item() == pytest.approx(0.068, abs=5e-4)


def test_zero_terminal_snr_keeps_the_first_level_and_loses_the_last_signal():
    assert ZSNR.sigma_min == pytest.approx(SD.sigma_min, rel=1e-12)
    alpha, s = ZSNR.alpha_sigma(torch.tensor(999.0, dtype=torch.float64))
    assert alpha < 3e-4
    assert s == pytest.approx(1.0, abs=1e-7)
    original = scaled_linear_abar().sqrt()
    root = zero_terminal_abar(scaled_linear_abar()).sqrt()
    # A shift and a stretch of sqrt(abar): differences keep their proportions (the last entry is the host's constant).
    stretched = (root[:-1] - root[1]) / (root[0] - root[1])
    assert torch.allclose(stretched, (original[:-1] - original[1]) / (original[0] - original[1]), rtol=1e-9, atol=1e-9)


@ALL
def test_signal_and_noise_are_variance_preserving_and_finite(schedule):
    t = torch.linspace(0, 1 if schedule is COSINE else 999, 1000, dtype=torch.float64)
    alpha, s = schedule.alpha_sigma(t)
    assert torch.allclose(alpha**2 + s**2, torch.ones_like(t), atol=1e-14)
    assert (alpha.diff() < 0).all()
    sigma = schedule.sigma_of_time(t)
    assert sigma.isfinite().all()
    inside = sigma < schedule.sigma_max
    assert torch.allclose(sigma[inside], (s / alpha)[inside], rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cosine_ends_at_exactly_no_signal(dtype):
    alpha, s = COSINE.alpha_sigma(torch.ones((), dtype=dtype))
    assert alpha == 0
    assert s == 1


def test_cosine_is_the_tangent():
    t = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    assert torch.allclose(COSINE.sigma_of_time(t), torch.tan(t * math.pi / 2), rtol=1e-14)
    assert COSINE.sigmas(1)[0].item() == pytest.approx(500, rel=1e-9)


@pytest.mark.parametrize(
    ("schedule", "table"),
    [(SD, scaled_linear_abar()), (ZSNR, zero_terminal_abar(scaled_linear_abar()))],
    ids=["sd", "sd_zsnr"],
)
def test_times_of_the_table_are_their_own_inverse(schedule, table):
    t = torch.arange(1000, dtype=torch.float64)
    assert torch.equal(schedule.time_of_sigma(schedule.sigma_of_time(t)), t)
    abar = schedule.alpha_sigma(t)[0] ** 2
    assert torch.allclose(abar, table, rtol=1e-10)


@DISCRETE
def test_other_sigmas_go_to_the_nearest_time_in_log_sigma(schedule):
    low, high = schedule.sigma_of_time(torch.tensor([500.0, 501.0], dtype=torch.float64))
    between = torch.stack([low**0.6 * high**0.4, low**0.4 * high**0.6])
    assert schedule.time_of_sigma(between).tolist() == [500, 501]
    assert schedule.time_of_sigma(torch.tensor([0.0, 1e9])).tolist() == [0, 999]


def test_cosine_time_is_the_inverse_of_sigma():
    sigma = torch.logspace(-3, 2.69, 50, dtype=torch.float64)
    assert torch.allclose(COSINE.sigma_of_time(COSINE.time_of_sigma(sigma)), sigma, rtol=1e-10)


@ALL
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 1000])
def test_runs_start_at_sigma_max_fall_and_end_at_zero(schedule, steps):
    sigmas = schedule.sigmas(steps)
    assert sigmas.shape == (steps + 1,)
    assert sigmas.dtype == torch.float64
    assert sigmas[0].item() == pytest.approx(schedule.sigma_max, rel=1e-9)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_sd_runs_are_spaced_as_diffusers_trailing_spacing():
    assert SD.time_of_sigma(SD.sigmas(4)[:-1]).tolist() == [999, 749, 499, 249]


@ALL
def test_impossible_runs_are_refused(schedule):
    with pytest.raises(InputError, match="at least 1"):
        schedule.sigmas(0)


def test_a_table_cannot_give_more_steps_than_it_has():
    with pytest.raises(InputError, match="1000"):
        SD.sigmas(1001)


def test_training_times_lean_towards_noise_as_the_power_says():
    u = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for k in (1.0, 2.0):
        # E[1 - u^k] = 1 - 1/(k+1); the standard error of 20000 draws is below 0.0022, five of them are 0.011.
        assert COSINE.sample_time(u, k).mean().item() == pytest.approx(1 - 1 / (k + 1), abs=0.011)
        assert SD.sample_time(u, k).mean().item() / 999 == pytest.approx(1 - 1 / (k + 1), abs=0.011)


def test_discrete_training_times_cover_the_table_evenly():
    u = (torch.arange(10000, dtype=torch.float64) + 0.5) / 10000
    t = SD.sample_time(u, 1.0)
    assert torch.equal(t.long().bincount(), torch.full((1000,), 10))
    assert SD.sample_time(torch.tensor([0.0, 1.0]), 1.0).tolist() == [999, 0]
