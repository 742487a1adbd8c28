"""Measure and write the page: `python -m studies.speed`, which is `make bench`.

Full-size networks with random weights: up to 16 GB of memory in float32. Nothing is loaded and nothing downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from microcinema_core.config import SD21_BASE, UNetConfig
from microcinema_core.files import written_whole
from microcinema_core.shot.settings import Precision
from microcinema_core.standalone.precision import dtype_for

from ..journal import ROOT, Journal, fingerprint
from .contest import Contest, OutOfTime
from .gauge import machine
from .given import Place
from .page import CPU, files_of, page
from .plan import Measurement, full, quick
from .plot import plot
from .summary import document

QUICK_MINUTES = 8.0  # the turn that is under way then, and the page, take another
MEASURED = ("microcinema_core/models", "studies/speed")  # whose code the times depend on
DISTURBED = 0.05  # of all processors, that others kept busy
WORDS = ("page.py", "plot.py", "summary.py", "__main__.py", "plan.py")  # which only tell of them


def key(config: UNetConfig, place: Place) -> str:
    """Of all that a time depends on: times of another machine or other code are not taken up again."""
    files = [
        ROOT / "microcinema_core" / name
        for name in ("backend.py", "standalone/sampling.py", "standalone/autoencoders.py")
    ]
    files += [path for part in MEASURED for path in sorted((ROOT / part).glob("*.py")) if path.name not in WORDS]
    code = [path.read_text(encoding="utf-8") for path in files]
    return fingerprint(config.to_dict(), machine(place), code)


def write(contest: Contest, plan: Sequence[Measurement], out: Path) -> Path:
    """The JSON and the picture of this machine, and the page of all; returns the page."""
    made = document(contest, plan)
    place = contest.place
    name = CPU if place.device.type == "cpu" else re.sub(r"[^a-z0-9]+", "-", made["machine"]["device"].lower())
    with written_whole(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    with written_whole(out / f"{name}.png") as temporary:
        plot(made, temporary)
    documents: dict[str, Any] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files_of(out)}
    with written_whole(out / "README.md") as temporary:
        temporary.write_text(page(documents), encoding="utf-8")
    return out / "README.md"


def forget_disturbed(folder: Path) -> int:
    """Turns during which other processes were busy are taken again; how many there were."""
    forgotten = 0
    for path in folder.glob("*.jsonl"):
        Journal(path)  # which takes a torn line away
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        quiet = [line for line in lines if _busy(json.loads(line)["record"]) <= DISTURBED]
        if len(quiet) < len(lines):
            forgotten += len(lines) - len(quiet)
            with written_whole(path) as temporary:
                temporary.write_text("".join(quiet), encoding="utf-8")
    return forgotten


def _busy(record: dict[str, Any]) -> float:
    """The share of this machine's processors."""
    return float(record.get("neighbours") or 0) / (os.cpu_count() or 1)


def run(contest: Contest, plan: Sequence[Measurement]) -> None:
    for number, one in enumerate(plan):
        contest.say(f"{one.name}: {number + 1} of {len(plan)}")
        contest.measure(one)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None, config: UNetConfig = SD21_BASE.unet) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first figures, within ten minutes")
    parser.add_argument("--minutes", type=float, help="stop after so long; the same command goes on from there")
    parser.add_argument(
        "--only", type=re.compile, default=re.compile(""), help="names of measurements, a pattern: 'step|tsr-svd'"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("docs/results/bench"))
    parser.add_argument("--work", type=Path, default=Path("out/bench"), help="keeps every turn")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    place = Place(device, dtype_for(Precision.AUTO, device))
    minutes = options.minutes or (QUICK_MINUTES if options.quick else float("inf"))
    deadline = time.monotonic() + 60 * minutes
    folder = options.work / key(config, place)
    if forgotten := forget_disturbed(folder):
        say(f"{forgotten} turns are taken again: other processes were busy meanwhile")
    contest = Contest(config, place, folder, deadline=deadline, say=say)
    everything = full(card=device.type == "cuda")
    try:
        run(contest, [one for one in (quick() if options.quick else everything) if options.only.search(one.name)])
    except OutOfTime:
        say(f"{minutes:g} minutes are over; the same command goes on from here")
    say(f"Tables: {write(contest, everything, options.out)}")


if __name__ == "__main__":
    main()
