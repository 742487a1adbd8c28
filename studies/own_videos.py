"""What videos of one's own cost before the first step: clips a core-second, and memory by the number of clips.

`python -m studies.own_videos` prints both; nothing but generated videos and Toybox's autoencoder is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.cli.console import say
from microcinema_core.config import ClipConfig, Kind
from microcinema_core.media import save_clip
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.catalogue import find_films
from microcinema_core.training.data.film_clips import FilmMaterial
from microcinema_core.training.data.report import VideoReport

SMALL = ClipConfig(frames=3, fps=4.0, width=24, height=24)  # 75 of them go through the autoencoder together
SPEEDS = (ClipConfig(frames=9, fps=2.0, width=128, height=128), ClipConfig(frames=9, fps=2.0, width=320, height=320))
SHARD = 1000  # videos in each
DRAWN = 2000  # clips, at random
WORKERS = 4
CLIPS = 24  # whose decoding and encoding is timed


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a generated video."""

    width: int
    height: int
    frames: int
    fps: float


def video(folder: Path, shape: Shape) -> bytes:
    """Smooth noise that drifts, as MP4."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 9, 16))).float()
    still = torch.nn.functional.interpolate(coarse, (shape.height, shape.width), mode="bicubic")[0].clamp(0, 255)
    frames = [np.roll(still.permute(1, 2, 0).numpy().astype(np.uint8), 2 * i, 1) for i in range(shape.frames)]
    path = folder / "film.mp4"
    save_clip(path, np.stack(frames), shape.fps, {})
    return path.read_bytes()


def write_shards(folder: Path, film: bytes, count: int) -> None:
    """The same film under `count` names, each of which is another film for training."""
    for first in range(0, count, SHARD):
        with tarfile.open(folder / f"films-{first // SHARD:05d}.tar", "w") as tar:
            for i in range(first, min(first + SHARD, count)):
                for name, data in ((f"film-{i}.mp4", film), (f"film-{i}.txt", b"It drifts")):
                    head = tarfile.TarInfo(name)
                    head.size = len(data)
                    tar.addfile(head, BytesIO(data))


def material_of(folder: Path) -> FilmMaterial:
    """As training has it, with nothing encoded yet."""
    files = [str(embedded(kind)) for kind in (Kind.AUTOENCODER, Kind.TEXT_ENCODER)]
    coders = load_coders(TrainConfig(Kind.VIDEO, str(folder / "run"), autoencoder=files[0], text_encoder=files[1]))
    films, _ = find_films(folder, folder / "films.jsonl", WORKERS)
    return FilmMaterial(films, coders, folder / "cache", 0, VideoReport(folder, str(folder)), WORKERS)


def peak(folder: Path, count: int) -> float:
    """MiB at the most of a process that encodes and draws, each clip of a video of its own."""
    command = [sys.executable, "-m", "studies.own_videos", "--measure", str(folder), str(count)]
    # Large buffers go back to the system at once: what is measured is what lives, not what malloc hoards by chance.
    given_back = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=given_back)
    return float(json.loads(done.stdout))


def measure(folder: Path, count: int) -> float:
    """The same, of this process."""
    clips = material_of(folder).clips(SMALL, count)
    rng = np.random.default_rng(0)
    for _ in range(DRAWN):
        clips.draw(rng)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(counts: list[int]) -> None:
    """A line for each number of clips."""
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            write_shards(Path(name), video(Path(name), Shape(32, 32, 8, 8.0)), count)
            (Path(name) / "film.mp4").unlink()
            peaks = [peak(Path(name), count) for _ in range(2)]
            say(f"{count} clips: {peaks[0]:.0f} MiB, and {peaks[1]:.0f} where all of them are encoded already")


def speed() -> None:
    """A line for each size of clips, from 24 videos of 640x360 with 24 frames a second."""
    for clip in SPEEDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_shards(folder, video(folder, Shape(640, 360, 120, 24.0)), CLIPS)
            (folder / "film.mp4").unlink()
            material = material_of(folder)
            material.clips(SMALL, 1)  # what is loaded once
            wall, core = time.monotonic(), time.process_time()
            material.clips(clip, CLIPS)
            wall, core = time.monotonic() - wall, time.process_time() - core
            size = f"{clip.frames}x{clip.height}x{clip.width}"
            say(f"{size}: {CLIPS / core:.2f} clips a core-second ({CLIPS / wall:.2f} a second)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="*", default=[100, 10_000], help="for which memory is measured")
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "COUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        say(json.dumps(measure(Path(given.measure[0]), int(given.measure[1]))))
    else:
        memory(given.clips)
        speed()


if __name__ == "__main__":
    main()
