"""Excerpts of one's own videos as material, their latents computed once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ...config import ClipConfig
from ...errors import InputError
from ...media import Frames, place
from ...media.films import read_frames
from ...shot.resize import ResizePolicy
from ...shot.timing import frame_times
from ..coders import Coders
from .ahead import ahead
from .catalogue import Films
from .clips import Clip, seconds_of
from .excerpts import Excerpts
from .films import Film
from .named import LeftOut
from .report import VideoReport
from .shards import shard_folder


@dataclass(frozen=True, slots=True)
class FilmClips:
    """The first excerpt of every film, then the second of every film, until they are `count`; fps: the rate of all.

    In memory are no latents: each clip's are read when it is drawn.
    """

    films: Films
    excerpts: Excerpts
    count: int
    fps: float

    def __len__(self) -> int:
        return self.count

    def of(self, index: int) -> tuple[Film, int]:
        """A clip's film, and the number of the excerpt."""
        return self.films[index % len(self.films)], index // len(self.films)

    def clip(self, index: int) -> Clip:
        film, number = self.of(index)
        return Clip(self.excerpts.read(film, number).float(), film.text, self.fps)

    def draw(self, rng: np.random.Generator) -> Clip:
        return self.clip(int(rng.integers(len(self))))

    def first(self, count: int) -> Tensor:
        """Model-space [n, T, C, h, w], float16, of the first `count` clips, or of all where they are fewer."""
        return torch.stack([self.excerpts.read(*self.of(i)) for i in range(min(count, len(self)))])

    def guide(self, count: int) -> None:
        """Of clips alone nothing is known beforehand."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """An excerpt's frames, uint8 [T, H, W, 3]; None where the film cannot be decoded."""

    film: Film
    number: int
    frames: Frames | None


@dataclass(frozen=True, slots=True)
class FilmMaterial:
    """As many excerpts of each film, at random times that follow from `seed`, the film and the excerpt's number.

    report: is told of films that cannot be decoded, which are left out. workers: films that are decoded at once.
    exactly: as many clips as are asked for, not what makes as many of each film.
    """

    films: Films
    coders: Coders
    cache: Path
    seed: int
    report: VideoReport
    workers: int = 1
    exactly: bool = False

    def clips(self, clip: ClipConfig, count: int) -> FilmClips:
        """Encodes what is not there yet, each process its share. Raises InputError where no film can be decoded."""
        excerpts = Excerpts(shard_folder(self.cache, "films", self.coders.weights, clip, self.seed))
        films, state = self.films, PartialState()
        while len(films):
            of_each = -(-count // len(films))
            wanted = FilmClips(films, excerpts, count if self.exactly else of_each * len(films), clip.fps)
            self._encode(wanted, clip, self._missing(wanted))
            state.wait_for_everyone()
            refused = excerpts.refused()
            left = films.without(refused)
            state.wait_for_everyone()  # or a faster one would write what the others read
            if len(left) == len(films):
                return wanted
            self._leave_out(films, refused)
            if state.is_main_process:
                excerpts.forget(refused)
            films = left
        raise self.report.nothing_left()

    def _missing(self, wanted: FilmClips) -> list[int]:
        """Of this process's share."""
        state = PartialState()
        share = range(state.process_index, len(wanted), state.num_processes)
        there = ahead(lambda i: wanted.excerpts.whole(*wanted.of(i)), share, self.workers)
        bar = tqdm(there, "clips looked for", len(share), disable=None if state.is_main_process else True)
        return [i for i, whole in zip(share, bar, strict=True) if not whole]

    def _encode(self, wanted: FilmClips, clip: ClipConfig, missing: Sequence[int]) -> None:
        shows = bool(missing) and PartialState().is_main_process
        decoded = ahead(partial(self._decoded, wanted, clip), missing, self.workers)
        with closing(decoded), tqdm(total=len(missing), desc="clips encoded", disable=None if shows else True) as bar:
            for batch in _batches(decoded, self._at_once(clip)):
                good = [made for made in batch if made.frames is not None]
                for made, latents in zip(good, self._latents(good), strict=True):
                    wanted.excerpts.keep(made.film, made.number, latents)
                bar.update(len(batch))

    def _decoded(self, wanted: FilmClips, clip: ClipConfig, index: int) -> Decoded:
        """Pictures of another shape lose their edges."""
        film, number = wanted.of(index)
        if wanted.excerpts.refuses(film):
            return Decoded(film, number, None)
        rng = np.random.default_rng([self.seed, int(film.key, 16), number])
        times = frame_times(clip.frames, clip.fps, start=rng.uniform(0, film.seconds - seconds_of(clip)))
        try:
            frames = [
                place(Image.fromarray(frame), clip.width, clip.height, ResizePolicy.CROP)
                for frame in read_frames(film.video, times)
            ]
        except InputError as error:
            wanted.excerpts.refuse(film, LeftOut.of(film.name, film.video, error).reason)
            return Decoded(film, number, None)
        return Decoded(film, number, np.stack(frames))

    def _at_once(self, clip: ClipConfig) -> int:
        """Excerpts that go through the autoencoder together."""
        codec, device = self.coders.codec, self.coders.device
        frames = codec.at_once(clip.height // codec.downscale, clip.width // codec.downscale, device)
        return max(1, frames // clip.frames)

    def _latents(self, excerpts: Sequence[Decoded]) -> Iterable[Tensor]:
        """Of each [T, C, h, w], on the CPU."""
        pictures = [frame for excerpt in excerpts if excerpt.frames is not None for frame in excerpt.frames]
        return self.coders.encode(pictures).cpu().chunk(len(excerpts)) if excerpts else ()

    def _leave_out(self, films: Films, refused: dict[str, str]) -> None:
        gone = films.where(lambda film: film.key in refused)
        left_out = [LeftOut(film.name, refused[film.key], str(film.video)) for film in gone]
        self.report.add(left_out, said=len(gone) < len(films))  # else an error says it


def _batches(made: Iterator[Decoded], size: int) -> Iterator[list[Decoded]]:
    while batch := list(islice(made, size)):
        yield batch
