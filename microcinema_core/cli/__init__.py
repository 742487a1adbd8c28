"""The command line. Exit codes: 0 done, 1 failed, 2 wrong input or usage, 130 interrupted.

Commands import what they need when they run, so that `--help` and wrong input answer at once.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import Cancelled, MicroCinemaError, one_line
from .animate import animate
from .commands import inspect, keyframe, publish, train
from .console import DONE, FAILED, INTERRUPTED, WRONG_INPUT, Warnings, complain, say
from .convert import convert
from .inflate import inflate
from .shards import shards
from .teach import teach

# click's class, which newer versions of typer carry inside themselves.
UsageError: Any = typer.BadParameter.__base__

NO_MEMORY = "the memory is full; make a smaller clip (--width, --height, --frames) or a smaller grid"

app = typer.Typer(
    help="A picture and a sentence become a short video (arXiv 2311.18829).",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong input or usage, 130 interrupted.",
)
for command in (animate, keyframe, inspect, train, teach, shards, inflate, convert):
    app.command()(command)
app.command(hidden=True)(publish)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"microcinema {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Keyframe and prompt to video."""


def run(args: Sequence[str]) -> int:
    """Run a command line without the program's name; returns the exit code. Errors become one line on stderr."""
    state = {"debug": False, "json": "--json" in args}  # also where the other words make no sense
    logger, handler = logging.getLogger("microcinema"), Warnings()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about themselves
            # typer turns Ctrl-C into exit code 130 by itself.
            code = typer.main.get_command(app).main(
                list(args) or ["--help"], prog_name="microcinema", standalone_mode=False, obj=state
            )
            if code == INTERRUPTED:
                raise Cancelled("stopped")
            return code if isinstance(code, int) else DONE
    except UsageError as error:
        return _refuse(f"{error.format_message()} (microcinema --help)", WRONG_INPUT, state)
    except (MicroCinemaError, OSError, MemoryError) as error:
        if state["debug"]:
            say(*traceback.format_exc().splitlines(), err=True)
        code = WRONG_INPUT if isinstance(error, MicroCinemaError) else FAILED
        message = NO_MEMORY if isinstance(error, MemoryError) else str(error)
        return _refuse(message, INTERRUPTED if isinstance(error, Cancelled) else code, state)
    except RuntimeError as error:
        if not any(words in str(error) for words in ("can't allocate memory", "out of memory")):  # torch's, and CUDA's
            raise
        if state["debug"]:
            say(*traceback.format_exc().splitlines(), err=True)
        return _refuse(NO_MEMORY, FAILED, state)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def _refuse(message: str, code: int, state: dict[str, bool]) -> int:
    if state["json"]:
        say(json.dumps({"error": one_line(message), "code": code}))
    if not state["debug"]:
        complain("error", message)
    return code


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
