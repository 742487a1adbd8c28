"""Which films are learnt from, which are kept for the reports, and which are too short."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .catalogue import Films, own_name
from .films import Film
from .named import LeftOut

HELD_OUT_EVERY = 10  # of so many films about one is kept for the reports, where there are as many


@dataclass(frozen=True, slots=True)
class Division:
    """Films to learn from, those for the reports, which are the same ones where there are few, and who is neither."""

    used: Films
    held_out: Films
    left_out: list[LeftOut]


def divided(films: Films, shortest: float) -> Division:
    """Films that play for `shortest` seconds at least, divided by their names: a new one changes nothing for others."""
    long = films.where(lambda film: film.seconds >= shortest)
    short = films.where(lambda film: film.seconds < shortest)
    left_out = [
        LeftOut(
            film.name,
            f"plays for {film.seconds:.2f} s, a clip needs {shortest:.2f}; take it away, or ask for fewer frames or a "
            "higher rate ([clip] frames, fps)",
            str(film.video),
        )
        for film in short
    ]
    if len(long) < HELD_OUT_EVERY:
        return Division(long, long, left_out)
    limit = max(1 / HELD_OUT_EVERY, min(map(lot_of, long)))
    used = long.where(lambda film: lot_of(film) > limit)
    return Division(used if len(used) else long, long.where(lambda film: lot_of(film) <= limit), left_out)


def lot_of(film: Film) -> float:
    """What a film draws, in 0..1: it follows from its name alone."""
    drawn = hashlib.sha256(own_name(film.name, film.video).encode(errors="surrogatepass")).digest()
    return int.from_bytes(drawn[:8], "big") / 2**64
