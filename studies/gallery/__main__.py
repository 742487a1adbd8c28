"""Make the page: `python -m studies.gallery --out docs/results/gallery`.

It takes the embedded Toybox model and its temporal super-resolution model. Pictures that are there with the same
settings and weights are not made again; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind
from microcinema_core.errors import MicroCinemaError
from microcinema_core.shot.settings import SAMPLING, TSR_SAMPLING, SamplingConfig
from microcinema_core.shot.timing import MAX_PASSES
from microcinema_core.worlds.toybox.triples import read_triples

from ..shares import pick
from .album import MANIFEST, Album, Section
from .page import document
from .sections import SECTIONS, Material
from .studio import Studio

LIST = "select"
PAGE = "README.md"
LIMIT = 6.0  # MB of the whole folder


def make(studio: Studio, names: Sequence[str], limit: int) -> None:
    """These sections' pictures, then the page."""
    triples = pick(read_triples(LIST), limit)
    read = partial(studio.read, triples, partial(tqdm, desc=f"reading the {LIST} list", leave=False))
    material = Material(studio.passes, triples, read)
    sections = [SECTIONS[name](material) for name in names]
    _develop(studio, sections)
    sections = [_remarked(studio, section) for section in sections]
    album = studio.album
    album.write(PAGE, document(sections, studio.sampling, studio.tsr_sampling, studio.passes))
    if list(names) == list(SECTIONS):
        sheets = [sheet for section in sections for sheet in section.sheets]
        keyframes = {ask.keyframe.file for sheet in sheets for ask in sheet.asks}
        album.prune({sheet.file for sheet in sheets} | keyframes)


def _remarked(studio: Studio, section: Section) -> Section:
    """With what was read of the pictures in their captions."""
    return replace(section, sheets=tuple(replace(s, caption=s.caption + studio.remark(s)) for s in section.sheets))


def _develop(studio: Studio, sections: Sequence[Section]) -> None:
    sheets = [sheet for section in sections for sheet in section.sheets]
    with tqdm(total=len(sheets), desc="pictures") as pictures, tqdm(leave=False, disable=None) as work:

        def callback(done: int, total: int, _: Any) -> None:
            if done < work.n or total != work.total:
                work.reset(total)
            work.update(done - work.n)

        for sheet in sheets:
            work.set_description(sheet.name)
            studio.develop(sheet, callback)
            pictures.update()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.gallery", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/gallery"))
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--model", type=Path, help="a video file; the embedded one if left out")
    parser.add_argument("--steps", type=int, default=SAMPLING.steps)
    parser.add_argument("--tsr-steps", type=int, default=TSR_SAMPLING.steps)
    parser.add_argument("--passes", type=int, choices=range(MAX_PASSES + 1), default=MAX_PASSES)
    parser.add_argument("--limit", type=int, default=sys.maxsize, help=f"read only so many clips of the {LIST} list")
    parser.add_argument(
        "--work", type=Path, default=Path("out/gallery"), help="keeps what is done of unfinished pictures"
    )
    options = parser.parse_args(arguments)
    studio = Studio(
        options.model or embedded(Kind.VIDEO),
        Album(options.out),
        options.work,
        SamplingConfig(options.steps),
        replace(TSR_SAMPLING, steps=options.tsr_steps),
        options.passes,
    )
    make(studio, options.sections, options.limit)
    size = studio.album.size() / 1e6
    too_large = f"; that is more than {LIMIT:g} MB" if size > LIMIT else ""
    sys.stdout.write(f"{options.out / PAGE}: {size:.1f} MB with its pictures and {MANIFEST}{too_large}\n")


if __name__ == "__main__":
    try:
        main()
    except MicroCinemaError as error:
        raise SystemExit(str(error)) from error
