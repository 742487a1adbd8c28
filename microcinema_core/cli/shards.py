"""`microcinema shards`: videos of one's own, packed for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..files import check_writable
from .console import Debug, Json, progress, show

MEGABYTE = 10**6


def shards(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of videos, each with NAME.txt beside it, or a list of both (.csv, .jsonl); or other shards.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder for the shards.", show_default=False)],
    size: Annotated[int, typer.Option(help="Of a shard, in MB (1 to 100000).", min=1, max=100_000)] = 500,
    workers: Annotated[int, typer.Option(help="Videos looked at at once (1 to 256).", min=1, max=256)] = 4,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Pack videos and their sentences into .tar files to train from; stopped, the same command goes on."""
    from ..standalone.workspace import in_use, lock_of
    from ..training.data.catalogue import find_films
    from ..training.data.packing import Packing
    from ..training.data.report import VideoReport

    catalogue = out / ".videos.jsonl"
    check_writable(catalogue)
    if Path(source).is_dir() and out.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(f"{out}: lies in the folder that is read; give another one")
    with in_use(out, lock_of(out)):
        report = VideoReport(out, source)
        films, left_out = find_films(source, catalogue, workers)
        report.add(left_out)
        if not len(films):
            raise report.nothing_left()
        packing = Packing(films, out, size * MEGABYTE)
        parts = packing.begin()
        with progress("Packing") as callback:
            paths = packing.pack(parts, lambda done, total: callback(done, total, None))
        catalogue.unlink()
    taken = sum(path.stat().st_size for path in paths)
    lines = [f"{out}: {len(films)} videos in {len(paths)} shards, {taken / MEGABYTE:.1f} MB"]
    lines += [f"  {len(left_out)} left out; {report.path} says why"] if left_out else []
    result = {"out": str(out), "videos": len(films), "shards": list(map(str, paths)), "bytes": taken}
    show(lines, result | {"left_out": len(left_out)}, json)
