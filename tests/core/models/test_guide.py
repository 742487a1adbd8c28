"""The guide and what its readers make of a part that is unknown."""

from dataclasses import replace

import pytest
import torch

from microcinema_core.config import (
    POCKET,
    POCKET_TSR,
    DiffusionConfig,
    Injection,
    Prediction,
    ScheduleName,
    with_injection,
)
from microcinema_core.diffusion.guidance import GuidedDenoiser
from microcinema_core.diffusion.noise import biased_noise, gamma_for, prior_mean, start_noise
from microcinema_core.diffusion.prediction import Denoiser
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.errors import ConfigError
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide, change


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def half_known(clips: int = 2) -> Guide:
    """The left half is known, nothing of the rest."""
    known = torch.zeros(clips, 1, 1, 4, 6, dtype=torch.float64)
    known[..., :3] = 1
    return Guide(normal(clips, 4, 1, 4, 6, seed=1), known)


def test_a_shared_latent_stands_at_every_frame_and_others_at_their_own() -> None:
    shared, own = Guide(normal(1, 4, 1, 2, 2)), Guide(normal(1, 4, 3, 2, 2))
    assert torch.equal(shared.frame(2), shared.latents)
    assert torch.equal(own.frame(2), own.latents[:, :, 2:])


def test_both_coefficients_act_where_the_guide_is_known_and_nowhere_else() -> None:
    guide, eps = half_known(), normal(2, 4, 3, 4, 6, seed=2)
    for mixed in (biased_noise(eps, guide, 0.3), start_noise(eps, guide, 0.3)):
        assert torch.equal(mixed[..., 3:], eps[..., 3:])
        assert torch.equal(mixed[..., :3], (eps + 0.3 * guide.latents)[..., :3])
    everywhere = Guide(guide.latents, torch.ones_like(guide.known))
    assert torch.equal(prior_mean(everywhere, 0.3), prior_mean(Guide(guide.latents), 0.3))


def test_sampling_meets_the_network_as_training_did_where_a_part_is_unknown() -> None:
    guide, z0, eps = half_known(), normal(2, 4, 3, 4, 6, seed=3), normal(2, 4, 3, 4, 6, seed=4)
    schedule, seen = make_schedule(ScheduleName.COSINE), []
    sigma = schedule.sigmas(10)[4]
    denoiser = Denoiser(lambda x, t: seen.append(x) or x, schedule, Prediction.V, 0.3)
    z_t, _ = denoiser.training_pair(z0, guide, eps, schedule.time_of_sigma(sigma))
    denoiser.denoise(z0 + sigma * eps, sigma, guide)
    assert torch.allclose(seen[0], z_t, atol=1e-12)


@pytest.mark.parametrize("clips", [1, 2])
def test_both_branches_of_guidance_see_the_same_unknown_part(clips: int) -> None:
    guide, y, sigma = half_known(clips), normal(2, 4, 3, 4, 6, seed=5), torch.tensor(3.0, dtype=torch.float64)
    denoiser = Denoiser(lambda x, t, text: torch.tanh(x * text), make_schedule(ScheduleName.COSINE), Prediction.V, 0.3)
    cond, uncond = normal(2, 1, 1, 1, 1, seed=6), normal(2, 1, 1, 1, 1, seed=7)
    together = GuidedDenoiser(denoiser, guide, {"text": cond}, {"text": uncond}, 4.0)(y, sigma)
    apart = [denoiser.denoise(y, sigma, guide, text=text) for text in (cond, uncond)]
    assert torch.allclose(together, apart[1] + 4 * (apart[0] - apart[1]), atol=1e-12)


def test_a_guide_moves_as_a_whole() -> None:
    moved = half_known().to("cpu", torch.float16)
    assert (moved.latents.dtype, moved.known.dtype) == (torch.float16, torch.float16)
    assert Guide(normal(1, 4, 1, 2, 2)).to(dtype=torch.float32).known is None


@pytest.mark.parametrize(
    ("asked", "schedule", "gamma"),
    [
        (None, ScheduleName.SD, 0.02),  # the file's
        (0.05, ScheduleName.SD, 0.05),
        (0.0, ScheduleName.SD, 0.0),
        (None, ScheduleName.COSINE, 0.0),  # no signal at the start: nothing to repair
        (None, ScheduleName.SD_ZSNR, 0.0),
        (0.05, ScheduleName.COSINE, 0.05),  # what is asked for is done all the same
    ],
)
def test_gamma_is_what_was_asked_for_else_the_files_where_there_is_something_to_repair(
    asked: float | None, schedule: ScheduleName, gamma: float
) -> None:
    assert gamma_for(asked, DiffusionConfig(schedule), make_schedule(schedule).signal) == gamma


def test_appearnet_reads_what_is_known_of_each_frame() -> None:
    """One convolution over latents and mask, frame by frame; what is not told is known."""
    torch.manual_seed(0)
    network, latents = AppearNet(POCKET.unet).double(), normal(2, 16, 3, 4, 6)
    known = normal(2, 1, 3, 4, 6, seed=1).sigmoid()
    made = network(Guide(latents, known)).concat
    for frame in range(3):
        both = torch.cat([latents[:, :, frame], known[:, :, frame]], 1)
        wanted = torch.nn.functional.conv2d(both, network.concat.weight, network.concat.bias, padding=1)
        assert torch.allclose(made[:, frame], wanted, atol=1e-12)
    assert torch.equal(network(Guide(latents)).concat, network(Guide(latents, torch.ones_like(known))).concat)
    shared = network(Guide(latents[:, :, :1], known)).concat  # one latent for all frames, known in each as far as told
    assert torch.allclose(shared[:, 2], network(Guide(latents[:, :, :1], known[:, :, 2:])).concat[:, 0], atol=1e-12)


def test_appearnet_reads_a_line_as_what_differs_from_that_along_which_it_goes() -> None:
    torch.manual_seed(0)
    network, line, frames = AppearNet(POCKET_TSR.unet).double(), normal(2, 16, 5, 4, 6), normal(2, 16, 5, 4, 6, seed=1)
    known = normal(2, 1, 5, 4, 6, seed=2).sigmoid()
    guide = Guide(line, known, frames)
    made = network(guide).concat
    for frame in range(5):
        read = torch.cat([((line - frames) / change(guide))[:, :, frame], frames[:, :, frame], known[:, :, frame]], 1)
        wanted = torch.nn.functional.conv2d(read, network.concat.weight, network.concat.bias, padding=1)
        assert torch.allclose(made[:, frame], wanted, atol=1e-12)
    for other in (guide.to("cpu", torch.float64), guide.for_branches(2).part(slice(2, None))):
        assert torch.equal(network(other).concat, made)
    assert torch.equal(network(guide.part(slice(1, 2))).concat, made[1:])


def test_what_stays_changes_by_a_share_of_itself_and_what_goes_by_all_of_it() -> None:
    frames = normal(1, 16, 5, 9, 9)
    still = Guide(frames + 0.5, along=frames)
    assert torch.allclose(change(still), torch.full((1, 1, 1, 9, 9), 0.2 * 0.5 + 1e-3, dtype=frames.dtype), atol=1e-6)
    line = frames.clone()
    line[:, :, -1, 4, 4] += 5
    found = change(Guide(line, along=frames))[0, 0, 0]
    near = (found > 0.5).double()
    assert near.sum() == 25  # two latents to every side of what changes
    assert near[2:7, 2:7].all()
    assert torch.allclose(found[0, 0], torch.tensor(1e-3, dtype=frames.dtype))


def test_what_is_unknown_changes_what_is_near_it_in_its_own_frame_alone() -> None:
    torch.manual_seed(0)
    network, latents = AppearNet(POCKET.unet).double(), normal(1, 16, 3, 6, 6)
    known = torch.ones(1, 1, 3, 6, 6, dtype=torch.float64)
    known[0, 0, 1, 0, 0] = 0
    changed = (network(Guide(latents, known)).concat != network(Guide(latents)).concat).any(dim=2)[0]
    assert changed[1, :2, :2].all()
    assert int(changed.sum()) == 4


def test_a_mask_is_read_in_mode_concat_alone() -> None:
    assert with_injection(POCKET, Injection.ADD_BOTH).unet.guide_mask is False
    assert with_injection(POCKET, Injection.CONCAT).unet.guide_mask is True
    with pytest.raises(ConfigError, match="guide_mask goes with injection concat"):
        replace(POCKET.unet, injection=Injection.ADD_BOTH)
    assert with_injection(POCKET_TSR, Injection.ADD_BOTH).unet.along_guide is False
    with pytest.raises(ConfigError, match="along_guide goes with guide_mask"):
        replace(POCKET_TSR.unet, guide_mask=False)
