"""Videos of one's own as material for a stage: those to learn from, those for its reports, and which reach a rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import ClipConfig
from ..errors import ConfigError
from .coders import Coders
from .config import TrainConfig
from .data.clips import seconds_of
from .data.film_clips import FilmMaterial
from .data.films import Film, find_films, held_out_of, reaching
from .reports.films import REPORT


@dataclass(frozen=True, slots=True)
class OwnVideos:
    """used: to learn from. held_out: for the reports; the same films where there are few. seed: of their excerpts."""

    used: Sequence[Film]
    held_out: Sequence[Film]
    coders: Coders
    cache: Path
    seed: int

    @property
    def material(self) -> FilmMaterial:
        """Of the films to learn from."""
        return FilmMaterial(self.used, self.coders, self.cache, self.seed)

    @property
    def reported(self) -> FilmMaterial:
        """Of the films that are held out, or other excerpts of those that are learned from."""
        return FilmMaterial(self.held_out, self.coders, self.cache, self.seed + REPORT)

    @property
    def fastest(self) -> float:
        """Frames a second of the film that has most."""
        return max(film.rate for film in (*self.used, *self.held_out))

    def reach(self, rate: float) -> bool:
        """Whether any film has as many frames a second."""
        return bool(reaching((*self.used, *self.held_out), rate))

    def at(self, rate: float) -> OwnVideos:
        """Those alone that reach `rate`, as one at least must: held-out films teach only where no others do."""
        held_out = reaching(self.held_out, rate)
        used = reaching(self.used, rate) or held_out
        return replace(self, used=used, held_out=held_out or used)


def own_videos(config: TrainConfig, coders: Coders, cache: Path, clips: Sequence[ClipConfig]) -> OwnVideos:
    """The folder `videos`, whose films are long enough for each of these clips.

    Raises ConfigError for settings that are Toybox's, InputError for what is no such folder.
    """
    if config.data.hard_motions:
        raise ConfigError("train: hard_motions are Toybox's; leave them out with `videos`")
    films = find_films(Path(config.videos), max(seconds_of(clip) for clip in clips))
    return OwnVideos(*held_out_of(films), coders, cache, config.data.seed)
