"""Where the keyframe lies in a clip, how far each frame is from it in time, and how many frames passes make."""

from __future__ import annotations

from ..errors import InputError
from .dials import Dial

MAX_FRAMES = 256
FRAMES = Dial("Frames of one clip at the model's own rate.", 1, MAX_FRAMES, unset="the model's")
POSITIONS = ("centre", "first", "last")
MAX_PASSES = 2  # the rates that a TSR model knows: 2 to 8 and 8 to 32 frames a second


def check_frames(frames: int) -> int:
    """The number itself. Raises InputError outside 1..MAX_FRAMES."""
    FRAMES.check("frames", frames)
    return frames


def keyframe_index(position: str | int, frames: int) -> int:
    """`centre`, `first`, `last` or an index counted from 0, as an index. Raises InputError for any other."""
    named = dict(zip(POSITIONS, (frames // 2, 0, frames - 1), strict=True))
    if isinstance(position, str) and position in named:
        return named[position]
    try:
        index = int(position)
    except ValueError:
        index = -1
    if not 0 <= index < frames:
        raise InputError(
            f"the keyframe's position must be {', '.join(POSITIONS)} or an index from 0 to {frames - 1}, "
            f"got {str(position)[:40]}"
        )
    return index


def frame_times(frames: int, fps: float, key: int = 0, *, start: float = 0.0) -> list[float]:
    """Each frame's signed distance in seconds from frame `key`, whose own time is `start`."""
    return [start + (i - key) / fps for i in range(frames)]


def frame_count(frames: int, factor: int, passes: int) -> int:
    """Frames after so many passes: 9 -> 33 -> 129 with factor 4."""
    return (frames - 1) * factor**passes + 1


def segment_count(frames: int, factor: int, passes: int) -> int:
    """Segments of all passes together."""
    return sum(frame_count(frames, factor, level) - 1 for level in range(passes))
