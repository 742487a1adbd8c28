"""What the codec does beside a GPU: how many frames at once, float16, and float32 where that is not enough."""

import copy

import pytest
import torch

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind
from microcinema_core.shot.settings import TSR_BATCH, segments_at_once
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.standalone.components import load_codec

CPU, GPU = torch.device("cpu"), torch.device("meta")


@pytest.fixture(scope="module")
def codec() -> LatentCodec:
    return load_codec(embedded(Kind.AUTOENCODER))


class Away(torch.nn.Module):
    """The same pictures, by way of numbers that no float16 holds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2.0**20 * 2.0**-20


def in_half(codec: LatentCodec) -> LatentCodec:
    """As on a GPU, computed here."""
    made = copy.deepcopy(codec)
    made.vae.half()
    made.half = True
    return made


@pytest.mark.parametrize(("side", "cpu", "gpu"), [(16, 8, 50), (40, 1, 8), (64, 1, 3), (128, 1, 1)])
def test_a_gpu_gets_more_frames_at_once(codec: LatentCodec, side: int, cpu: int, gpu: int) -> None:
    assert (codec.at_once(side, side, CPU), codec.at_once(side, side, GPU)) == (cpu, gpu)


@pytest.mark.parametrize(("side", "count"), [(1, 8), (16, 8), (40, 8), (48, 5), (64, 3), (96, 1), (1024, 1)])
def test_segments_of_large_frames_go_fewer_at_once(side: int, count: int) -> None:
    assert segments_at_once(TSR_BATCH, side, side) == count
    assert segments_at_once(1, side, side) == 1


def test_float16_is_near_float32(codec: LatentCodec) -> None:
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    latents, halved = codec.encode(pixels), in_half(codec)
    found = halved.encode(pixels)
    assert found.dtype == torch.float32
    # A float16 has eleven bits; some ten layers round one after the other.
    torch.testing.assert_close(found, latents, rtol=0, atol=0.02)
    torch.testing.assert_close(halved.decode(latents), codec.decode(latents), rtol=0, atol=0.01)
    assert halved.half


def test_what_float16_cannot_hold_is_made_in_float32(codec: LatentCodec) -> None:
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    large = copy.deepcopy(codec)
    large.vae.decoder.layers.append(Away())
    expected, halved = large.decode(latents), in_half(large)
    torch.testing.assert_close(halved.decode(latents), expected, rtol=0, atol=0.01)
    assert not halved.half


def test_latents_that_are_no_numbers_stay_none(codec: LatentCodec) -> None:
    halved = in_half(codec)
    assert not halved.decode(torch.full((1, 4, 2, 2), torch.nan)).isfinite().all()
    assert halved.half
