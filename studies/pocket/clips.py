"""Clips of Pocket's world, side by side: `python -m studies.pocket.clips POOL OUT --clips N --split train --seed 0`.

OUT/clips-00000.safetensors and so on, CLIPS in each, written whole: a second call goes on where the first stopped.
`--segments 8`, or 32: not whole clips but segments of temporal super-resolution, of so many frames a second.
Needs no card; one thread for each process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from microcinema_core.config import POCKET, POCKET_TSR, ClipConfig
from microcinema_core.training.data.pocket_files import write_clips
from microcinema_core.worlds.pocket.pool import Pool, Split
from microcinema_core.worlds.pocket.world import Clip, clip_at

CLIPS = 16  # of a file: few, so that processes end together


@dataclass(frozen=True, slots=True)
class Part:
    """One file of clips, of the world of a seed. shown: what is drawn of each; None: all of it."""

    pool: Pool
    clip: ClipConfig
    shown: ClipConfig | None
    seed: int
    first: int
    path: Path
    count: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.TRAIN)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--side", type=int, default=POCKET.clip.width, help="of a frame, in pixels")
    parser.add_argument("--frames", type=int, default=POCKET.clip.frames, help="of a clip")
    parser.add_argument("--fps", type=float, default=POCKET.clip.fps)
    parser.add_argument("--segments", type=float, metavar="FPS", help="of temporal super-resolution, at this rate")
    parser.add_argument("--least", type=int, default=0, help="pixels of a picture's shorter side, or it is left out")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    pool = Pool.of(options.pool, options.split, options.least)
    clip = ClipConfig(options.frames, options.fps, options.side, options.side)
    shown = replace(clip, frames=POCKET_TSR.clip.frames, fps=options.segments) if options.segments else None
    parts = [
        Part(pool, clip, shown, options.seed, first, _file(options.out, first), min(CLIPS, options.clips - first))
        for first in range(0, options.clips, CLIPS)
    ]
    _write([part for part in parts if not part.path.exists()], options.processes)


def _file(out: Path, first: int) -> Path:
    return out / f"clips-{first // CLIPS:05d}.safetensors"


def _write(parts: Sequence[Part], processes: int) -> None:
    """All that is missing, with progress."""
    started, done, seconds = time.monotonic(), 0, 0.0
    total = sum(part.count for part in parts)
    with multiprocessing.Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for count, taken in pool.imap_unordered(_written, parts):
            done, seconds = done + count, seconds + taken
            passed = time.monotonic() - started
            sys.stdout.write(f"{done} of {total} clips, {passed:.0f} s, {done / seconds:.2f} clips a core-second\n")
            sys.stdout.flush()


def _written(part: Part) -> tuple[int, float]:
    """How many clips, and the seconds of a core that they took."""
    before = time.process_time()
    clips = [_clip(part, part.first + number) for number in range(part.count)]
    write_clips(part.path, clips)
    return part.count, time.process_time() - before


def _clip(part: Part, number: int) -> Clip:
    return clip_at(part.pool, part.clip, part.seed, number, part.shown)


if __name__ == "__main__":
    main()
