"""Shots: plans that are exact beforehand, and what the pipeline makes of them with small random networks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from microcinema_core.config import ClipConfig
from microcinema_core.errors import Cancelled, InputError
from microcinema_core.shot.plan import Loop, ShotConfig, plan_shot
from microcinema_core.shot.segments import Segments
from microcinema_core.shot.settings import TSR_SAMPLING, SamplingConfig
from microcinema_core.standalone.pipeline import MicroCinemaPipeline, Shot
from microcinema_core.worlds.toybox.world import Background, Colour, Motion, Scene, Shape, Speed, render

CLIP = ClipConfig(width=64, height=64)
SEGMENTS = Segments(5)
SCENE = Scene(Shape.STAR, Colour.RED, Motion.LEFT, Speed.FAST, Background.SKY, 0.5, 0.4, 0.16, 0.3)
FAST: dict[str, Any] = {"sampling": SamplingConfig(steps=2), "tsr_sampling": replace(TSR_SAMPLING, steps=1)}


def picture(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(render(SCENE, [0.0], 64)[0]).resize((width, height))


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> MicroCinemaPipeline:
    return MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")


def made(shot: Shot) -> np.ndarray:
    frames = np.stack(list(shot))
    assert len(frames) == len(shot)
    return frames


@pytest.mark.parametrize(
    ("controls", "frames", "fps", "key"),
    [
        ({}, 129, 32, 64),
        ({"passes": 1}, 33, 8, 16),
        ({"passes": 0}, 9, 2, 4),
        ({"passes": 0, "keyframe_at": "last"}, 9, 2, 8),
        ({"passes": 0, "before": 1, "after": 2}, 33, 2, 12),
        ({"passes": 2, "before": 1, "after": 2}, 513, 32, 192),
        ({"passes": 1, "loop": Loop.JOIN}, 36, 8, 16),
        ({"passes": 1, "loop": Loop.PING_PONG}, 64, 8, 16),
        ({"fps": 24}, 97, 24, 48),
        ({"fps": 30, "duration": 2}, 60, 30, 30),
        ({"fps": 25, "duration": 10}, 250, 25, None),
        ({"duration": 3, "keyframe_at": "first"}, 96, 32, 0),
        ({"duration": 6, "loop": Loop.PING_PONG}, 192, 32, None),
        ({"fps": 30, "duration": 60, "keyframe_at": "first"}, 1800, 30, 0),
    ],
)  # fmt: skip
def test_a_plan_knows_its_frames(controls: dict[str, Any], frames: int, fps: float, key: int | None) -> None:
    plan = plan_shot(ShotConfig(**controls), CLIP, SEGMENTS)
    assert (plan.frames, plan.fps) == (frames, Fraction(fps))
    if key is not None:
        assert plan.keyframe == key


@pytest.mark.parametrize(
    ("controls", "clips"),
    [
        ({"keyframe_at": "first"}, (0, 2)),
        ({"keyframe_at": "last"}, (2, 0)),
        ({"keyframe_at": "centre"}, (1, 1)),
    ],
)
def test_a_long_duration_adds_clips_where_the_keyframe_leaves_room(controls: dict[str, Any], clips: Any) -> None:
    plan = plan_shot(ShotConfig(duration=10, **controls), CLIP, SEGMENTS)
    assert (plan.before, plan.after) == clips


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ({"passes": 3}, "passes"),
        ({"before": -1}, "before"),
        ({"after": 10**9}, "after"),
        ({"motion": float("nan")}, "motion"),
        ({"motion": 5}, "motion"),
        ({"fps": 0}, "frame rate"),
        ({"fps": float("inf")}, "frame rate"),
        ({"duration": 0}, "duration"),
        ({"duration": 1e9}, "duration"),
        ({"passes": 0, "loop": Loop.JOIN}, "loop"),
        ({"frames": 1, "after": 1}, "one frame"),
        ({"keyframe_at": "middle"}, "position"),
    ],
)
def test_what_cannot_be_shot_is_refused(controls: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan_shot(ShotConfig(**controls), CLIP, SEGMENTS)


def test_a_model_that_goes_along_a_cameras_frames_makes_no_passes_of_a_shot() -> None:
    along = replace(SEGMENTS, along=True)
    assert plan_shot(ShotConfig(), CLIP, along) == plan_shot(ShotConfig(), CLIP, None)
    with pytest.raises(InputError, match="line goes along a camera's frames, for what is painted"):
        plan_shot(ShotConfig(passes=1), CLIP, along)


def test_the_slow_frames_of_a_shot_are_those_of_its_clip(pipeline: MicroCinemaPipeline) -> None:
    clip = pipeline(picture(), "a red star", sampling=SamplingConfig(steps=2), seed=5).frames[0]
    shot = made(pipeline.shoot(picture(), "a red star", seed=5, **FAST))
    assert len(shot) == 129
    assert np.abs(shot[::16].astype(int) - clip).max() <= 1  # decoded in other batches


def test_chained_clips_share_their_frames_and_differ(pipeline: MicroCinemaPipeline) -> None:
    alone = made(pipeline.shoot(picture(), "a red star", ShotConfig(passes=0), **FAST))
    chained = made(pipeline.shoot(picture(), "a red star", ShotConfig(passes=0, before=1, after=2), **FAST))
    assert len(chained) == 33
    assert np.abs(chained[8:17].astype(int) - alone).max() <= 1
    assert not np.array_equal(chained[17:25], chained[25:33])


def test_an_exact_keyframe_is_the_round_trip_of_what_was_given(pipeline: MicroCinemaPipeline) -> None:
    pixels = torch.from_numpy(np.asarray(picture()).copy()).movedim(-1, 0)[None] / 255
    codec = pipeline.bundle.codec
    trip = (codec.decode(codec.encode(pixels))[0] * 255).round().byte().movedim(0, -1).numpy()
    for sampler in ("dpmpp_2m", "euler_ancestral", "diffusers:unipc"):
        for at, index in (("centre", 4), ("first", 0), ("last", 8)):
            shot = ShotConfig(passes=0, exact_keyframe=True, keyframe_at=at)
            frames = made(
                pipeline.shoot(picture(), "a red star", shot, sampling=SamplingConfig(steps=2, sampler=sampler))
            )
            assert np.abs(frames[index].astype(int) - trip).max() <= 1
    free = made(pipeline.shoot(picture(), "a red star", ShotConfig(passes=0), **FAST))
    assert np.abs(free[4].astype(int) - trip).max() > 1


def test_a_joined_loop_leads_back_to_its_first_frame(pipeline: MicroCinemaPipeline) -> None:
    plain = made(pipeline.shoot(picture(), "a red star", ShotConfig(passes=1), **FAST))
    loop = made(pipeline.shoot(picture(), "a red star", ShotConfig(passes=1, loop=Loop.JOIN), **FAST))
    assert len(loop) == len(plain) + 3
    assert np.abs(loop[:33].astype(int) - plain).max() <= 1


def test_ping_pong_goes_there_and_back(pipeline: MicroCinemaPipeline) -> None:
    frames = made(pipeline.shoot(picture(), "a red star", ShotConfig(passes=0, loop=Loop.PING_PONG), **FAST))
    assert len(frames) == 16
    assert np.array_equal(frames[9:], frames[7:0:-1])


@pytest.mark.parametrize(
    ("controls", "given", "size"),
    [
        ({"width": 96, "height": 64}, (64, 64), (96, 64)),
        ({"width": 64, "height": 120}, (64, 64), (64, 120)),
        ({"resize": "fit"}, (300, 200), (80, 56)),
        ({"resize": "fit"}, (200, 300), (56, 80)),
        ({"resize": "pad"}, (300, 200), (64, 64)),
        ({"resize": "crop"}, (300, 200), (64, 64)),
    ],
)
def test_sizes(pipeline: MicroCinemaPipeline, controls: dict[str, Any], given: Any, size: Any) -> None:
    shot = pipeline.shoot(picture(*given), "a red star", ShotConfig.from_dict({"passes": 1} | controls), **FAST)
    assert shot.size == size
    assert made(shot).shape[1:3] == size[::-1]


def test_motion_scales_the_time_of_the_frames(pipeline: MicroCinemaPipeline) -> None:
    """At 0 every frame stands at the keyframe's time; the network sees it, and nothing else changes."""
    seen: list[torch.Tensor] = []
    handle = pipeline.bundle.networks.unet.register_forward_pre_hook(
        lambda _, args, given: seen.append(given["frame_time"]), with_kwargs=True
    )
    for motion in (0.0, 0.5, 1.0, 2.0):
        pipeline(picture(), "a red star", ShotConfig(motion=motion), sampling=SamplingConfig(steps=1))
    handle.remove()
    for motion, times in zip((0.0, 0.5, 1.0, 2.0), seen, strict=True):
        assert torch.allclose(times, motion * torch.linspace(-2, 2, 9))


def test_a_cancelled_shot_goes_on_where_it_stopped(pipeline: MicroCinemaPipeline, tmp_path: Path) -> None:
    """The same frames as in one go; no clip and no segment is computed twice."""
    folder, controls = tmp_path / "work", ShotConfig(passes=2, after=1)
    whole = made(pipeline.shoot(picture(), "a red star", controls, seed=2, **FAST))
    units: list[int] = []

    def until(limit: int) -> Any:
        def callback(done: int, total: int, _: torch.Tensor) -> None:
            units.append(done)
            if done >= limit:
                raise Cancelled("stopped")

        return callback

    for limit in (3, 10, 40):
        shot = pipeline.shoot(
            picture(), "a red star", controls, seed=2, workspace=folder, callback=until(limit), **FAST
        )
        with pytest.raises(Cancelled):
            made(shot)
        assert folder.exists()
    calls: list[int] = []
    handle = pipeline.bundle.networks.unet.register_forward_hook(lambda *_: calls.append(1))
    last = pipeline.shoot(picture(), "a red star", controls, seed=2, workspace=folder, **FAST)
    resumed = made(last)
    handle.remove()
    assert np.array_equal(resumed, whole)
    assert not calls  # both clips were there
    last.clean()
    assert not folder.exists()


def test_work_of_another_request_is_not_taken(pipeline: MicroCinemaPipeline, tmp_path: Path) -> None:
    folder, controls = tmp_path / "work", ShotConfig(passes=1)
    list(islice(pipeline.shoot(picture(), "a red star", controls, seed=2, workspace=folder, **FAST), 5))
    assert folder.exists()
    other = made(pipeline.shoot(picture(), "a red star", controls, seed=3, workspace=folder, **FAST))
    assert np.array_equal(other, made(pipeline.shoot(picture(), "a red star", controls, seed=3, **FAST)))


def test_a_model_without_tsr_says_so(pipeline: MicroCinemaPipeline) -> None:
    alone = MicroCinemaPipeline(pipeline.bundle)
    with pytest.raises(InputError, match="temporal super-resolution"):
        alone.shoot(picture(), "a red star", ShotConfig(passes=1))
    assert len(made(alone.shoot(picture(), "a red star", sampling=SamplingConfig(steps=1)))) == 9


def test_one_picture_for_several_prompts_is_read_once(pipeline: MicroCinemaPipeline) -> None:
    """By AppearNet as by the autoencoder; also where the keyframe is shown exactly."""
    seen: list[int] = []
    handle = pipeline.appearnet.register_forward_hook(lambda _, args, __: seen.append(args[0].clips))
    prompts = ["a red star", "a blue circle"]
    exact, two = ShotConfig(exact_keyframe=True), SamplingConfig(steps=2)
    together = pipeline(picture(), prompts, exact, sampling=two).frames
    handle.remove()
    assert seen == [1]
    for prompt, frames in zip(prompts, together, strict=True):
        alone = pipeline(picture(), prompt, exact, sampling=two).frames[0]
        assert np.abs(frames.astype(int) - alone).max() <= 1
