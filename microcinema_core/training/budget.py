"""How much time a run has, and how far on that makes it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import InputError

UNKNOWN = 0.05  # of all the time: what the end is taken to need until it has been measured
MARGIN = 1.25  # times what it then took
SAVE, REPORT = PARTS = ("save", "report")  # what ends a run


@dataclass(slots=True)
class TimeBudget:
    """A run's seconds from its first start to its last file, set-up and reports included, stops left out.

    seconds: of all; without a limit infinite. before: used until the checkpoint that the run goes on from.
    parts: what the last checkpoint and the last report took, which the end needs once more. step: the last step.
    """

    seconds: float = math.inf
    clock: Callable[[], float] = time.monotonic
    before: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    step: float = 0.0
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise InputError(f"a training run of {self.seconds / 60:g} minutes has none to train in; give more than 0")
        self.begun = self.clock()

    @property
    def used(self) -> float:
        """Seconds, those before the last stop included."""
        return self.before + self.clock() - self.begun

    @property
    def share(self) -> float:
        """0..1: of the time for steps, what will be over after the next one; 1: there is no time for it."""
        if math.isinf(self.seconds):
            return 0.0
        end = MARGIN * sum(self.parts.values()) if self.measured else UNKNOWN * self.seconds
        room = self.seconds - end
        return min(1.0, (self.used + self.step) / room) if room > 0 else 1.0

    @property
    def measured(self) -> bool:
        """Whether a checkpoint and a report have been made, by which the end is reckoned."""
        return len(self.parts) == len(PARTS)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Around a step."""
        begun = self.clock()
        yield
        self.step = self.clock() - begun

    @contextmanager
    def ending(self, part: str) -> Iterator[None]:
        """Around one of PARTS."""
        begun = self.clock()
        yield
        self.parts[part] = self.clock() - begun
