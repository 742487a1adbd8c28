"""Runs the parts: each in a process of its own with a time of its own, and all of them within a budget.

Importing torch and the rest takes ten seconds or more in each process, so a part is started one turn ahead, prepares
itself and waits at its gate, while the parts of this turn are timed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..journal import ROOT
from .part import Figure, Part, Task
from .worker import OPEN, encoded, figures_of

LOG = "log.txt"
POLL = 0.05  # seconds
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(slots=True)
class Outcome:
    """What became of a part. failed, left_out: why it came to no end, or was not begun. seconds: since its gate."""

    part: Part
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0
    failed: str = ""
    left_out: str = ""

    @property
    def right(self) -> bool:
        """Whether nothing is wrong; what was left out is not wrong."""
        return not self.failed and all(figure.right for figure in self.figures)


@dataclass(slots=True)
class Process:
    """A part's process, and when its gate was opened."""

    part: Part
    task: Task
    process: subprocess.Popen[bytes]
    opened: float | None = None

    def open(self) -> None:
        (self.task.folder / OPEN).touch()
        self.opened = time.monotonic()

    @property
    def seconds(self) -> float:
        return 0.0 if self.opened is None else time.monotonic() - self.opened

    def kill(self) -> None:
        """With all that it has started."""
        if os.name == "nt":
            self.process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def started(part: Part, task: Task) -> Process:
    """A part's process, in a group of its own, with its words in a file of the task's folder."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    threads = str(1 if task.tiny else part.threads)
    environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": threads, "TORCHINDUCTOR_COMPILE_THREADS": threads}
    if task.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "studies.gpu_check.worker", part.module, encoded(task)]
    with (task.folder / LOG).open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=environment,
            start_new_session=True,
        )  # fmt: skip
    return Process(part, task, process)


class Check:
    """All parts. patience: how many times their limits they have; free: MiB of the GPU that are free."""

    def __init__(
        self,
        parts: Sequence[Part],
        task: Task,
        budget: float,
        *,
        patience: float = 1.0,
        free: Callable[[], float] = lambda: float("inf"),
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.parts, self.task, self.patience, self.free, self.say = parts, task, patience, free, say
        self.end = time.monotonic() + budget
        self.waiting, self.processes = list(parts), list[Process]()
        self.outcomes: dict[str, Outcome] = {}

    def run(self) -> list[Outcome]:
        """Every part's outcome, in the order in which they were given."""
        try:
            while self.waiting or self.processes:
                self._start()
                self._open()
                self._watch()
                time.sleep(POLL)
        finally:
            for one in self.processes:
                one.kill()
        return [self.outcomes[part.name] for part in self.parts]

    @property
    def turn(self) -> int:
        """The first turn that has not ended."""
        return min((p.turn for p in self.parts if not (p.background or p.name in self.outcomes)), default=sys.maxsize)

    def _start(self) -> None:
        late = time.monotonic() > self.end
        for part in [p for p in self.waiting if late or p.begins <= self.turn]:
            self.waiting.remove(part)
            if late:
                self._note(Outcome(part, left_out="no time was left"))
            else:
                self.processes.append(started(part, self.task.of(part, self.patience)))

    def _open(self) -> None:
        for one in [p for p in self.processes if p.opened is None]:
            part = one.part
            if (part.background or part.turn <= self.turn) and all(name in self.outcomes for name in part.after):
                free = self.free() if part.memory else 0
                if free < part.memory:
                    reason = f"needs {part.memory} MiB of the GPU's memory, {free:.0f} are free"
                    self._end(one, left_out=reason)
                else:
                    one.open()

    def _watch(self) -> None:
        late = time.monotonic() > self.end
        for one in list(self.processes):
            limit = one.task.limit
            if one.process.poll() is not None:
                self._end(one, failed=_failure(one))
            elif one.seconds > limit:
                self._end(one, failed=f"did not end within {limit:.0f} s")
            elif late:
                begun = one.opened is not None
                self._end(one, left_out="no time was left" + (": cut off" if begun else ""))

    def _end(self, one: Process, failed: str = "", left_out: str = "") -> None:
        seconds = one.seconds
        one.kill()
        self.processes.remove(one)
        figures, reason = figures_of(one.task.folder)
        self._note(Outcome(one.part, figures, seconds, failed, "; ".join(filter(None, (reason, left_out)))))

    def _note(self, outcome: Outcome) -> None:
        self.outcomes[outcome.part.name] = outcome
        told = outcome.failed or outcome.left_out or "ended"
        self.say(f"{outcome.part.name}: {told} ({outcome.seconds:.0f} s)")


def _failure(one: Process) -> str:
    """Why a process that has ended did so; empty where it ended well."""
    status = one.process.returncode
    if status == 0:
        return ""
    return f"{_last_line(one.task.folder / LOG)} (exit status {status})"


def _last_line(path: Path) -> str:
    """Of a log; a traceback's says what went wrong."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "said nothing")
