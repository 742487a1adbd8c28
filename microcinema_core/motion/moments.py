"""When the frames of a clip are, on the plan's own time: any frame is asked for alone, however many there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import InputError
from ..shot.dials import Dial
from .plan import Plan
from .shake import MOST, STEADY, shaken

SAMPLED = 65  # moments that stand for all
COUNT = Dial("Frames of the clip.", 1, 10_000_000)
RATE = Dial("Frames a second.", 0.01, 1000.0, step=0.01)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of the plan's time: u and the keyframe's, shares of its duration. tremor: degrees of pan, tilt, roll.

    seconds, key_seconds: of the clip, now and at the keyframe. period: after so many seconds it begins again, or None.
    """

    u: float
    key: float
    tremor: tuple[float, float, float] = STEADY
    seconds: float = 0.0
    key_seconds: float = 0.0
    period: float | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """The frames of a clip, `fps` of them a second. loop: there and back, so that the last leads to the first.

    The keyframe is seen whole in the frame that is nearest to its time in the plan.
    """

    plan: Plan
    frames: int
    fps: float
    loop: bool = False

    def __post_init__(self) -> None:
        COUNT.check("frames", self.frames)
        RATE.check("fps", self.fps)

    def __len__(self) -> int:
        return self.frames

    @property
    def duration(self) -> float:
        """Seconds of the move: from the first frame to the last, or, in a loop, to the turn."""
        if self.plan.duration is not None:
            return self.plan.duration
        return self.frames / 2 / self.fps if self.loop else max(1, self.frames - 1) / self.fps

    @property
    def keyframe(self) -> int:
        """The index of the frame that shows the keyframe."""
        exact = self.plan.keyframe_at * self.duration * self.fps
        last = self.frames // 2 if self.loop else self.frames - 1
        return min(int(exact + 0.5), last)

    def __getitem__(self, index: int) -> Moment:
        if not 0 <= index < self.frames:
            raise IndexError(index)
        return self._moment(index)

    def __iter__(self) -> Iterator[Moment]:
        return map(self._moment, range(self.frames))

    def at(self, seconds: float) -> Moment:
        """Any moment of the clip, between frames too. Raises InputError for none of it."""
        if not 0 <= seconds <= self.frames / self.fps:
            raise InputError(f"the clip lasts {self.frames / self.fps:g} s; there is no moment at {seconds} s")
        return self._moment(seconds * self.fps)

    def _moment(self, index: float) -> Moment:
        u, key, shake = self._u(index), self._u(self.keyframe), self.plan.camera.shake
        times = (index / self.fps, self.keyframe / self.fps, self.frames / self.fps if self.loop else None)
        if not shake:
            return Moment(u, key, STEADY, *times)
        pan, tilt, roll = shaken(self.plan.seed, u * self.duration, key * self.duration)
        return Moment(u, key, (shake * pan, shake * tilt, shake * roll), *times)

    def _u(self, index: float) -> float:
        """Where a frame is, as a share of the plan's duration; what comes after the plan's end stays there."""
        seconds = index / self.fps
        if self.loop:
            whole = self.frames / self.fps
            seconds = (1 - abs(1 - 2 * seconds / whole)) * whole / 2
        return min(seconds / self.duration, 1.0)


def extremes(plan: Plan) -> list[Moment]:
    """Moments between which a plan's camera stays in any clip: its time evenly sampled, with the most of a shake."""
    key, shake = plan.keyframe_at, plan.camera.shake
    times = [i / (SAMPLED - 1) for i in range(SAMPLED)]
    pan, tilt, roll = (shake * most for most in MOST)
    signs = itertools.product((-1, 1), repeat=3) if shake else ()
    tremors = [STEADY, *((a * pan, b * tilt, c * roll) for a, b, c in signs)]
    return [Moment(u, key, tremor) for u in times for tremor in tremors]
