"""Words painted on the camera's clip: what the model is given, where its work shows, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from microcinema_core.errors import Cancelled, InputError
from microcinema_core.models.guide import Guide
from microcinema_core.motion.masked import masked
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.scene import Motion
from microcinema_core.shot.composing import resized
from microcinema_core.shot.resize import inner_size
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone.between import Carrier, held
from microcinema_core.standalone.camera import Take, move
from microcinema_core.standalone.framing import Timing
from microcinema_core.standalone.painting import Painter, Stroke, spread

ONE = SamplingConfig(steps=1, cfg=1.0)
SHORT = Timing(17, 4.0)
PANS = Motion(Plan(Camera(pan=8.0)))
LOWER = torch.cat([torch.zeros(1, 32, 96), torch.ones(1, 32, 96)], dim=1)


@pytest.fixture(scope="module")
def painter(pocket: Path) -> Painter:
    return Painter.from_pretrained(pocket / "pocket-video.safetensors")


def picture(width: int = 96, height: int = 64) -> Image.Image:
    made = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(made).resize((width, height), Image.Resampling.BICUBIC)


def frames(take: Take) -> np.ndarray:
    return np.stack(list(take)).astype(int)


@contextmanager
def guides(painter: Painter) -> Iterator[list[Guide]]:
    """What AppearNet is given, clip by clip."""
    seen: list[Guide] = []
    handle = painter.pipeline.appearnet.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    yield seen
    handle.remove()


def test_the_guide_is_the_camera_s_frames_and_what_is_known_of_them(painter: Painter) -> None:
    """As `worlds/pocket` has it in training: filled, without the effect, and known as means of the latents' cells."""
    take = move(picture(), PANS, SHORT)
    with guides(painter) as seen:
        painter.paint(take, [Stroke("it snows")], sampling=ONE)
    shown = [take.renderer[i] for i in range(0, 17, 2)]
    size = inner_size(take.size, 64 * 64)
    assert size == (72, 48)
    pixels = resized(torch.stack([frame.picture for frame in shown]), size[::-1])
    assert torch.equal(seen[0].latents[0], painter.bundle.codec.encode(pixels).transpose(0, 1))
    known = F.adaptive_avg_pool2d(1 - torch.stack([frame.unknown for frame in shown]), (6, 9))
    assert torch.allclose(seen[0].known[0], known.transpose(0, 1), atol=1e-6)
    assert 0 < float(known.min()) < 1 == float(known.max())


def test_outside_the_mask_frames_are_the_camera_s_bit_for_bit(painter: Painter) -> None:
    take = move(picture(), Motion(Plan()), SHORT)
    made = painter.paint(take, [Stroke("the water ripples", LOWER)], sampling=ONE)
    plain, painted = frames(take), frames(made)
    assert np.array_equal(plain[:, :31], painted[:, :31])
    assert np.abs(plain[:, 33:] - painted[:, 33:]).mean() > 5
    nothing = painter.paint(take, [Stroke("it snows", torch.zeros(1, 64, 96))], sampling=ONE)
    assert np.array_equal(plain, frames(nothing))


def test_words_are_painted_each_in_its_own_place(painter: Painter) -> None:
    take = move(picture(), Motion(Plan()), SHORT)
    upper = Stroke("it gets darker", 1 - LOWER)
    both = frames(painter.paint(take, [Stroke("it snows", LOWER), upper], sampling=ONE))
    alone = frames(painter.paint(take, [upper], sampling=ONE))
    # At the model's size the two masks meet within a pixel or two of the line.
    assert np.abs(both[:, :26] - alone[:, :26]).max() <= 1
    assert np.abs(both[:, 38:] - alone[:, 38:]).mean() > 5


def test_frames_are_made_one_by_one_in_any_order_and_from_the_seed_alone(painter: Painter) -> None:
    take = move(picture(), PANS, SHORT)
    made = painter.paint(take, [Stroke("it snows")], sampling=ONE, seed=3)
    every = frames(made)
    assert np.array_equal(np.stack(list(made.frames([9, 2]))), every[[9, 2]])
    again = painter.paint(take, [Stroke("it snows")], sampling=ONE, seed=3)
    assert np.array_equal(frames(again), every)
    other = painter.paint(take, [Stroke("it snows")], sampling=ONE, seed=4)
    assert (frames(other) != every).any()
    assert made.settings["painted"] == ["it snows"]
    alone = painter.paint_each(take, [Stroke("it snows"), Stroke("it rains")], sampling=ONE, seed=3)
    assert np.abs(frames(alone[0]) - every).max() <= 1
    assert alone[1].settings["painted"] == ["it rains"]
    assert {"steps", "cfg", "seed", "model", "plan", "frames"} <= made.settings.keys()
    assert (made.settings["width"], made.settings["height"]) == (96, 64)


def test_between_the_model_s_frames_the_difference_goes_with_the_camera() -> None:
    """All of a picture painted grey: no ghost of it is left between two frames, as one would be uncarried."""
    take, keys, size = move(picture(), PANS, SHORT), spread(17, 9), (96, 64)
    drawn = torch.stack([take.renderer[key].picture for key in keys])
    grey = torch.full_like(drawn, 0.5)[None]
    stays = SimpleNamespace(carried=lambda pixels, key, frame: pixels)
    ghosts = []
    for carrier in (Carrier(take.renderer, size), stays):
        between = held(carrier, keys, drawn, drawn, grey)
        made, guide = between(5, take.renderer[5].picture)
        assert torch.equal(guide, take.renderer[5].picture)
        ghosts.append(float((made[0] - 0.5)[:, 8:-8, 16:-16].abs().mean()))
        assert torch.allclose(between(4, drawn[2])[0], grey[:, 2], atol=1e-6)
    assert ghosts[0] < 0.2 * ghosts[1]


def test_a_line_between_two_frames_is_straight_in_time() -> None:
    take, keys = move(picture(), Motion(Plan()), SHORT), spread(17, 9)
    drawn = torch.zeros(9, 3, 8, 8)
    made = torch.arange(9.0).view(1, 9, 1, 1, 1).expand(1, 9, 3, 8, 8)
    between = held(Carrier(take.renderer, (8, 8)), keys, drawn, drawn, made)
    assert [float(between(i, drawn[0])[0].mean()) for i in (0, 1, 2, 7, 16)] == [0, 0.5, 1, 3.5, 8]


def test_short_clips_have_all_of_the_model_s_frames() -> None:
    assert spread(129, 9) == list(range(0, 129, 16))
    assert spread(1, 9) == [0] * 9
    assert spread(3, 9)[0] == 0
    assert spread(3, 9)[-1] == 2


def test_a_clip_of_one_frame(painter: Painter) -> None:
    take = move(picture(), Motion(Plan()), Timing(1, 4.0))
    assert frames(painter.paint(take, [Stroke("it snows")], sampling=ONE)).shape == (1, 64, 96, 3)


def test_a_mask_goes_with_what_it_lies_on() -> None:
    """As the picture itself does, were it black and white like the mask: under a camera, and on a region."""
    mask = torch.zeros(1, 64, 96)
    mask[:, 20:40, 30:60] = 1
    region = torch.zeros(64, 96)
    region[10:50, 20:70] = 1
    motion = PANS.with_region(Region(horizontal=0.2), region)
    scene = move(picture(), motion, SHORT)
    white = move(mask.expand(3, -1, -1), motion, SHORT)
    found = masked(scene.renderer, mask)
    for index in (0, 8, 16):
        inside = 1 - white.renderer[index].unknown
        assert float(((found[index] - white.renderer[index].picture[:1]) * inside).abs().mean()) < 0.002
    assert float(found[0].min()) == 0


@pytest.mark.parametrize(
    ("timing", "what"),
    [(Timing(40, 8.0), "paints 4 s at most"), (Timing(16, 8.0, loop=True), "cannot loop yet")],
)
def test_what_cannot_be_painted_yet(painter: Painter, timing: Timing, what: str) -> None:
    with pytest.raises(InputError, match=what):
        painter.paint(move(picture(), Motion(Plan()), timing), [Stroke("it snows")], sampling=ONE)


def test_strokes_without_a_place_in_the_clip(painter: Painter) -> None:
    take = move(picture(), Motion(Plan()), SHORT)
    with pytest.raises(InputError, match="nothing to paint"):
        painter.paint(take, [], sampling=ONE)
    with pytest.raises(InputError, match=r"the mask of stroke 2 is \[1, 64, 64\], the picture 64 by 96"):
        painter.paint(take, [Stroke("it snows"), Stroke("it rains", torch.ones(1, 64, 64))], sampling=ONE)


def test_a_model_that_was_not_taught_to_paint(weights: Path) -> None:
    with pytest.raises(InputError, match=r"toybox-video.safetensors: was not taught to paint"):
        Painter.from_pretrained(weights / "toybox-video.safetensors")


def test_painting_can_be_stopped(painter: Painter) -> None:
    def stop(*_: object) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        painter.paint(move(picture(), PANS, SHORT), [Stroke("it snows")], sampling=ONE, callback=stop)


@pytest.mark.parametrize(
    ("size", "inner"), [((512, 512), (256, 256)), ((512, 340), (312, 208)), ((10, 10), (256, 256))]
)
def test_the_model_s_size_keeps_the_shape_and_its_pixels(size: tuple[int, int], inner: tuple[int, int]) -> None:
    assert inner_size(size, 65536) == inner


def test_the_longest_pictures_have_a_size_too() -> None:
    for size in ((20000, 10), (10, 20000), (1, 1)):
        width, height = inner_size(size, 65536)
        assert width % 8 == height % 8 == 0
        assert 0 < width * height <= 65536
