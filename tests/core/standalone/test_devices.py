"""The program's models on a second device: the same latents as on the CPU, for every sampler and every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pretend_device
import pytest
import torch
from PIL import Image
from torch import Tensor

from microcinema_core import cli
from microcinema_core.checkpoint.embedded import POCKET, embedded
from microcinema_core.config import Kind, ScheduleName
from microcinema_core.diffusion.samplers import SAMPLERS, Callback
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.media import to_uint8
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.scene import Motion
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import PictureConfig, SamplingConfig
from microcinema_core.standalone import precision
from microcinema_core.standalone.bundle import Bundle
from microcinema_core.standalone.camera import move
from microcinema_core.standalone.framing import Timing
from microcinema_core.standalone.keyframe import ImagePipeline
from microcinema_core.standalone.painting import Painter, Stroke
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.standalone.schedulers import SCHEDULERS, sample_with_scheduler

CPU = torch.device("cpu")
ONE, TWO = SamplingConfig(steps=1), SamplingConfig(steps=2)
SHORT = ShotConfig(frames=3, width=64, height=64)
Pair = tuple[MicroCinemaPipeline, MicroCinemaPipeline]


@pytest.fixture
def pair(weights: Path, pretend: torch.device) -> Pair:
    """The same model on both devices, in float32."""
    here, there = (
        MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors", device=device, dtype=torch.float32)
        for device in (CPU, pretend)
    )
    return here, there


def keyframe() -> Tensor:
    return torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))


def clip(pipeline: MicroCinemaPipeline, sampling: SamplingConfig, callback: Callback | None = None) -> Tensor:
    """Pixels [1, T, H, W, 3]."""
    made = pipeline(keyframe(), "a red star", SHORT, sampling=sampling, seed=3, callback=callback)
    return torch.from_numpy(made.frames)


def seen(pipeline: MicroCinemaPipeline, sampling: SamplingConfig) -> list[Tensor]:
    """The estimate at every step of a clip, and the clip's own pixels."""
    estimates: list[Tensor] = []
    pixels = clip(pipeline, sampling, lambda _, __, x0: estimates.append(x0))
    assert {one.device for one in estimates} == {pipeline.bundle.device}
    return [*(one.cpu() for one in estimates), pixels]


def test_every_sampler_makes_the_same_latents(pair: Pair) -> None:
    """And one of diffusers' schedulers; all of them, with less of a model, are below."""
    for sampler in (*SAMPLERS, "diffusers:ddpm"):
        here, there = (seen(one, replace(TWO, sampler=sampler)) for one in pair)
        for mine, expected in zip(there, here, strict=True):
            assert torch.equal(mine, expected), sampler


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # what diffusers does with numpy and tensors of a kind
def test_every_scheduler_makes_the_same_latents(pretend: torch.device) -> None:
    noise, schedule = (
        torch.randn(1, 4, 3, 4, 4, generator=torch.Generator().manual_seed(0)),
        make_schedule(ScheduleName.COSINE),
    )

    def made(name: str, device: torch.device) -> Tensor:
        generators, start = [torch.Generator().manual_seed(1)], noise.to(device)
        return sample_with_scheduler(name, lambda y, sigma: y / (1 + sigma), start, schedule, 3, generator=generators)

    for name in SCHEDULERS:
        there = made(name, pretend)
        assert there.device == pretend, name
        assert torch.equal(there.cpu(), made(name, CPU)), name


def test_a_device_computes_in_float16_by_itself(pair: Pair, weights: Path, pretend: torch.device) -> None:
    half = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors", device=pretend)
    assert half.bundle.dtype == torch.float16
    for mine, expected in zip(seen(half, TWO)[:-1], seen(pair[0], TWO)[:-1], strict=True):
        assert (mine - expected).abs().mean() < 0.02 * expected.abs().mean()  # it has eleven bits, and rounds often


def test_a_step_waits_for_the_device_once(pair: Pair) -> None:
    """To learn whether the estimate before was a number, when the next one is under way."""
    for sampler in SAMPLERS:
        waited = []
        for steps in (1, 2):
            pretend_device.waits.clear()
            clip(pair[1], SamplingConfig(steps=steps, sampler=sampler))
            waited.append(len(pretend_device.waits))
        assert waited[1] - waited[0] == 1, sampler


def test_a_camera_and_an_exact_keyframe(pair: Pair) -> None:
    motion = Motion(Plan(Camera(horizontal=0.1)))
    shot = ShotConfig(frames=3, width=64, height=64, exact_keyframe=True, share_attention=True)
    here, there = (one(keyframe(), "a star", shot, sampling=TWO, motion=motion).frames for one in pair)
    assert np.array_equal(here, there)


@pytest.mark.parametrize("composer", [None, embedded(Kind.COMPOSER, POCKET)], ids=["plain", "composer"])
def test_what_is_painted_on_a_camera_s_clip(composer: Path | None, pocket: Path, pretend: torch.device) -> None:
    take = move(keyframe(), Motion(Plan(Camera(pan=5.0))), Timing(3, 2.0))
    here, there = (
        Painter.from_pretrained(
            pocket / "pocket-video.safetensors", device=device, dtype=torch.float32, composer=composer
        ).paint(take, [Stroke("it snows"), Stroke("it rains", torch.ones(1, 64, 64))], sampling=ONE)
        for device in (CPU, pretend)
    )
    for mine, expected in zip(there, here, strict=True):
        assert np.array_equal(mine, expected)


def test_a_shot_with_all_that_goes_into_it(pair: Pair, tmp_path: Path) -> None:
    """Chained clips, temporal super-resolution and a workspace, from which another call goes on."""
    shot = ShotConfig(width=64, height=64, frames=3, after=1, passes=1)
    made = []
    for number, pipeline in enumerate(pair):
        for _ in range(2):
            kept = tmp_path / str(number)
            shooting = pipeline.shoot(keyframe(), "a star", shot, sampling=TWO, tsr_sampling=ONE, workspace=kept)
            made.append(np.stack(list(shooting)))
    assert all(np.array_equal(one, made[0]) for one in made)


def test_the_program_takes_the_device(
    weights: Path, pretend: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(to_uint8(keyframe())).save(tmp_path / "key.png")
    model, asked = weights / "toybox-video.safetensors", ["--prompt=a star", "--frames=3", "--precision=fp32"]
    for device in (CPU, pretend):
        monkeypatch.setattr(precision, "default_device", lambda: device)  # noqa: B023 - asked at once
        words = [*asked, "--steps=1", "--passes=1", "--tsr-steps=1", f"--out={tmp_path / device.type}/"]
        assert cli.run(["animate", f"--image={tmp_path / 'key.png'}", f"--model={model}", *words]) == cli.DONE
    here, there = (sorted((tmp_path / name).glob("*.png")) for name in ("cpu", "pretend"))
    assert len(here) == len(there) == 9
    for mine, expected in zip(there, here, strict=True):
        assert np.array_equal(np.asarray(Image.open(mine)), np.asarray(Image.open(expected)))


def test_pictures_from_words(weights: Path, pretend: torch.device) -> None:
    file, picture = weights / "toybox-image.safetensors", PictureConfig(steps=2)
    here, there = (
        ImagePipeline.from_pretrained(file, device=device, dtype=torch.float32)("a red star", picture).pictures
        for device in (CPU, pretend)
    )
    assert np.array_equal(here, there)


def test_encoding_and_decoding(weights: Path, pretend: torch.device) -> None:
    file = weights / "toybox-video.safetensors"
    here, there = (Bundle.load(file, Kind.VIDEO, device, torch.float32, "sdpa") for device in (CPU, pretend))
    pixels = keyframe()[None]
    latents = there.codec.encode(pixels.to(pretend))
    assert latents.device == pretend
    assert torch.equal(latents.cpu(), here.codec.encode(pixels))
    assert torch.equal(there.codec.decode(latents).cpu(), here.codec.decode(latents.cpu()))
    text = there.prompts(["a red star", ""])
    assert torch.equal(text.prompt.cpu(), here.prompts(["a red star", ""]).prompt)
