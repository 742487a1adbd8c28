"""Videos of one's own as training material: a folder of films, a sentence beside each, their clips as latents.

Latents are computed once and kept, as Toybox's are: encoding costs more than a training step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ..config import ClipConfig
from ..errors import InputError
from ..files import sha256_of, written_whole
from ..media import Frames, place, to_pixels
from ..shot.resize import ResizePolicy
from ..shot.settings import check_prompt
from ..standalone.autoencoders import LatentCodec

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
SHARD = 50  # excerpts of one file of latents


@dataclass(frozen=True, slots=True)
class Film:
    """A video file, what its sentence says, and how long it plays."""

    path: Path
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FilmClips:
    """latents: model-space [N, T, C, h, w], float16; texts: what each clip shows."""

    latents: Tensor
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)


def find_films(folder: Path, shortest: float) -> list[Film]:
    """The videos in a folder and those below it, in the order of their names.

    Raises InputError where there is none, where one has no NAME.txt beside it, cannot be read, or plays for less than
    `shortest` seconds.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: holds no videos; put {', '.join(SUFFIXES)} there, each with NAME.txt beside it")
    films = [Film(path, _sentence(path.with_suffix(".txt")), _seconds(path)) for path in paths]
    for film in films:
        if film.seconds < shortest:
            raise InputError(
                f"{film.path}: plays for {film.seconds:.2f} s, a clip needs {shortest:.2f}; take it away, or ask for "
                "fewer frames or a higher rate ([clip] frames, fps)"
            )
    return films


def _sentence(path: Path) -> str:
    try:
        return check_prompt(path.read_text(encoding="utf-8").strip())
    except FileNotFoundError as error:
        raise InputError(f"{path}: is missing; write into it one sentence about the video beside it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8; save it as such") from error


def _seconds(path: Path) -> float:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            return 0.0 if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path}: cannot be read as a video ({error}); take it away or save it anew") from error


def read_frames(path: Path, times: Sequence[float]) -> Iterator[Frames]:
    """The frames that are shown at these times, in seconds from the beginning and rising: upright RGB [H, W, 3]."""
    waiting = list(times)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        begin = stream.start_time or 0
        container.seek(begin + int(times[0] / stream.time_base), stream=stream)  # to the key frame before it
        shown: av.VideoFrame | None = None
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time = float((frame.pts - begin) * stream.time_base)
            while shown is not None and waiting and waiting[0] < time:
                yield _upright(shown)
                waiting.pop(0)
            if not waiting:
                return
            shown = frame
        if shown is None:
            raise InputError(f"{path}: holds no frames at {times[0]:.2f} s; take it away or save it anew")
        for _ in waiting:
            yield _upright(shown)


def _upright(frame: av.VideoFrame) -> Frames:
    """Phones store the turn beside the pictures."""
    turned: Frames = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    return turned


def film_clips(
    films: Sequence[Film], codec: LatentCodec, autoencoder: Path, clip: ClipConfig, count: int, seed: int, cache: Path
) -> FilmClips:
    """`count` excerpts, of each film in turn and at random times; those kept in `cache` are read, others made."""
    stamps = [(str(film.path), film.path.stat().st_size, film.path.stat().st_mtime_ns) for film in films]
    key = hashlib.sha256(f"{sha256_of(autoencoder)} {clip} {seed} {stamps}".encode()).hexdigest()[:12]
    folder = cache / f"films-{key}"
    starts = range(0, count, SHARD)
    shards = [folder / f"shard-{i:04d}-{min(SHARD, count - start)}.safetensors" for i, start in enumerate(starts)]
    with PartialState().main_process_first():
        missing = [(start, path) for start, path in zip(starts, shards, strict=True) if not path.exists()]
        for start, path in tqdm(missing, desc=f"latents of {SHARD} clips", disable=not missing):
            folder.mkdir(parents=True, exist_ok=True)
            numbers = range(start, min(start + SHARD, count))
            made = [_encoded(films[i % len(films)], codec, clip, np.random.default_rng([seed, i])) for i in numbers]
            with written_whole(path) as temporary:
                save_file({"latents": torch.stack(made)}, temporary)
    latents = torch.cat([load_file(path)["latents"] for path in shards])
    return FilmClips(latents, [films[i % len(films)].text for i in range(count)])


def _encoded(film: Film, codec: LatentCodec, clip: ClipConfig, rng: np.random.Generator) -> Tensor:
    """One excerpt [T, C, h, w], float16; pictures of another shape lose their edges."""
    start = rng.uniform(0, film.seconds - length_of(clip))
    times = [start + i / clip.fps for i in range(clip.frames)]
    frames = [
        place(Image.fromarray(frame), clip.width, clip.height, ResizePolicy.CROP)
        for frame in read_frames(film.path, times)
    ]
    return codec.encode(to_pixels(frames).to(PartialState().device)).half().cpu()


def length_of(clip: ClipConfig) -> float:
    """Seconds from a clip's first frame to its last."""
    return (clip.frames - 1) / clip.fps
