"""The report on videos beside a run: which are left out, and why, and which are kept for the reports."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError, one_line, shown
from ...files import disk_errors, written_whole
from .catalogue import Films
from .named import LeftOut

FILE = "left-out.csv"
HELD_OUT = "held out: for the reports alone"
logger = logging.getLogger("microcinema")


class VideoReport:
    """left-out.csv in a folder: a line of video and reason for each, and one in the log for those that are new.

    writes: whether this process does, where there are several.
    """

    def __init__(self, folder: Path, source: str, *, writes: bool = True) -> None:
        self.path, self.source, self.writes = folder / FILE, source, writes
        self.left_out: dict[str, LeftOut] = {}
        self.held_out: Films | None = None

    def add(self, left_out: Sequence[LeftOut], *, said: bool = True) -> None:
        """said: in the log, too. Raises OSError where the disk refuses."""
        new = [found for found in left_out if found.name not in self.left_out]
        self.left_out |= {found.name: found for found in left_out}
        if not self.writes:
            return
        with disk_errors(self.path), written_whole(self.path) as temporary:
            self._write(temporary)
        if new and said:
            logger.warning("%d of the videos of %s left out; %s says why", len(new), self.source, self.path)

    def _write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("video", "reason"))
            rows.writerows((shown(found.name), one_line(found.reason)) for found in self.left_out.values())
            rows.writerows((shown(film.name), HELD_OUT) for film in self.held_out or ())

    def nothing_left(self) -> InputError:
        """What to raise where no video is left: why one alone is not, or the first of many."""
        reasons = list(self.left_out.values())
        if len(reasons) == 1:
            return InputError(str(reasons[0]))
        first = f"; the first, {reasons[0]}" if reasons else ""
        return InputError(f"{self.source}: none of its videos can be used: {self.path} says why{first}")
