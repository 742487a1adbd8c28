"""Camera moves read from a prompt's words. Linear in the text's length; `docs/camera-words.md` is its grammar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .amounts import amounts, together
from .clauses import clauses_of
from .reader import Reader, Spoken


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing that was read: text[start:end].

    dials: what it sets, in the camera's units; empty for words of rest or ease.
    """

    start: int
    end: int
    text: str
    dials: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says of the camera.

    dials: all phrases together, within the camera's bounds; empty if nothing was said. ease: how the moves start and
    stop, where the words say so. still: the camera is told to rest, and no move is told.
    """

    phrases: tuple[Phrase, ...]
    dials: Mapping[str, float]
    ease: str | None
    still: bool


def read_words(text: str) -> Reading:
    """What `text` says of the camera; everything else in it is left to the video model. Never raises."""
    reader = Reader()
    for clause in clauses_of(text):
        reader.read(clause)
    moved = any(spoken.marks for spoken in reader.found)
    kept = [spoken for spoken in reader.found if not (moved and spoken.rest) and (moved or not spoken.ease)]
    phrases = tuple(_phrase(text, spoken) for spoken in sorted(kept, key=lambda spoken: spoken.start))
    return Reading(
        phrases,
        MappingProxyType(together(phrase.dials for phrase in phrases)),
        _ease({spoken.ease for spoken in kept if spoken.ease}),
        any(spoken.rest for spoken in kept),
    )


def _phrase(text: str, spoken: Spoken) -> Phrase:
    dials = amounts(spoken.marks, spoken.kinds, spoken.amount)
    return Phrase(spoken.start, spoken.end, text[spoken.start : spoken.end], MappingProxyType(dials))


def _ease(said: set[str]) -> str | None:
    """Both ends together are ease_in_out; a constant speed gives way to either."""
    said = said - {"linear"} or said
    return "ease_in_out" if {"ease_in", "ease_out"} <= said else min(said, default=None)
