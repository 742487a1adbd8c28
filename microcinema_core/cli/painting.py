"""Words that Pocket paints where they would be drawn: which of a prompt's it knows, and what it is told for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import InputError
from ..motion.layer import Layer
from ..motion.words import Phrase, Reading
from ..shot.settings import Precision, SamplingConfig
from ..worlds.pocket.captions import COMES, HOW, STEADY
from ..worlds.pocket.effects import ASKED, LOOKS, Effect, Strength
from .console import complain, progress, quiet_libraries
from .layers import ToldLayer
from .request import Models

if TYPE_CHECKING:
    from ..standalone.camera import Take
    from ..standalone.framing import Timing
    from ..standalone.painting import Stroke

PAINTED = MappingProxyType({LOOKS[effect].kind: effect for effect in ASKED})
KNOWN = ", ".join(ASKED)
GENTLE, STRONG = 0.75, 1.35  # of a layer's amount: below and above, words say so
COMING = 0.5  # of a clip, over which what is only coming comes


@dataclass(frozen=True, slots=True)
class Painted:
    """phrase: of the prompt, and what it would draw, which says where it belongs. told: the sentence for the model."""

    phrase: Phrase
    layer: Layer
    told: str


def painted_words(prompt: str, reading: Reading, options: Sequence[ToldLayer] = ()) -> list[Painted]:
    """What of a prompt is painted, each effect once: layers that were read, and sentences that Pocket learnt besides.

    options: layers that are drawn in the place of words of their kind.
    Notes what is drawn all the same. Raises InputError where nothing is left to paint.
    """
    told = {one.layer.kind for one in options if one.layer is not None}
    asked = [layer for layer in reading.layers if layer.kind not in told]
    found = {PAINTED[layer.kind]: layer for layer in asked if layer.kind in PAINTED}
    read = [Painted(_phrase(reading, layer), layer, _sentence(effect, layer)) for effect, layer in found.items()]
    denied = {PAINTED[kind] for kind in {*reading.denied, *told} if kind in PAINTED}
    read += _learnt(prompt, {*found, *denied})
    if not read:
        raise InputError(
            f"--paint: the prompt asks for nothing that Pocket paints; say one of {KNOWN}, or leave it out"
        )
    drawn = [str(layer.kind) for layer in asked if layer.kind not in PAINTED]
    if drawn:
        complain("note", f"Pocket cannot paint {', '.join(drawn)}, so that is drawn; it can paint: {KNOWN}")
    return sorted(read, key=lambda one: one.phrase.start)


def _phrase(reading: Reading, layer: Layer) -> Phrase:
    """The words of a layer's kind."""
    return next(p for p in reading.phrases if p.layer is not None and p.layer.kind is layer.kind)


def _sentence(effect: Effect, layer: Layer) -> str:
    """As Pocket was taught: what, whether it is only coming, and how strong."""
    how = ""
    if layer.amount < GENTLE:
        how = HOW[Strength.GENTLE][0]
    elif layer.amount > STRONG:
        how = HOW[Strength.STRONG][1]
    return f"{(COMES if layer.fade_in > 0 else STEADY)[effect][0]} {how}".strip()


def _learnt(prompt: str, without: set[Effect]) -> Iterator[Painted]:
    """Effects that the prompt says in a sentence that Pocket learnt, in more than one word; the longest counts."""
    for effect in ASKED:
        sentences = sorted(chain(STEADY[effect], COMES[effect]), key=len, reverse=True)
        for sentence in sentences if effect not in without else ():
            place = re.search(rf"\b{re.escape(sentence)}\b", prompt, re.IGNORECASE) if " " in sentence else None
            if place is not None:
                layer = Layer(LOOKS[effect].kind, fade_in=COMING if sentence in COMES[effect] else 0.0)
                yield Painted(Phrase(place.start(), place.end(), place.group(), {}, layer), layer, sentence)
                break


@dataclass(frozen=True, slots=True)
class Brush:
    """The model that paints, and how it is run."""

    models: Models
    sampling: SamplingConfig
    precision: Precision
    seed: int

    def check(self, timing: Timing) -> None:
        """Raises what can be known from the files' headers and the clip's length to be wrong."""
        from ..standalone.painting import check_length, check_paints

        config = self.models.header(self.sampling).config
        check_paints(config, self.models.video.name)
        check_length(timing, config.clip)

    def painted(self, take: Take, strokes: Sequence[Stroke]) -> Take:
        """The camera's clip with all of it on it."""
        from ..standalone.painting import Painter
        from ..standalone.precision import default_device, dtype_for

        device, models = default_device(), self.models
        dtype = dtype_for(self.precision, device)
        quiet_libraries()
        with progress("Loading"):
            painter = Painter.from_pretrained(
                models.video,
                device=device,
                dtype=dtype,
                attention=models.attention,
                compile=models.compile,
                loras=models.loras,
            )
        with progress("Painting") as callback:
            return painter.paint(take, strokes, sampling=self.sampling, seed=self.seed, callback=callback)
