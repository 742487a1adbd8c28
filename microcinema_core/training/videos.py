"""Videos of one's own, put together: found, divided, reported on, and ready to be cut into clips."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import PartialState

from ..config import ClipConfig
from ..errors import ConfigError
from .coders import Coders, cache_of
from .config import TrainConfig
from .data.catalogue import Films, find_films
from .data.clips import seconds_of
from .data.division import divided
from .data.film_clips import FilmMaterial
from .data.named import LeftOut
from .data.report import VideoReport
from .reports.films import REPORT

CATALOGUE = "videos.jsonl"


def own_videos(
    coders: Coders, config: TrainConfig, clip: ClipConfig, rates: Sequence[float]
) -> tuple[FilmMaterial, FilmMaterial]:
    """Videos to learn from, of which clips are cut at these rates, and those for the reports.

    Those that cannot be used are said in `left-out.csv` beside the run. Raises InputError for a source that is none and
    where no video is left.
    """
    data, state = config.data, PartialState()
    if data.hard_motions:
        raise ConfigError("train: hard_motions are Toybox's; leave them out with `videos`")
    cache = cache_of(config)
    report = VideoReport(Path(config.out), config.videos, writes=state.is_main_process)
    films, left_out = _found(config, cache)
    division = divided(films, max(seconds_of(replace(clip, fps=rate)) for rate in rates))
    report.held_out = division.held_out if division.held_out is not division.used else None
    report.add([*left_out, *division.left_out])
    if not len(division.used):
        raise report.nothing_left()
    used = FilmMaterial(division.used, coders, cache, data.seed, report, data.workers)
    return used, replace(used, films=division.held_out, seed=data.seed + REPORT, exactly=True)


def _found(config: TrainConfig, cache: Path) -> tuple[Films, list[LeftOut]]:
    """Looked for by the main process; the others read what it wrote."""
    state = PartialState()
    name = hashlib.sha256(str(Path(config.videos).absolute()).encode(errors="surrogatepass")).hexdigest()
    catalogue = Path(config.out) / CATALOGUE  # the run's own: another one may find other videos meanwhile
    with state.main_process_first():
        if state.is_main_process:
            return find_films(config.videos, catalogue, config.data.workers, cache / f"videos-{name[:12]}.jsonl")
    return Films.read(catalogue), []
