"""Runs the stages, each a process with its cores and its time, several at once; all stand while there is a PAUSE."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from microcinema_core.errors import MicroCinemaError

from ...journal import ROOT
from .clock import ActiveClock
from .stage import ENDED, Outcome, Stage

PAUSE = "PAUSE"  # a file of the work folder
POLL = 0.1  # seconds
COLLECT = 15.0  # seconds from one look at what has been made to the next
GRACE = 0.03  # of all the time: by so much may what ends itself come late
TELL = 4.0  # seconds between two lines of a stage
PATIENCE = 2.0  # seconds from being asked to end to being ended
RESERVED = 4  # cores that what runs aside leaves alone
NICE = 10
BAR = re.compile(r":\s+\d+%\|[^|]*\|\s*(\d+)/\d+ \[[\d:]+<[^,]*, *")
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}


def spare_cores() -> set[int]:
    """Those that what runs aside may use: all but the first four, or all where there are not so many."""
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[RESERVED:] or cores)


@dataclass(slots=True)
class Process:
    """A stage at work. begun, limit: of the active clock; heard: bytes of its log that were told."""

    stage: Stage
    process: subprocess.Popen[bytes]
    log: Path
    begun: float
    limit: float
    heard: int = 0
    told: float = 0.0

    def send(self, number: signal.Signals) -> None:
        """To all processes that it has started, too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        self.send(signal.SIGKILL)
        self.process.wait()

    def news(self) -> str:
        """The last line, or what a bar shows, that came since it was asked before; empty where none did."""
        size = self.log.stat().st_size
        with self.log.open("rb") as file:
            file.seek(max(self.heard, size - 2000))
            text = file.read().decode(errors="replace")
        self.heard = size
        return last_line(text)


def last_line(text: str) -> str:
    """Of a log, whose bars write over themselves; of a bar its step and what follows its times."""
    lines = [line.strip() for line in re.split(r"[\r\n]", text)]
    line = next((line for line in reversed(lines) if line), "")
    return BAR.sub(r" \1, ", line)[:200]


class Runner:
    """All stages within `seconds` of the active clock. collect: called whenever a stage has ended, and now and then."""

    def __init__(
        self,
        stages: Sequence[Stage],
        folder: Path,
        seconds: float,
        clock: ActiveClock,
        *,
        say: Callable[[str], object],
        collect: Callable[[], object] = lambda: None,
        cuda: bool = True,
    ) -> None:
        self.folder, self.seconds, self.clock, self.cuda = folder, seconds, clock, cuda
        self.say, self.collect = say, collect
        self.waiting, self.running = list(stages), list[Process]()
        self.outcomes: dict[str, Outcome] = {}
        self.collected = 0.0

    def run(self) -> list[Outcome]:
        """What became of each, in the order in which they ended."""
        try:
            while self.waiting or self.running:
                self._pause()
                self._start()
                self._watch()
                time.sleep(POLL)
        finally:
            for one in list(self.running):
                self._end(one, "cut off")
        return list(self.outcomes.values())

    def _pause(self) -> None:
        pause = self.folder / PAUSE
        if not pause.exists():
            return
        self.clock.stop()
        for one in self.running:
            one.send(signal.SIGSTOP)
        self.say(f"stopped; goes on when {pause} is gone")
        while pause.exists():
            time.sleep(POLL)
        self.clock.go_on()  # before the others look at it
        for one in self.running:
            one.send(signal.SIGCONT)
        self.say("going on")

    def _start(self) -> None:
        names = {stage.name for stage in self.waiting} | {one.stage.name for one in self.running}
        for stage in [s for s in self.waiting if not names & set(s.after)]:
            self.waiting.remove(stage)
            left = self.seconds * stage.until - self.clock()
            if left <= 0:
                self._note(Outcome(stage, "no time was left", 0.0))
                continue
            try:
                words = stage.command(left)
            except (MicroCinemaError, OSError) as error:
                self._note(Outcome(stage, f"could not begin: {error}", 0.0))
            else:
                self.running.append(self._started(stage, words, left))

    def _started(self, stage: Stage, words: Sequence[str], left: float) -> Process:
        log = self.folder / f"{stage.name}.log"
        command = [sys.executable, *words]
        self.say(f"{stage.name}: {left:.0f} s for {' '.join(command[1:])}")
        threads = str(1 if stage.aside or not self.cuda else stage.threads)
        environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": threads}
        if stage.aside or not self.cuda:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        if stage.aside:
            with suppress(ProcessLookupError):  # it has ended already
                os.sched_setaffinity(process.pid, spare_cores())
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        return Process(stage, process, log, self.clock(), self.seconds * (stage.until + GRACE))

    def _watch(self) -> None:
        now = self.clock()
        for one in list(self.running):
            status = one.process.poll()
            if status is not None:
                self._end(one, ENDED if status == 0 else f"exit status {status}: {last_line(_read(one.log))}")
            elif now > one.limit:
                self._end(one, "cut off: its time was over")
            elif now > one.told + TELL and (news := one.news()):
                one.told = now
                self.say(f"{one.stage.name}: {news}")
        if now > self.collected + COLLECT:
            self._collect()

    def _end(self, one: Process, told: str) -> None:
        one.kill()
        self.running.remove(one)
        self._note(Outcome(one.stage, told, self.clock() - one.begun))

    def _note(self, outcome: Outcome) -> None:
        self.outcomes[outcome.stage.name] = outcome
        self.say(str(outcome))
        self._collect()

    def _collect(self) -> None:
        self.collected = self.clock()
        try:
            self.collect()
        except (OSError, SafetensorError) as error:  # nothing that is made is lost by it
            self.say(f"not collected: {error}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
