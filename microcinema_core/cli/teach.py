"""`microcinema teach`: the motion of clips of one's own, as a file that moves a part of any picture."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from ..files import check_writable
from .console import Debug, Json, progress, show

if TYPE_CHECKING:
    from ..footage.teaching import Lesson

SUFFIX, SHEET = ".json", ".png"


def teach(
    clips: Annotated[
        Path,
        typer.Argument(
            metavar="CLIPS",
            help="A folder of 8 to 20 short clips of one motion; NAME.png beside NAME.mp4, or mask.png for all, is "
            "white where it moves.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The motion's file to write (.json).", show_default=False)],
    sheet: Annotated[
        Path | None, typer.Option(help="What was learnt, as a picture (PNG).", show_default="beside the file")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Read how flags, grass, hair or water weed move off clips, for --layer taught:file=FILE."""
    started = time.monotonic()
    check_writable(out, SUFFIX, (clips,))
    place = out.with_suffix(SHEET) if sheet is None else sheet
    check_writable(place, SHEET, (clips,))
    if os.path.realpath(place.parent) == os.path.realpath(clips):
        raise InputError(f"{place}: would be read as a mask, as it lies among the clips; give another folder")
    from .. import media
    from ..footage.sheet import sheet as drawn
    from ..footage.teaching import teach as read

    with progress("Clips") as callback:
        lesson = read(clips, callback)
    lesson.learnt.taught.write(out)
    media.save_picture(place, drawn(lesson), {})
    seconds = time.monotonic() - started
    _tell(lesson, out, place, seconds, json)


def _tell(lesson: Lesson, out: Path, sheet: Path, seconds: float, as_json: bool) -> None:
    taught = lesson.learnt.taught
    rates = ", ".join(f"{rate:g}" for rate in taught.rates[:3])
    lines = [
        f"{out}: {len(lesson.clips)} clips, {len(lesson.left_out)} left out; it moves {rates} times a second, by "
        f"{taught.size:.1%} of the region's size, read in {seconds:.1f} s",
        f"{sheet}: where and how often",
    ]
    result = {"out": str(out), "sheet": str(sheet), "clips": len(lesson.clips), "left_out": list(lesson.left_out)}
    show(lines, result | {"rates": list(taught.rates), "size": taught.size, "seconds": round(seconds, 3)}, as_json)
