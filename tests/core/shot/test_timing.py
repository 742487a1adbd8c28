"""The keyframe's position and the frames' times."""

import pytest

from microcinema_core.errors import InputError
from microcinema_core.shot.timing import MAX_FRAMES, check_frames, frame_times, keyframe_index


@pytest.mark.parametrize(
    ("position", "frames", "index"),
    [("centre", 9, 4), ("centre", 8, 4), ("centre", 1, 0), ("first", 9, 0), ("last", 9, 8), ("3", 9, 3), (8, 9, 8)],
)
def test_positions(position: str | int, frames: int, index: int) -> None:
    assert keyframe_index(position, frames) == index


@pytest.mark.parametrize("position", ["middle", "", "9", "-1", "1.5", 9, -1])
def test_positions_outside_the_clip_are_refused(position: str | int) -> None:
    with pytest.raises(InputError, match="from 0 to 8"):
        keyframe_index(position, 9)


@pytest.mark.parametrize("frames", [0, -1, MAX_FRAMES + 1])
def test_impossible_frame_counts_are_refused(frames: int) -> None:
    with pytest.raises(InputError, match="frames"):
        check_frames(frames)


def test_times_are_signed_seconds_from_the_keyframe() -> None:
    assert frame_times(9, 2.0, 4) == [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]
    assert frame_times(3, 8.0, 0) == [0.0, 0.125, 0.25]
