"""What every command shares: options that recur, progress, warnings, results and exit codes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..errors import one_line, shown
from ..shot.settings import SEED, Compile, Precision
from .options import option

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def _remember(name: str) -> Callable[[typer.Context, bool], bool]:
    def remember(context: typer.Context, value: bool) -> bool:
        context.find_root().obj[name] = value
        return value

    return remember


Seed = Annotated[int, option("seed", SEED)]
Attention = Annotated[str, typer.Option(help="sdpa or xformers.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Of the networks; auto is fp16 on a GPU and fp32 on a CPU."),
]
CompileOption = Annotated[
    Compile,
    typer.Option(
        "--compile",
        help="Faster steps of the U-Nets. cuda-graph, on a GPU: each is launched as one, at once; default: by "
        "torch.compile, whose first step is slow; reduce-overhead: both.",
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show a traceback on errors.", callback=_remember("debug"), is_eager=True)
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result, or the error, as JSON.", callback=_remember("json"), is_eager=True),
]


def say(*lines: str, err: bool = False) -> None:
    """Lines for a person, on standard output or error: whatever is in them, and whatever the stream can print."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    text = "\n".join(shown(line, len(line)) for line in lines)
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def show(lines: Sequence[str], result: dict[str, Any], as_json: bool) -> None:
    """The result, for a person or for a program."""
    say(*([json.dumps(result)] if as_json else lines))


def complain(kind: str, message: str) -> None:
    say(f"microcinema: {kind}: {one_line(message)}", err=True)


class Warnings(logging.Handler):
    """Our own warnings and notes, as lines of this program."""

    def emit(self, record: logging.LogRecord) -> None:
        complain("warning" if record.levelno >= logging.WARNING else "note", record.getMessage())


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int, Any], None]]:
    """A bar on a terminal, nothing elsewhere; gives the callback that moves it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def callback(step: int, steps: int, _: Any) -> None:
            bar.update(task, completed=step, total=steps)

        yield callback


def quiet_libraries() -> None:
    """Keep the libraries below the pipeline from talking."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()


def file_size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
