"""Another frame rate or duration, and there-and-back loops: the last step, after generation at the model's own rates.

Streams in, streams out: at most two frames are held, except by `ping_pong`. A frame is uint8 [H, W, 3].

Frame i of a clip is the picture at i / fps seconds and stays until the next, so N frames last N / fps seconds.
All times are exact fractions: 10 s at 30 frames a second are 300 frames, whatever the rate they come from.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dials import Dial

Frame = NDArray[np.uint8]

FPS = Dial(
    "Frames a second of the result.",
    0,
    1000,
    above=True,
    unit="frames a second",
    unset="what the passes give",
    called="the frame rate",
)
NTSC = tuple(Fraction(whole * 1000, 1001) for whole in (24, 30, 48, 60, 120))  # said as 23.976, 29.97, ...
NAMED_WITHIN = Fraction(1, 2000)  # 29.97 and 23.976 are rounded names; 23.98 is not one


class Resampling(StrEnum):
    """What an output frame between two source frames shows.

    NEAREST: the nearer of them, the earlier of two equally near. Every picture is one that the model made; what moves
    is up to half a source frame early or late (1/64 s at 32 fps).
    BLEND: both, weighted by nearness. It moves evenly, but what has hard edges is seen twice, as a ghost, and the
    sharpness of the picture comes and goes with the weight.
    """

    NEAREST = "nearest"
    BLEND = "blend"


def exact_rate(fps: float | Fraction) -> Fraction:
    """Frames a second as a fraction: 23.976, 29.97, 47.952, 59.94 and 119.88 are the television rates x * 1000 / 1001.

    Raises InputError for what is no rate.
    """
    FPS.check("fps", fps)
    rate = Fraction(fps).limit_denominator(100_000)
    if rate == 0:
        raise InputError(f"the frame rate {fps} is too low; give at least 0.00001 frames a second")
    return next((name for name in NTSC if abs(name - rate) < NAMED_WITHIN), rate)


@dataclass(frozen=True, slots=True)
class Retiming:
    """Which moments of a clip of `count` frames are shown; made by `plan` before any frame exists.

    fps: of the output, which has `frames` frames. first: the source position, in frames, that output frame 0 shows.
    step: source frames between two output frames. kept: the output frame that is exactly the frame to keep.
    """

    count: int
    fps: Fraction
    frames: int
    first: Fraction
    step: Fraction
    kept: int

    def positions(self) -> Iterator[Fraction]:
        """The place of each output frame in the source, 0 to count - 1; the last frame is held to its end."""
        for i in range(self.frames):
            yield min(self.first + i * self.step, Fraction(self.count - 1))


def plan(
    count: int,
    from_fps: float | Fraction,
    to_fps: float | Fraction,
    duration: float | Fraction | None = None,
    keep: int | None = None,
) -> Retiming:
    """How to show `count` frames made at `from_fps` at another rate.

    duration: seconds, rounded to whole output frames; None is every output frame that begins within the clip. A shorter
    one is cut out around `keep`, as far as the clip reaches on both sides.
    keep: index of the frame that must stay, the keyframe; None is the centre. The output's frames are laid out from
    it, so that it is shown exactly, whatever the rates.
    Raises InputError for rates and durations that cannot be, and for a duration longer than the clip, naming the
    longest.
    """
    source, rate = exact_rate(from_fps), exact_rate(to_fps)
    longest, key = count / source, (count // 2 if keep is None else keep) / source  # seconds
    before, after = math.floor(key * rate), math.ceil((longest - key) * rate)
    if duration is not None:
        wanted = _exact_seconds(duration)
        if wanted > longest:
            raise InputError(
                f"a duration of {float(wanted):g} s is longer than the clip: {count} frames at {float(source):g} "
                f"frames a second last {math.floor(longest * 1000) / 1000:g} s; give at most that, or extend the clip"
            )
        frames = max(1, _rounded(wanted * rate))
        start = min(max(key - wanted / 2, Fraction(0)), longest - wanted)
        before = min(_rounded((key - start) * rate), before, frames - 1)
        after = frames - before
    return Retiming(count, rate, before + after, (key - before / rate) * source, source / rate, before)


def _exact_seconds(duration: float | Fraction) -> Fraction:
    if not 1e-6 <= duration <= 1e6:
        raise InputError(f"the duration must be above 0 and at most a million seconds, got {duration}")
    return Fraction(duration).limit_denominator(1_000_000)


def _rounded(value: Fraction) -> int:
    """To the nearest whole number, halves upwards."""
    return math.floor(value + Fraction(1, 2))


def resample(frames: Iterable[Frame], retiming: Retiming, method: Resampling = Resampling.NEAREST) -> Iterator[Frame]:
    """The output's frames [H, W, 3], read from a stream of the source's and no further than they need.

    The default is NEAREST: from 32 frames a second to 24, 25 or 30 its unevenness is at most 1/64 s, while the ghosts
    of BLEND show on every hard edge that moves. Raises ValueError where the stream ends before `retiming.count`.
    """
    stream = enumerate(frames)
    held: deque[tuple[int, Frame]] = deque(maxlen=2)
    for position in retiming.positions():
        index, weight = _taps(position, method)
        while not held or held[-1][0] < index + (weight > 0):
            following = next(stream, None)
            if following is None:
                raise ValueError(f"the stream ended before its {retiming.count} frames")
            held.append(following)
        near = dict(held)
        yield _blend(near[index], near[index + 1], weight) if weight else near[index]


def _taps(position: Fraction, method: Resampling) -> tuple[int, float]:
    """The earlier source frame and the weight of the one after it."""
    if method is Resampling.NEAREST:
        return math.ceil(position - Fraction(1, 2)), 0.0
    return math.floor(position), float(position - math.floor(position))


def _blend(a: Frame, b: Frame, weight: float) -> Frame:
    mixed = a + np.float32(weight) * (b.astype(np.float32) - a)
    return (mixed + np.float32(0.5)).astype(np.uint8)


def ping_pong(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames [H, W, 3] there and back, 0 1 2 3 2 1: repeated, it never shows a frame twice in a row.

    N frames become 2N - 2, one stays. The way there is a stream; for the way back every frame is held, 3 * W * H bytes
    each: 40 MB for 129 of 320x320. To be applied after `resample`, so that the turns are as even as the rest.
    """
    held = []
    for frame in frames:
        held.append(frame)
        yield frame
    yield from held[-2:0:-1]
