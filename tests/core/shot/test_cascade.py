"""Temporal super-resolution: counts, unchanged ends, and results that do not depend on batching."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from microcinema_core.config import TOYBOX_TSR, ModelConfig
from microcinema_core.errors import InputError
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.guide import Guide
from microcinema_core.models.unet import VideoUNet
from microcinema_core.shot.cascade import Guides, cascade
from microcinema_core.shot.segments import ends_of, linear_frames
from microcinema_core.shot.settings import TSR_SAMPLING
from microcinema_core.shot.timing import frame_count, segment_count
from microcinema_core.standalone.sampling import NoiseStream, Text, sample_segments

LENGTH, FRAMES, SIZE, FPS = 8, 5, 6, 2.0
NULL = Text(torch.zeros(1, LENGTH, 16), torch.zeros(1, LENGTH, 16))


def small() -> ModelConfig:
    unet = replace(TOYBOX_TSR.unet, block_out_channels=(16, 16), attention_heads=(1, 1), cross_attention_dim=16)
    return replace(TOYBOX_TSR, unet=replace(unet, norm_groups=4), text=None, vae=None)


@pytest.fixture(scope="module")
def networks() -> tuple[VideoUNet, AppearNet]:
    torch.manual_seed(0)
    config = small()
    return VideoUNet(config.unet).eval(), AppearNet(config.unet, text_length=LENGTH).eval()


def clip(frames: int) -> list[Tensor]:
    return list(torch.randn(frames, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(1)))


@torch.no_grad()
def run(networks: tuple[VideoUNet, AppearNet], *, batch: int, sampler: str = TSR_SAMPLING.sampler) -> Tensor:
    config = small()

    def interpolate(ends: Tensor, level: int, indices: range) -> Tensor:
        noise = [NoiseStream.segment(3, level, i) for i in indices]
        dials = replace(TSR_SAMPLING, steps=2, sampler=sampler)
        return sample_segments(networks, config, ends, level, FPS, NULL, noise, dials)

    return torch.stack(list(cascade(clip(9), interpolate, 2, batch)))


def test_counts() -> None:
    assert [frame_count(9, 4, passes) for passes in range(3)] == [9, 33, 129]
    assert frame_count(33, 4, 2) == 513
    assert [segment_count(9, 4, passes) for passes in range(3)] == [0, 8, 40]


def test_given_frames_come_back_unchanged(networks: tuple[VideoUNet, AppearNet]) -> None:
    made = run(networks, batch=8)
    assert len(made) == 129
    assert torch.equal(made[::16], torch.stack(clip(9)))
    assert not torch.allclose(made[2], made[0])


# diffusers adds in float32 where the noise level is 500, so rounding alone is larger there.
@pytest.mark.parametrize(
    ("sampler", "tolerance"), [("dpmpp_2m", 1e-5), ("euler_ancestral", 1e-5), ("diffusers:euler_ancestral", 1e-4)]
)
def test_result_does_not_depend_on_the_batch(
    networks: tuple[VideoUNet, AppearNet], sampler: str, tolerance: float
) -> None:
    eight = run(networks, batch=8, sampler=sampler)
    for batch in (1, 3):
        other = run(networks, batch=batch, sampler=sampler)
        assert (other - eight).abs().max() <= tolerance * eight.abs().max()


def test_each_segment_pass_and_seed_has_noise_of_its_own(networks: tuple[VideoUNet, AppearNet]) -> None:
    still = clip(1) * 3  # two equal segments in the first pass
    streams = {(seed, level, i) for seed in (3, 4) for level in (0, 1) for i in (0, 1)}
    config = small()
    ends = torch.stack(still[:2], dim=1)[None]
    with torch.no_grad():
        made = [
            sample_segments(networks, config, ends, 0, FPS, NULL, [NoiseStream.segment(*s)], TSR_SAMPLING)
            for s in sorted(streams)
        ]
    for i, one in enumerate(made):
        for other in made[i + 1 :]:
            assert not torch.allclose(one[:, :, 1:-1], other[:, :, 1:-1], atol=1e-3)


def test_passes_are_streamed(networks: tuple[VideoUNet, AppearNet]) -> None:
    """The first frames of the second pass come out before the first pass has read its last."""
    read = 0

    def frames():
        nonlocal read
        for frame in clip(9):
            read += 1
            yield frame

    stream = cascade(frames(), lambda ends, level, indices: linear_frames(ends, FRAMES), 2, batch=2)
    for _ in range(20):
        next(stream)
    assert read <= 5
    assert len(list(stream)) == 109


@torch.no_grad()
def test_a_model_of_remainders_adds_them_to_the_line(networks: tuple[VideoUNet, AppearNet]) -> None:
    """What it makes is off the line in proportion to the pass's deviation; a pass without one is refused."""
    config = small()
    ends = torch.stack(clip(2), dim=1)[None]
    noise = [NoiseStream.segment(1, 0, 0)]

    def off_the_line(level: int, *deviations: float) -> Tensor:
        diffusion = replace(config.diffusion, residual_std=deviations)
        made = sample_segments(
            networks, replace(config, diffusion=diffusion), ends, level, 8 / 4 ** (level + 1), NULL, noise, TSR_SAMPLING
        )
        assert torch.equal(ends_of(made), ends)
        return (made - linear_frames(ends, FRAMES))[:, :, 1:-1]

    first, second = off_the_line(0, 0.5, 0.1), off_the_line(1, 0.5, 0.1)
    assert first.std() > 0.1
    assert torch.allclose(first, 5 * second, atol=1e-5)
    with pytest.raises(InputError, match="2 passes"):
        off_the_line(2, 0.5, 0.1)


@pytest.mark.parametrize(("frames", "batch"), [(9, 1), (9, 3), (9, 8), (65, 3)])
def test_every_segment_gets_the_guides_of_its_own_frames_and_few_are_held(frames: int, batch: int) -> None:
    """Guides that say their number: a pass that is right makes them again."""
    count = frame_count(frames, 4, 2)
    read, most = 0, 0

    def stream():
        nonlocal read
        for number in range(count):
            read += 1
            yield Guide(torch.full((1, 1, 1, 1, 1), float(number)))

    guides = Guides(stream(), 4, 2)

    def interpolate(ends: Tensor, level: int, indices: range) -> Tensor:
        made = guides.of(level, indices).latents
        assert torch.equal(ends_of(made), ends)
        return made

    given = (torch.full((1, 1, 1), 16.0 * i) for i in range(frames))
    for number, frame in enumerate(cascade(given, interpolate, 2, batch)):
        assert frame.item() == number
        most = max(most, read - number)
    assert number == count - 1
    assert most <= (16 + 4) * batch + 1


def test_a_guide_that_ends_too_early_is_refused() -> None:
    guides = Guides((Guide(torch.zeros(1, 1, 1, 1, 1)) for _ in range(16)), 4, 2)
    with pytest.raises(InputError, match="ends after 16 frames"):
        guides.of(0, range(1))
