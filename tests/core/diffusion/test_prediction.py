"""Targets, conversions, the Denoiser's scaling, noise and guidance."""

import pytest
import torch

from microcinema_core.config import Prediction, ScheduleName
from microcinema_core.diffusion.guidance import GuidedDenoiser, guided
from microcinema_core.diffusion.noise import biased_noise, draw_noise, noise_only_start, start_noise
from microcinema_core.diffusion.prediction import Denoiser, noisy, target, to_x0
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.models.guide import Guide

COSINE, SD = make_schedule(ScheduleName.COSINE), make_schedule(ScheduleName.SD)
BOTH = pytest.mark.parametrize("prediction", list(Prediction))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@BOTH
@pytest.mark.parametrize("schedule", [SD, COSINE], ids=["sd", "cosine"])
def test_the_target_gives_back_the_data(prediction, schedule):
    z0, eps = normal(3, 4, 2, 5, 5), normal(3, 4, 2, 5, 5, seed=1)
    alpha, s = schedule.alpha_sigma(torch.tensor([0.1, 0.5, 0.9]).double() * (1 if schedule is COSINE else 1000))
    z_t = noisy(z0, eps, alpha, s)
    output = target(prediction, z0, eps, alpha, s)
    assert torch.allclose(to_x0(prediction, output, z_t, alpha, s), z0, atol=1e-13)


def test_each_item_is_noised_at_its_own_time():
    z0, eps = normal(2, 1, 1, 2, 2), normal(2, 1, 1, 2, 2, seed=1)
    alpha, s = COSINE.alpha_sigma(torch.tensor([0.0, 1.0], dtype=torch.float64))
    z_t = noisy(z0, eps, alpha, s)
    assert torch.equal(z_t[0], z0[0])
    assert torch.equal(z_t[1], eps[1])


def test_v_without_signal_is_minus_the_data():
    """At alpha = 0 the v target is -z_0, finite, and the estimate of z_0 exists (eps has none there)."""
    z0, eps = normal(1, 4, 2, 3, 3), normal(1, 4, 2, 3, 3, seed=1)
    alpha, s = COSINE.alpha_sigma(torch.tensor(1.0, dtype=torch.float64))
    v = target(Prediction.V, z0, eps, alpha, s)
    assert torch.equal(v, -z0)
    assert torch.equal(to_x0(Prediction.V, v, noisy(z0, eps, alpha, s), alpha, s), z0)


@BOTH
def test_training_pairs_use_the_biased_noise(prediction):
    z0, z_c, eps_n = normal(2, 4, 3, 2, 2), normal(2, 4, 1, 2, 2, seed=1), normal(2, 4, 3, 2, 2, seed=2)
    t = torch.tensor([0.3, 1.0], dtype=torch.float64)
    z_t, wanted = Denoiser(lambda x, t: x, COSINE, prediction, 0.03).training_pair(z0, Guide(z_c), eps_n, t)
    alpha, s = (torch.tensor([[a], [b]]).double().reshape(2, 1, 1, 1, 1) for a, b in
                ((0.8910065241883679, 0.0), (0.45399049973954675, 1.0)))  # fmt: skip
    eps = 0.03 * z_c + eps_n
    assert torch.allclose(z_t, alpha * z0 + s * eps, atol=1e-14)
    assert torch.allclose(wanted, eps if prediction is Prediction.EPS else alpha * eps - s * z0, atol=1e-14)


@BOTH
@pytest.mark.parametrize("schedule", [SD, COSINE], ids=["sd", "cosine"])
def test_the_sampler_meets_the_network_as_training_did(prediction, schedule):
    """At the same level and noise the network sees the same input and time in sampling as in training."""
    z0, z_c, eps_n = normal(2, 4, 3, 2, 2), normal(2, 4, 1, 2, 2, seed=1), normal(2, 4, 3, 2, 2, seed=2)
    sigma = schedule.sigmas(10)[4]
    t = schedule.time_of_sigma(sigma)
    seen = []

    def oracle(x_in, time):
        seen.append((x_in, time))
        return denoiser.training_pair(z0, Guide(z_c), eps_n, t)[1]

    denoiser = Denoiser(oracle, schedule, prediction, 0.3)
    z_t, _ = denoiser.training_pair(z0, Guide(z_c), eps_n, t)
    x0 = denoiser.denoise(z0 + sigma * eps_n, sigma, Guide(z_c))
    assert torch.allclose(seen[0][0], z_t, atol=1e-12)
    assert torch.allclose(seen[0][1], t.expand(2), atol=1e-14)
    assert torch.allclose(x0, z0, atol=1e-12)


def test_sigma_may_differ_between_items():
    z_c = normal(2, 4, 1, 2, 2)
    denoiser = Denoiser(lambda x, t: torch.tanh(x) * t.reshape(-1, 1, 1, 1, 1), COSINE, Prediction.V, 0.03)
    y, sigma = normal(2, 4, 3, 2, 2, seed=1), torch.tensor([0.5, 20.0], dtype=torch.float64)
    both = denoiser.denoise(y, sigma, Guide(z_c))
    for i in range(2):
        alone = denoiser.denoise(y[i : i + 1], sigma[i], Guide(z_c[i : i + 1]))
        assert torch.allclose(both[i : i + 1], alone, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_samples_precision_is_kept_and_time_is_not_rounded_to_half(dtype):
    times = []

    def network(x_in, t):
        times.append(t)
        return x_in

    y = torch.ones(1, 4, 1, 2, 2, dtype=dtype)
    x0 = Denoiser(network, COSINE, Prediction.V, 0.03).denoise(y, torch.tensor(500.0), Guide(y))
    assert x0.dtype == dtype
    assert x0.isfinite().all()
    assert times[0].dtype == torch.float32
    assert times[0].item() == pytest.approx(0.99873, abs=1e-5)


def test_a_model_without_the_prior_needs_no_guide():
    y = normal(1, 4, 2, 2)  # an image: [B, C, H, W]
    sigma = torch.tensor(2.0, dtype=torch.float64)
    without = Denoiser(lambda x, t: x, COSINE, Prediction.V, 0.0)
    assert without.denoise(y, sigma, None).shape == y.shape
    with pytest.raises(ValueError, match="guide"):
        Denoiser(lambda x, t: x, COSINE, Prediction.V, 0.03).denoise(y, sigma, None)


def test_the_three_noises_differ_by_their_means():
    eps_n, z_c = normal(1, 4, 3, 2, 2), normal(1, 4, 1, 2, 2, seed=1)
    assert torch.allclose(biased_noise(eps_n, Guide(z_c), 0.03) - eps_n, (0.03 * z_c).expand_as(eps_n), atol=1e-15)
    assert torch.allclose(start_noise(eps_n, Guide(z_c), 0.02) - eps_n, (0.02 * z_c).expand_as(eps_n), atol=1e-15)
    paper = noise_only_start(eps_n, Guide(z_c), 0.03, 0.02)
    assert torch.allclose(paper - eps_n, (0.05 * z_c).expand_as(eps_n), atol=1e-15)


def test_noise_depends_on_seed_and_stream_alone():
    first = draw_noise(7, (1, 4, 3, 2, 2), 1, 2)
    assert torch.equal(first, draw_noise(7, (1, 4, 3, 2, 2), 1, 2))
    for other in (draw_noise(8, first.shape, 1, 2), draw_noise(7, first.shape, 2, 1), draw_noise(7, first.shape)):
        assert not torch.allclose(first, other)
    assert torch.equal(draw_noise(7, first.shape, 1, 2, dtype=torch.float64), first.double())
    many = draw_noise(-1, (100_000,))
    # Five standard errors of 100000 draws: 0.016 for the mean, 0.023 for the variance.
    assert abs(many.mean().item()) < 0.016
    assert abs(many.var().item() - 1) < 0.023


class Counting:
    """A network that scales by its context and counts its calls and batch."""

    def __init__(self):
        self.batches = []

    def __call__(self, x_in, t, *, context, frame_time):
        self.batches.append(x_in.shape[0])
        return torch.tanh(x_in * context) + frame_time.sum()


@pytest.mark.parametrize("clips", [1, 2])
@BOTH
def test_guidance_in_one_call_is_guidance_in_two(prediction, clips):
    y, z_c = normal(clips, 4, 3, 2, 2), normal(clips, 4, 1, 2, 2, seed=1)
    cond, uncond = normal(clips, 4, 1, 1, 1, seed=2), normal(clips, 4, 1, 1, 1, seed=3)
    shared = torch.tensor([-0.5, 0.0, 0.5], dtype=torch.float64)
    network = Counting()
    denoiser = Denoiser(network, COSINE, prediction, 0.03)
    sigma = torch.tensor(3.0, dtype=torch.float64)
    arguments = ({"context": cond, "frame_time": shared}, {"context": uncond, "frame_time": shared}, 7.5)
    together = GuidedDenoiser(denoiser, Guide(z_c), *arguments)(y, sigma)
    assert network.batches == [2 * clips]
    by_hand = [denoiser.denoise(y, sigma, Guide(z_c), context=c, frame_time=shared) for c in (cond, uncond)]
    assert torch.allclose(together, by_hand[1] + 7.5 * (by_hand[0] - by_hand[1]), atol=1e-12)


def test_scale_one_runs_one_branch_only():
    network = Counting()
    zeros = torch.zeros(3)
    guided = GuidedDenoiser(
        Denoiser(network, COSINE, Prediction.V, 0.0),
        None,
        {"context": torch.ones(1), "frame_time": zeros},
        {"context": torch.zeros(1), "frame_time": zeros},
        1.0,
    )
    guided(torch.ones(1, 4, 3, 2, 2), torch.tensor(1.0))
    assert network.batches == [1]


def test_guidance_refuses_branches_it_cannot_join():
    denoiser = Denoiser(Counting(), COSINE, Prediction.V, 0.0)
    with pytest.raises(ValueError, match="unconditional"):
        GuidedDenoiser(denoiser, None, {}, None, 2.0)
    y, sigma = torch.ones(1, 4, 3, 2, 2), torch.tensor(1.0)
    with pytest.raises(ValueError, match="differ"):
        GuidedDenoiser(denoiser, None, {"context": y}, {}, 2.0)(y, sigma)
    with pytest.raises(ValueError, match="no tensor"):
        GuidedDenoiser(denoiser, None, {"context": "a"}, {"context": "b"}, 2.0)(y, sigma)


def test_scale_zero_is_the_unconditional_branch():
    assert guided(torch.tensor(3.0), torch.tensor(1.0), 0.0) == 1
