"""Camera moves and layers read from a prompt's words. Linear in the text's length.

`docs/camera-words.md` and `docs/layer-words.md` are its grammars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..layer import Layer, LayerKind
from . import layers
from .amounts import amounts, together
from .clauses import clauses_of
from .reader import Reader, Spoken


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing that was read: text[start:end].

    dials: what it sets, in the camera's units; empty for words of rest or ease, and of layers. layer: what it draws, by
    itself; denied: what it forbids.
    """

    start: int
    end: int
    text: str
    dials: Mapping[str, float]
    layer: Layer | None = None
    denied: LayerKind | None = None

    @property
    def says(self) -> str:
        """What it was read as: `pan -12`, `snow amount 0.5, fade_in 0.5`, `no rain`; empty for rest and ease."""
        if self.layer is not None:
            return str(self.layer)
        if self.denied is not None:
            return f"no {self.denied}"
        return ", ".join(f"{dial} {value:.3g}" for dial, value in self.dials.items())


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says of the camera and of layers.

    dials: all phrases together, within the camera's bounds; empty if nothing was said. ease: how the moves start and
    stop, where the words say so. still: the camera is told to rest, and no move is told.
    layers: one of each kind that was said, in their order; denied: kinds that are not to be drawn, and are not.
    """

    phrases: tuple[Phrase, ...]
    dials: Mapping[str, float]
    ease: str | None
    still: bool
    layers: tuple[Layer, ...] = ()
    denied: frozenset[LayerKind] = frozenset()

    @property
    def camera(self) -> tuple[Phrase, ...]:
        """The phrases that are the camera's."""
        return tuple(phrase for phrase in self.phrases if phrase.layer is None and phrase.denied is None)


def read_words(text: str) -> Reading:
    """What `text` says of the camera and of layers; all else in it is left to the video model. Never raises."""
    reader, drawn = Reader(), layers.LayerReader()
    for clause in clauses_of(text):
        reader.read(clause)
        drawn.read(clause)
    moved = any(spoken.marks for spoken in reader.found)
    kept = [spoken for spoken in reader.found if not (moved and spoken.rest) and (moved or not spoken.ease)]
    denied = layers.denied_kinds(drawn.found)
    said = [one for one in drawn.found if one.denied or one.kind not in denied]
    phrases = [_phrase(text, spoken) for spoken in kept] + [_layer_phrase(text, one) for one in said]
    return Reading(
        tuple(sorted(phrases, key=lambda phrase: phrase.start)),
        MappingProxyType(together(phrase.dials for phrase in phrases)),
        _ease({spoken.ease for spoken in kept if spoken.ease}),
        any(spoken.rest for spoken in kept),
        layers.together(one for one in said if not one.denied),
        denied,
    )


def _phrase(text: str, spoken: Spoken) -> Phrase:
    dials = amounts(spoken.marks, spoken.kinds, spoken.amount)
    return Phrase(spoken.start, spoken.end, text[spoken.start : spoken.end], MappingProxyType(dials))


def _layer_phrase(text: str, said: layers.Said) -> Phrase:
    layer, denied = (None, said.kind) if said.denied else (said.layer, None)
    return Phrase(said.start, said.end, text[said.start : said.end], MappingProxyType({}), layer, denied)


def _ease(said: set[str]) -> str | None:
    """Both ends together are ease_in_out; a constant speed gives way to either."""
    said = said - {"linear"} or said
    return "ease_in_out" if {"ease_in", "ease_out"} <= said else min(said, default=None)
