"""What every command shares: options that recur, progress, warnings, results and exit codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..shot.settings import SEED, Precision
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
Debug = Annotated[
    bool, typer.Option("--debug", help="Show a traceback on errors.", callback=_remember("debug"), is_eager=True)
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result, or the error, as JSON.", callback=_remember("json"), is_eager=True),
]


def show(text: str, result: dict[str, Any], as_json: bool) -> None:
    """The result, for a person or for a program."""
    typer.echo(json.dumps(result) if as_json else text)


def complain(kind: str, message: str) -> None:
    typer.echo(f"microcinema: {kind}: {' '.join(message.split())}", err=True)


class Warnings(logging.Handler):
    """Our own warnings, as lines of this program."""

    def emit(self, record: logging.LogRecord) -> None:
        complain("warning", record.getMessage())


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
