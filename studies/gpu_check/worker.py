"""A part's own process: python -m studies.gpu_check.worker MODULE TASK (JSON)

Its figures go into a file, line by line, so that a crash loses none that it had said before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .part import Figure, LeftOut, Task

FIGURES, OPEN = "figures.jsonl", "open"  # what it says; what opens its gate
POLL = 0.02  # seconds


def encoded(task: Task) -> str:
    """A task as JSON."""
    return json.dumps({**asdict(task), "folder": str(task.folder)})


def decoded(text: str) -> Task:
    """The task that `encoded` made JSON of."""
    values: dict[str, Any] = json.loads(text)
    return Task(**{**values, "folder": Path(values["folder"])})


def wait_at_gate(task: Task) -> None:
    """Until the gate is opened; ends the process where nobody is left to open it."""
    parent = os.getppid()
    while not (task.folder / OPEN).exists():
        if os.getppid() != parent:
            sys.exit("the check ended")
        time.sleep(POLL)


def figures_of(folder: Path) -> tuple[list[Figure], str]:
    """What a part has said so far, and why it left out the rest, if it did."""
    path = folder / FIGURES
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]  # a kill can tear the last line
    reasons = [line["left_out"] for line in whole if "left_out" in line]
    return [Figure(**line) for line in whole if "left_out" not in line], "; ".join(reasons)


def main(arguments: Sequence[str]) -> None:
    name, text = arguments
    task = decoded(text)
    with (task.folder / FIGURES).open("a", encoding="utf-8", buffering=1) as out:
        try:
            for figure in import_module(name).run(task, lambda: wait_at_gate(task)):
                out.write(json.dumps(asdict(figure)) + "\n")
        except LeftOut as reason:
            out.write(json.dumps({"left_out": str(reason)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
