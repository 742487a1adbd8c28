"""What a part of the check is, what it is told, and what it says. Imports nothing large: each part's process does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

Gate = Callable[[], None]  # called when all is prepared; returns when nothing else is timed


class LeftOut(Exception):
    """This cannot be checked here; the message says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. limit: the most that is right or, with `least`, the least; None: it is only told."""

    what: str
    value: float
    unit: str = ""
    limit: float | None = None
    least: bool = False

    @property
    def right(self) -> bool:
        """Whether it is a number, and within its limit."""
        if self.limit is None or not math.isfinite(self.value):
            return math.isfinite(self.value)
        return self.value >= self.limit if self.least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Part:
    """A process of its own.

    module: has `run(task, gate)`, which yields figures; option: which of its works.
    turn: parts of one turn run side by side, those of the next when all have ended. starts: the turn in which it is
    started to prepare itself; None: the one before. background: begins at once, and no turn waits for it.
    after: parts that must have ended. limit: seconds from its gate's opening to its end.
    memory: MiB that must be free on the GPU. on_cpu: it must not see the GPU.
    """

    name: str
    module: str
    turn: int
    limit: float
    option: str = ""
    starts: int | None = None
    background: bool = False
    after: tuple[str, ...] = ()
    threads: int = 4
    memory: int = 0
    on_cpu: bool = False

    @property
    def begins(self) -> int:
        """The turn in which its process is started."""
        return self.turn - 1 if self.starts is None else self.starts


@dataclass(frozen=True, slots=True)
class Task:
    """What a part's process is told.

    folder: its own, beside those of the others; tiny: the smallest form of it; limit: seconds from its gate to its end.
    """

    name: str
    option: str
    device: str
    tiny: bool
    folder: Path
    limit: float = math.inf

    @property
    def cuda(self) -> bool:
        """Whether it works on a GPU."""
        return self.device.startswith("cuda")

    def beside(self, name: str) -> Path:
        """The folder of another part."""
        return self.folder.with_name(slug(name))

    def of(self, part: Part, patience: float) -> Task:
        """The same for a part, which has its limit `patience` times."""
        device, limit = "cpu" if part.on_cpu else self.device, patience * part.limit
        folder = self.beside(part.name)
        return replace(self, name=part.name, option=part.option, device=device, folder=folder, limit=limit)


def slug(name: str) -> str:
    """A name as a file's: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
