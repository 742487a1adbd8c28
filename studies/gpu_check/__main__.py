"""Check everything on a GPU: `python -m studies.gpu_check`, which is `make gpu-check`.

Frames beside the CPU's, a full-size step and shot beside diffusers' networks, every stage of training, a full-size
step of it, and ComfyUI where it is there. No network, nothing but this repository; full-size weights are random.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from microcinema_core.files import written_whole

from .part import Part, Task, slug
from .plan import plan
from .schedule import Check
from .table import page, table, verdict

MINUTES = 3.0
TINY_MINUTES, TINY_PATIENCE = 20.0, 10.0  # of the smallest form, which a CPU that is busy otherwise runs too
NO_GPU = """No GPU is there that torch can use, and nothing was checked.
The smallest form of every part runs on the CPU and says that each works, not how fast it is:
    python -m studies.gpu_check --device cpu --tiny
"""


def machine(device: torch.device) -> str:
    """What the figures hold for."""
    name = "CPU" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return f"{name}, torch {torch.__version__}"


def free_on(device: torch.device) -> Callable[[], float]:
    """MiB of a GPU that nobody has taken."""
    if device.type == "cpu":
        return lambda: float("inf")
    return lambda: torch.cuda.mem_get_info(device)[0] / 2**20


def chosen(parts: Sequence[Part], names: Sequence[str] | None) -> list[Part]:
    """Those of these names, and those that they come after; all where none are given."""
    if not names:
        return list(parts)
    wanted = set(names)
    while more := {name for part in parts if part.name in wanted for name in part.after} - wanted:
        wanted |= more
    return [part for part in parts if part.name in wanted]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where something is not right."""
    parser = argparse.ArgumentParser(prog="python -m studies.gpu_check", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "")
    parser.add_argument("--tiny", action="store_true", help="every part in its smallest form")
    parser.add_argument("--minutes", type=float, help=f"of all together (default: {MINUTES:g}, or {TINY_MINUTES:g})")
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts, by the names in the table")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also write gpu-check-DEVICE.md there")
    parser.add_argument("--work", type=Path, default=Path("out/gpu-check"), help="each part's files and log")
    options = parser.parse_args(arguments)
    if not options.device:
        sys.stdout.write(NO_GPU)
        return 0
    if options.device == "cpu" and not options.tiny:
        parser.error("on a CPU the smallest form alone ends: add --tiny")
    parts = plan(card=options.device != "cpu", tiny=options.tiny)
    if unknown := set(options.only or ()) - {part.name for part in parts}:
        parser.error(f"no part is called {min(unknown)!r}; there are: {', '.join(part.name for part in parts)}")
    return check(options, chosen(parts, options.only))


def check(options: argparse.Namespace, parts: Sequence[Part]) -> int:
    """Every part, the table, and the page where one is wanted."""
    device, begin = torch.device(options.device), time.monotonic()
    minutes = options.minutes or (TINY_MINUTES if options.tiny else MINUTES)
    task = Task("", "", options.device, options.tiny, options.work.resolve() / "all")
    outcomes = Check(
        parts,
        task,
        60 * minutes,
        patience=TINY_PATIENCE if options.tiny else max(1.0, minutes / MINUTES),
        free=free_on(device),
        say=say,
    ).run()
    say(f"\n{table(outcomes)}\n\n{verdict(outcomes)} Logs: {options.work}")
    if options.out is not None:
        name = machine(device)
        path = options.out / f"gpu-check-{slug(name.partition(',')[0])}.md"
        with written_whole(path) as temporary:
            made = page(outcomes, name, time.monotonic() - begin, tiny=options.tiny)
            temporary.write_text(made, encoding="utf-8")
        say(f"Page: {path}")
    return 0 if all(outcome.right for outcome in outcomes) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that it ends its parts
    sys.exit(main())
