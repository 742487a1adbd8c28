"""Pocket's whole training on one card in a few minutes, everything in: `python -m studies.pocket.gpu --minutes 7`.

Before, where there is a network: `python -m studies.pocket.gpu --pack FOLDER --pictures POOL --start FILE` gathers what
has to be there. Then, with that folder as `--packed` and no network: renders clips on the cores that are to spare while
the autoencoder learns, trains the video model, measures, and leaves at most eight files in `--out`. A file PAUSE in
`--work` stops everything until it is gone. `--join PART... --to FILE` puts a model together that was split.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from microcinema_core.errors import InputError
from microcinema_core.training.provenance import COMMIT

from .clock import STOPPED, ActiveClock
from .pack import HISTORY, MB, START, TEXT, few, pack
from .plan import Place, plan
from .results import Results, joined
from .runner import Runner

MINUTES, TINY_MINUTES = 7.0, 4.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a stage did not end well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help=f"of all together (default: {MINUTES:g}; tiny: {TINY_MINUTES:g})")
    parser.add_argument("--packed", type=Path, default=Path("out/pocket-packed"), metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "out/pocket")), metavar="FOLDER")
    parser.add_argument("--work", type=Path, default=Path("out/pocket-gpu"), metavar="FOLDER")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="every stage in its smallest form")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="only gather what has to travel")
    parser.add_argument("--pictures", type=Path, metavar="POOL", help="of studies.pocket.pictures, for --pack")
    parser.add_argument("--start", type=Path, metavar="FILE", help="that the autoencoder starts from, for --pack")
    parser.add_argument("--text", type=Path, metavar="FILE", help="the text encoder where it is there, for --pack")
    parser.add_argument("--join", type=Path, nargs="+", metavar="PART", help="only join these")
    parser.add_argument("--to", type=Path, metavar="FILE", help="for --join")
    options = parser.parse_args(arguments)
    if options.join:
        joined(options.join, options.to)
        return 0
    if options.pack:
        files = {START: options.start, TEXT: options.text}
        spent = pack(options.pictures, {name: path for name, path in files.items() if path}, options.pack)
        sys.stdout.write(f"{options.pack}: {spent / MB:.1f} MB\n")
        return 0
    return run(options)


def fresh(work: Path) -> Path:
    """The folder, empty: what was made there before would go on. Raises InputError where it holds what is not ours."""
    if work.is_dir() and any(work.iterdir()) and not (work / STOPPED).exists():
        raise InputError(f"{work}: holds other things than this command's; choose another --work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def run(options: argparse.Namespace) -> int:
    """Every stage, and what comes back of it."""
    work = fresh(options.work.resolve())
    history = options.packed / HISTORY
    if history.exists():  # the code has come without its own
        os.environ[COMMIT] = history.read_text(encoding="utf-8")
    packed = few(options.packed, work / "few") if options.tiny else options.packed.resolve()
    stages = plan(Place(packed, work, options.tiny))
    clock = ActiveClock(work)
    results = Results(options.out.resolve(), work, [one for stage in stages for one in stage.leaves])

    def say(line: str) -> None:
        results.lines.append(f"{clock():6.1f}s {line}")
        sys.stdout.write(results.lines[-1] + "\n")
        sys.stdout.flush()

    seconds = 60 * (options.minutes or (TINY_MINUTES if options.tiny else MINUTES))
    runner = Runner(stages, work, seconds, clock, say=say, collect=results.collect, cuda=options.device == "cuda")
    outcomes = runner.run()
    say("; ".join(map(str, outcomes)))
    results.collect()
    if excess := results.excess():
        say(f"more than comes back: {excess}")
    return 0 if all(outcome.well or outcome.stage.aside for outcome in outcomes) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that it ends its stages and keeps what there is
    sys.exit(main())
