"""Videos of one's own as material for a stage: those to learn from, those for its reports, and which reach a rate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

from ..config import ClipConfig
from ..errors import ConfigError
from .coders import Coders
from .config import TrainConfig
from .data.catalogue import Films, find_films, reaching
from .data.clips import seconds_of
from .data.division import divided
from .data.film_clips import FilmMaterial
from .data.named import LeftOut
from .data.report import VideoReport
from .reports.validation import REPORT

CATALOGUE = "videos.jsonl"


@dataclass(frozen=True, slots=True)
class OwnVideos:
    """used: to learn from. held_out: for the reports; the same films where there are few.

    material: of the films to learn from; its seed is that of their excerpts.
    """

    held_out: Films
    material: FilmMaterial

    @property
    def used(self) -> Films:
        return self.material.films

    @property
    def reported(self) -> FilmMaterial:
        """Of the films that are held out, or other excerpts of those that are learned from; as many as asked for."""
        return replace(self.material, films=self.held_out, seed=self.material.seed + REPORT, exactly=True)

    @property
    def fastest(self) -> float:
        """Frames a second of the film that has most."""
        return max(film.rate for films in (self.used, self.held_out) for film in films)

    def reach(self, rate: float) -> bool:
        """Whether any film has as many frames a second."""
        return any(len(reaching(films, rate)) for films in (self.used, self.held_out))

    def at(self, rate: float) -> OwnVideos:
        """Those alone that reach `rate`, as one at least must: held-out films teach only where no others do."""
        held_out = reaching(self.held_out, rate)
        used = reaching(self.used, rate)
        used = used if len(used) else held_out
        return OwnVideos(held_out if len(held_out) else used, replace(self.material, films=used))


def own_videos(config: TrainConfig, coders: Coders, cache: Path, clips: Sequence[ClipConfig]) -> OwnVideos:
    """The source `videos`, whose films are long enough for each of these clips; `left-out.csv` says which are not used.

    Raises ConfigError for settings that are Toybox's, InputError for a source that is none and where no film is left.
    """
    data, out, main = config.data, Path(config.out), PartialState().is_main_process
    if data.hard_motions:
        raise ConfigError("train: hard_motions are Toybox's; leave them out with `videos`")
    report = VideoReport(out, config.videos, writes=main)
    films, left_out = _found(config, cache)
    division = divided(films, max(map(seconds_of, clips)))
    report.held_out = division.held_out if division.held_out is not division.used else None
    report.add([*left_out, *division.left_out], said=bool(len(division.used)))  # else an error says it
    if not len(division.used):
        raise report.nothing_left()
    return OwnVideos(
        division.held_out, FilmMaterial(division.used, coders, cache, data.seed, report, workers=data.workers)
    )


def _found(config: TrainConfig, cache: Path) -> tuple[Films, list[LeftOut]]:
    """Looked for by the main process; the others read what it wrote."""
    state = PartialState()
    name = hashlib.sha256(str(Path(config.videos).absolute()).encode(errors="surrogatepass")).hexdigest()
    catalogue = Path(config.out) / CATALOGUE  # the run's own: another one may find other videos meanwhile
    with state.main_process_first():
        if state.is_main_process:
            return find_films(config.videos, catalogue, config.data.workers, cache / f"videos-{name[:12]}.jsonl")
    return Films.read(catalogue), []
