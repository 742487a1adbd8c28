"""A motion plan leads a model's clip: what each reader of the guide gets, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from microcinema_core.diffusion.noise import prior_mean
from microcinema_core.errors import InputError
from microcinema_core.media import place, to_pixels
from microcinema_core.models.guide import Guide, together
from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.scene import Motion
from microcinema_core.shot.hold import hold
from microcinema_core.shot.plan import Loop, ShotConfig
from microcinema_core.shot.resize import ResizePolicy
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone import guiding
from microcinema_core.standalone.framing import MAX_SOURCE, keyed, source
from microcinema_core.standalone.pipeline import MicroCinemaPipeline

ONE = SamplingConfig(steps=1, cfg=1.0)
PANS = Motion(Plan(Camera(horizontal=0.5)))
STILL = Motion(Plan())


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> MicroCinemaPipeline:
    return MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")


def picture(width: int = 96, height: int = 64) -> Image.Image:
    made = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(made).resize((width, height), Image.Resampling.BICUBIC)


@contextmanager
def guides(pipeline: MicroCinemaPipeline) -> Iterator[list[Guide]]:
    """What AppearNet is given, clip by clip."""
    seen: list[Guide] = []
    handle = pipeline.appearnet.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    yield seen
    handle.remove()


def clip(pipeline: MicroCinemaPipeline, motion: Motion | None, **shot: Any) -> tuple[np.ndarray, Guide]:
    with guides(pipeline) as seen:
        made = pipeline(picture(), "a red star moves left", ShotConfig(**shot), sampling=ONE, motion=motion)
    return made.frames[0], seen[0]


def test_every_frame_has_its_own_latents_and_the_keyframe_those_of_the_picture(pipeline: MicroCinemaPipeline) -> None:
    _, alone = clip(pipeline, None)
    for at, key in (("centre", 4), ("first", 0), ("last", 8), ("2", 2)):
        _, led = clip(pipeline, PANS, keyframe_at=at)
        assert led.latents.shape == (1, 4, 9, 8, 8)
        assert led.known is not None
        assert led.known.shape == (1, 1, 9, 8, 8)
        assert torch.allclose(led.latents[:, :, key : key + 1], alone.latents, atol=1e-5), at  # of another batch
        assert bool((led.known[:, :, key] == 1).all())
        assert not torch.allclose(led.latents[:, :, 8 - key], led.latents[:, :, key], atol=0.01) or key == 4


def test_what_the_camera_leaves_behind_is_unknown(pipeline: MicroCinemaPipeline) -> None:
    """The camera goes right by half a frame in all, the keyframe in the middle: 64 of 96 pixels are seen around 16."""
    _, led = clip(pipeline, PANS)
    assert led.known is not None
    known = led.known[0, 0]
    assert torch.equal(known[4], torch.ones(8, 8))
    # The last frame sees 16 pixels of 64 further right; the picture goes on for 16 beyond the crop: all of it is known.
    assert bool((known == 1).all())
    wide = Motion(Plan(Camera(horizontal=1.0)))
    _, led = clip(pipeline, wide)
    assert led.known is not None
    assert torch.allclose(led.known[0, 0, 8].mean(dim=0), torch.tensor([1, 1, 1, 1, 1, 1, 0.0, 0.0]), atol=0.13)
    assert torch.allclose(led.known[0, 0, 0].mean(dim=0), torch.tensor([0.0, 0, 1, 1, 1, 1, 1, 1]), atol=0.13)


def test_a_plan_without_a_move_is_the_plain_clip(pipeline: MicroCinemaPipeline) -> None:
    """All nine frames are the keyframe: appearance and prior are then those of one that all frames share."""
    plain, one = clip(pipeline, None, keyframe_at="first")
    still, nine = clip(pipeline, STILL, keyframe_at="first")
    assert torch.allclose(nine.latents, one.latents.expand_as(nine.latents), atol=0.05)  # another resampling filter
    assert np.abs(plain.astype(int) - still).mean() < 2


def test_layers_are_in_every_frame_of_a_guide(pipeline: MicroCinemaPipeline) -> None:
    """In the keyframe's too: else the weather would stop for a moment there."""
    _, plain = clip(pipeline, STILL)
    _, dark = clip(pipeline, STILL.with_layer(Layer(LayerKind.DARKER, 3.0)))
    change = (dark.latents - plain.latents).abs().mean(dim=(0, 1, 3, 4))
    assert float(change.min()) > 0.5 * float(change.max()) > 0


def test_the_prior_takes_each_frame_s_latents_where_they_are_known() -> None:
    torch.manual_seed(0)
    latents, known = torch.randn(1, 4, 3, 2, 2), torch.rand(1, 1, 3, 2, 2)
    guide = Guide(latents, known)
    mean = prior_mean(guide.for_branches(2), 0.5)
    for frame in range(3):
        assert torch.equal(mean[:, :, frame], 0.5 * latents[:, :, frame] * known[:, :, frame])
    batch = together([guide, Guide(2 * latents, known)])
    assert batch.for_branches(2).latents.shape == (4, 4, 3, 2, 2)
    assert torch.equal(prior_mean(batch.for_branches(2), 1.0)[3], (2 * latents * known)[0])


def test_the_hold_takes_the_keyframe_s_frame() -> None:
    guide = Guide(torch.arange(3.0).view(1, 1, 3, 1, 1), torch.zeros(1, 1, 3, 1, 1))
    held = hold(torch.full((2, 1, 3, 1, 1), 9.0), guide, 1)
    assert held[:, 0, :, 0, 0].tolist() == [[9, 1, 9], [9, 1, 9]]


def test_an_exact_keyframe_stays_exact(pipeline: MicroCinemaPipeline) -> None:
    frames, _ = clip(pipeline, PANS, exact_keyframe=True)
    placed = to_pixels([place(picture(), 64, 64, ResizePolicy.CROP)])
    latents = pipeline.bundle.codec.encode(placed).unsqueeze(2)
    assert np.abs(frames[4].astype(int) - pipeline.bundle.decode(latents)[0, 0]).max() <= 1


def test_several_clips_are_those_made_alone(pipeline: MicroCinemaPipeline) -> None:
    pictures = [picture(), picture(64, 96)]
    motion = Motion(
        Plan(Camera(zoom=1.3), (Region(horizontal=0.3, polygon=((0.2, 0.2), (0.6, 0.2), (0.4, 0.7))),)), (None,)
    )
    both = pipeline(pictures, "a red star", ShotConfig(frames=3), sampling=ONE, motion=motion)
    for i, one in enumerate(pictures):
        alone = pipeline(one, "a red star", ShotConfig(frames=3), sampling=ONE, motion=motion)
        assert np.abs(both.frames[i].astype(int) - alone.frames[0]).max() <= 1
    assert both.settings[0]["plan"]["camera"] == {"zoom": 1.3}
    assert "plan" not in pipeline(picture(), "", ShotConfig(frames=3), sampling=ONE).settings[0]


def test_a_shot_is_led_too_and_goes_on_only_under_the_same_plan(
    pipeline: MicroCinemaPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    own = guiding.Renderer
    monkeypatch.setattr(guiding, "Renderer", lambda *given: made.append(1) or own(*given))

    def shoot(motion: Motion | None) -> tuple[np.ndarray, int]:
        sampled: list[int] = []
        shot = pipeline.shoot(
            picture(), "a red star", ShotConfig(frames=3, passes=0), sampling=ONE, motion=motion,
            workspace=tmp_path / "work", callback=lambda done, *_: sampled.append(done),
        )  # fmt: skip
        return np.stack(list(shot)), len(sampled)

    mask = torch.zeros(64, 96)
    mask[20:40, 20:40] = 1
    region = Motion(Plan(), ()).with_region(Region(horizontal=0.4), mask)
    other = Motion(region.plan, (mask.flip(1),))
    frames, work = shoot(region)
    assert made
    again, less = shoot(region)
    assert np.array_equal(frames, again)
    assert less < work  # what was kept was taken
    for changed in (other, PANS, None):
        assert not np.array_equal(shoot(changed)[0], frames)
        assert shoot(changed)[1] == less


@pytest.mark.parametrize(
    ("shot", "words"),
    [
        ({"after": 1}, "leads a single clip, and this shot chains 2"),
        ({"duration": 20.0}, "leads a single clip, and this shot chains"),
        ({"loop": Loop.JOIN}, "leads no joined loop"),
    ],
)
def test_what_no_plan_leads(pipeline: MicroCinemaPipeline, shot: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        pipeline.shoot(picture(), "", ShotConfig(**shot), motion=PANS)


def test_a_mask_of_another_size_is_refused_before_anything_is_scaled() -> None:
    with pytest.raises(InputError, match=r"region 1's mask is 5x4, the picture 96x64"):
        source(picture(), Motion(Plan(regions=(Region(),)), (torch.ones(4, 5),)))


def test_too_large_a_picture_is_scaled_with_its_masks() -> None:
    assert MAX_SOURCE > 14e6
    mask = torch.zeros(64, 96)
    mask[:, 48:] = 1
    given = Motion(Plan(regions=(Region(),)), (mask,), torch.rand(1, 64, 96))
    given = given.with_layer(Layer(LayerKind.SNOW), mask)
    pixels, motion = source(picture(), given, 96 * 64 // 4)
    assert pixels.shape == (3, 32, 48)
    assert motion.masks[0] is not None
    assert motion.masks[0].shape == (1, 32, 48)
    assert float(motion.masks[0][:, :, :23].max()) < 0.01
    assert motion.layer_masks[0] is not None
    assert torch.equal(motion.layer_masks[0], motion.masks[0])
    assert motion.depth is not None
    assert motion.depth.shape == (1, 32, 48)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize(("frames", "fps"), [(9, 2.0), (129, 32.0), (100, 23.976), (1, 24.0), (2, 0.5)])
def test_the_keyframe_is_seen_where_it_is_asked_for(loop: bool, frames: int, fps: float) -> None:
    for key in {0, frames // 3, frames // 2, frames - 1}:
        plan = keyed(Plan(Camera(zoom=2.0)), key, frames, fps, loop)
        moments = Moments(plan, frames, fps, loop)
        assert moments[key].u == pytest.approx(moments[key].key, abs=1e-9), key


def test_a_plan_that_ends_before_its_keyframe() -> None:
    with pytest.raises(InputError, match="would be seen 2 s into the clip, and the plan's move lasts 1 s"):
        keyed(Plan(duration=1.0), 4, 9, 2.0)
    assert keyed(Plan(duration=8.0), 4, 9, 2.0).keyframe_at == 0.25
