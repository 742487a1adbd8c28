"""A picture's clip in the library: what its frames are, how they stream, and what sizes and lengths amount to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from microcinema_core.errors import Cancelled, InputError
from microcinema_core.media import Frames, read_settings, to_uint8
from microcinema_core.motion.leaving import leaving
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.scene import Motion
from microcinema_core.shot.resize import ResizePolicy
from microcinema_core.standalone.ahead import AHEAD, ahead
from microcinema_core.standalone.camera import move, plates_of
from microcinema_core.standalone.framing import MAX_OWN, Timing, own_size, timed

SHORT = Timing(5, 4.0)
PANS = Motion(Plan(Camera(horizontal=0.4)))


def picture(width: int = 48, height: int = 32) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_the_frames_are_the_renderer_s_and_the_unknown_is_told(tmp_path: Path) -> None:
    take = move(picture(), PANS, SHORT)
    frames = list(take)
    assert (len(take), take.fps, take.size) == (5, 4.0, (48, 32))
    for index, frame in enumerate(frames):
        assert np.array_equal(frame, to_uint8(take.renderer[index].picture))
    assert np.array_equal(frames[2], np.asarray(picture()))
    assert take.unknown == pytest.approx([0.2, 0.13, 0, 0.13, 0.2], abs=0.02)
    take.save(tmp_path / "clip.gif")
    assert read_settings(tmp_path / "clip.gif")["plan"]["camera"] == {"horizontal": 0.4}


@pytest.mark.parametrize(
    "image", [np.asarray(picture()), torch.from_numpy(np.asarray(picture()).copy()).movedim(-1, 0) / 255]
)
def test_pictures_of_every_kind(image: object) -> None:
    assert np.array_equal(next(iter(move(image, PANS, SHORT))), next(iter(move(picture(), PANS, SHORT))))


def test_a_larger_frame_is_drawn_from_the_picture_s_own_pixels() -> None:
    take = move(picture(), Motion(Plan()), Timing(1, 4.0), size=(96, 64))
    wanted = np.asarray(picture().resize((96, 64), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(next(iter(take)) - wanted).mean() < 1.5


def test_plates_filled_by_somebody_else() -> None:
    take = move(picture(), PANS, SHORT)
    plates, fill = plates_of(take.renderer.scene)
    red = plates.copy()
    red[fill[..., 0] == 255] = (255, 0, 0)
    last = list(move(picture(), PANS, SHORT, plates=red))[-1]
    assert (last[16, -3] == (255, 0, 0)).all()
    with pytest.raises(InputError, match="the filled plates are 1 of 8x8"):
        move(picture(), PANS, SHORT, plates=red[:, :8, :8])


def test_the_observer_counts_frames_and_may_stop() -> None:
    seen: list[tuple[int, int]] = []

    def observe(done: int, total: int, _: object) -> None:
        seen.append((done, total))
        if done == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        list(move(picture(), PANS, SHORT, callback=observe))
    assert seen == [(1, 5), (2, 5), (3, 5)]


def test_a_region_that_leaves_is_told_of() -> None:
    mask = torch.zeros(32, 48)
    mask[8:16, 8:16] = 1

    def left(**path: float) -> str:
        return leaving(move(picture(), Motion(Plan()).with_region(Region(**path), mask), SHORT).renderer)

    assert left(horizontal=0.2) == ""
    assert left(horizontal=3.0).startswith("region 1 is outside the frame")
    assert left(vertical=-3.0).startswith("region 1 is outside the frame")


def numbered(count: int, made: list[int]) -> Iterator[Frames]:
    for number in range(count):
        made.append(number)
        yield np.full((1, 1, 3), number, np.uint8)


def test_frames_are_made_ahead_but_not_far() -> None:
    made: list[int] = []
    frames = ahead(numbered(50, made))
    assert next(frames)[0, 0, 0] == 0
    time.sleep(0.3)
    assert len(made) <= AHEAD + 3
    assert [int(frame[0, 0, 0]) for frame in frames] == [*range(1, 50)]


def test_who_stops_reading_stops_the_making() -> None:
    made: list[int] = []
    frames = ahead(numbered(10_000, made))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    count = len(made)
    time.sleep(0.2)
    assert len(made) == count
    assert not [thread for thread in threading.enumerate() if "fill" in thread.name]


def test_an_error_comes_where_the_frames_are_read() -> None:
    def broken() -> Iterator[Frames]:
        yield np.zeros((1, 1, 3), np.uint8)
        raise InputError("no more")

    frames = ahead(broken())
    next(frames)
    with pytest.raises(InputError, match="no more"):
        next(frames)


@pytest.mark.parametrize(
    ("picture", "asked", "size"),
    [
        ((1024, 768), {}, (1024, 768)),
        ((1023, 767), {}, (1022, 766)),
        ((1, 1), {}, (2, 2)),
        ((6000, 4000), {}, (2350, 1566)),
        ((6000, 4000), {"width": 3000}, (3000, 2000)),
        ((600, 400), {"height": 101}, (150, 101)),
        ((600, 400), {"width": 101, "height": 77}, (101, 77)),
        ((600, 400), {"width": 300, "height": 300, "fit": True}, (300, 200)),
    ],
)
def test_own_sizes(picture: tuple[int, int], asked: dict[str, int], size: tuple[int, int]) -> None:
    found = own_size(picture, **asked)  # type: ignore[arg-type]
    assert found == size
    assert asked or found[0] * found[1] <= MAX_OWN


@pytest.mark.parametrize(
    ("duration", "fps", "frames", "loop", "move", "expected"),
    [
        (None, None, None, False, None, Timing(129, 32.0)),
        (None, None, None, True, None, Timing(258, 32.0, True)),
        (None, 24.0, None, False, 6.0, Timing(144, 24.0)),
        (None, 24.0, None, True, 6.0, Timing(288, 24.0, True)),
        (2.0, 24.0, None, True, 6.0, Timing(48, 24.0, True)),
        (None, 29.97, 10, False, None, Timing(10, 30000 / 1001)),
        (0.001, None, None, False, None, Timing(1, 32.0)),
    ],
)
def test_lengths(
    duration: float | None, fps: float | None, frames: int | None, loop: bool, move: float | None, expected: Timing
) -> None:
    assert timed(duration, fps, frames, loop, move) == expected


def test_the_picture_s_pad_is_unknown_and_its_crop_is_not() -> None:
    for policy, share in ((ResizePolicy.CROP, 0.0), (ResizePolicy.PAD, 1 / 3)):
        take = move(picture(), Motion(Plan()), Timing(1, 4.0), size=(48, 48), resize=policy)
        list(take)
        assert take.unknown[0] == pytest.approx(share, abs=0.01), policy
