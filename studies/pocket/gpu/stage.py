"""What one stage of the chain is, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stage:
    """A process of its own.

    command: its words after Python's, of the seconds it has; made when it starts, so that it may look what others left.
    until: of all the time, 0..1, when it has to have ended. after: stages that must have ended, well or not; one that
    is not run counts as ended. aside: it computes on the cores that the others leave alone. leaves: its results, by the
    names they travel under.
    """

    name: str
    command: Callable[[float], Sequence[str]]
    until: float
    after: tuple[str, ...] = ()
    aside: bool = False
    threads: int = 4
    leaves: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a stage. told: "ended", or why not."""

    stage: Stage
    told: str
    seconds: float

    @property
    def well(self) -> bool:
        return self.told == ENDED

    def __str__(self) -> str:
        return f"{self.stage.name}: {self.told} ({self.seconds:.0f} s)"


ENDED = "ended"
