"""A model that fills, before it has learnt anything: the best guess from what is known, whatever the noise."""

import math
from dataclasses import replace

import pytest
import torch

from microcinema_core.config import POCKET, POCKET_FILL, ScheduleName
from microcinema_core.diffusion.prediction import Denoiser
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.errors import ConfigError
from microcinema_core.models.filling import KNOWN, UNKNOWN, expected_v
from microcinema_core.models.guide import Guide, beside
from microcinema_core.models.unet import VideoUNet
from microcinema_core.models.zero_start import zero_start_

SMALL = replace(POCKET_FILL, unet=replace(POCKET_FILL.unet, block_out_channels=(16, 32, 32), attention_heads=(1, 2, 2)))


def guide() -> Guide:
    known = torch.ones(2, 1, 1, 8, 8)
    known[..., 4:] = 0
    return Guide(torch.randn(2, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0)), known)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.95])
def test_the_guess_is_the_mean_of_a_gaussian(t: float) -> None:
    """Of z_0 = guide + r: what least squares over many draws gives, at one place and noise level."""
    said, draws = guide(), 20_000
    generator = torch.Generator().manual_seed(1)
    alpha, s = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
    for column, variance in ((0, KNOWN), (7, KNOWN + UNKNOWN)):
        g, known = (part[0, 0, 0, 0, column] for part in (said.latents, said.known))
        z_0 = g + math.sqrt(variance) * torch.randn(draws, generator=generator)
        eps = torch.randn(draws, generator=generator)
        z_t, v = alpha * z_0 + s * eps, alpha * eps - s * z_0
        x = torch.stack([z_t, g.expand(draws), known.expand(draws)], 1)[..., None, None, None]
        guessed = expected_v(x, torch.full((draws,), t))[:, 0, 0, 0, 0]
        residual = v - guessed
        assert abs(float(residual.mean())) < 4 / math.sqrt(draws)
        assert abs(float((residual * (z_t - z_t.mean())).mean())) < 4 * float(z_t.std()) / math.sqrt(draws)


def test_an_untrained_model_sees_the_guide_in_pure_noise() -> None:
    unet, said = VideoUNet(SMALL.unet), guide()
    zero_start_(unet)
    schedule = make_schedule(ScheduleName.COSINE)
    network = lambda x, t, context: unet(beside(x, said), t, context)  # noqa: E731
    denoiser = Denoiser(network, schedule, SMALL.diffusion.prediction, 0.0)
    sigma = torch.tensor(schedule.sigma_max)
    y = sigma * torch.randn(said.latents.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        made = denoiser.denoise(y, sigma, None, context=torch.zeros(2, 1, 128))
    assert torch.allclose(made, said.latents, atol=0.01)  # a 500th of the noise is left


def test_text_is_not_read_and_what_is_known_is() -> None:
    torch.manual_seed(0)
    unet, x, t = VideoUNet(SMALL.unet), torch.randn(1, 33, 1, 8, 8), torch.tensor([0.5])
    with torch.no_grad():
        plain, said = (unet(x, t, context) for context in (torch.zeros(1, 1, 128), torch.randn(1, 7, 128)))
        x[:, 20] += 1
        other = unet(x, t, torch.zeros(1, 1, 128))
    assert plain.shape == (1, 16, 1, 8, 8)
    assert torch.equal(plain, said)
    assert not torch.allclose(plain, other)


def test_what_does_not_go_with_filling_is_refused() -> None:
    with pytest.raises(ConfigError, match="fills is of the image stage"):
        replace(POCKET_FILL.unet, temporal=True)
    with pytest.raises(ConfigError, match="without reads_text"):
        replace(POCKET.unet, reads_text=False)
    with pytest.raises(ConfigError, match="schedule cosine and prediction v"):
        replace(POCKET_FILL, diffusion=replace(POCKET_FILL.diffusion, schedule=ScheduleName.SD))


def test_the_preset_is_small() -> None:
    assert sum(p.numel() for p in VideoUNet(POCKET_FILL.unet).parameters()) < 6_000_000
