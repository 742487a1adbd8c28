"""`python -m studies.claims`: train, score and write a page; what is done already stays."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from microcinema_core.files import written_whole
from microcinema_core.training.loop import file_of, train
from microcinema_core.training.stages import build_stage

from .page import page
from .runs import STEPS, Run, plan
from .scoring import CLIPS, Scores, evaluated


def scored(run: Run, folder: Path, steps: int, clips: int, *, compile: bool) -> Scores:
    """Its scores, from its file, or after training."""
    if not (folder / f"{run.name}.json").exists():
        train(run.config(folder, steps, compile=compile), build_stage)
    return evaluated(file_of(run.config(folder, steps)), folder / run.name, clips)


def done(folder: Path) -> dict[str, Scores]:
    """The scores of all runs that have some, by name."""
    files = {run.name: folder / f"{run.name}.json" for run in plan()}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.claims", description=__doc__)
    parser.add_argument("--only", nargs="+", help="names of runs, as `concat-0`")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--clips", type=int, default=CLIPS, help="that each run is scored on")
    parser.add_argument("--folder", type=Path, default=Path("out/claims"))
    parser.add_argument("--page", type=Path, help="claims.md in that folder where it is left out")
    parser.add_argument("--compile", action="store_true", help="train through torch.compile: a fifth less time here")
    options = parser.parse_args(arguments)
    folder = options.folder / f"{options.steps}-steps"  # scores of other trainings are none of these
    folder.mkdir(parents=True, exist_ok=True)
    for run in plan():
        if options.only is None or run.name in options.only:
            sys.stdout.write(f"{run.name}\n")
            scored(run, folder, options.steps, options.clips, compile=options.compile)
            text = page(done(folder), options.steps, run.config(folder).data.clips)
            with written_whole(options.page or folder / "claims.md") as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
