"""The time that counts: somebody who wants the card for a moment stops everything here, and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from microcinema_core.files import written_whole

Clock = Callable[[], float]
STOPPED = "stopped-seconds"


class ActiveClock:
    """Seconds that passed while it was not stopped; other processes read how long it was from a file of the folder."""

    def __init__(self, folder: Path, clock: Clock = time.monotonic) -> None:
        self.file, self.clock = folder / STOPPED, clock
        self.begun, self.stopped, self.since = clock(), 0.0, float("nan")
        self.still = False
        self._write()

    def __call__(self) -> float:
        return (self.since if self.still else self.clock()) - self.begun - self.stopped

    def stop(self) -> None:
        """Until `go_on`."""
        self.since, self.still = self.clock(), True

    def go_on(self) -> None:
        """To be called before others look at their clocks again."""
        self.stopped += self.clock() - self.since
        self.still = False
        self._write()

    def _write(self) -> None:
        with written_whole(self.file) as temporary:
            temporary.write_text(str(self.stopped), encoding="utf-8")


def active_clock(file: Path, clock: Clock = time.monotonic) -> Clock:
    """Of a process that is stopped as the file says: seconds, those left out."""

    def seconds() -> float:
        stopped = "0"
        with suppress(OSError):
            stopped = file.read_text(encoding="utf-8")
        return clock() - float(stopped)

    return seconds
