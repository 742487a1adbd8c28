"""Changes of light and air, and weather that "it" does: "it gets dark", "day turns to night", "it starts to snow"."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...layer import LayerKind
from .. import vocabulary as v
from ..phrases import Tokens, word_at
from . import company as c
from .deeds import DEEDS, NONE
from .looks import REACH, add_strength, look_on
from .strengths import Said, say
from .things import HEAT, SKY_WEATHER, TURNS

TURNING = ("get", "grow", "become", "turn", "go")
EDGES = {"start": "in", "begin": "in", "stop": "out", "cease": "out"}
TIMES = {"night": LayerKind.NIGHT, "evening": LayerKind.EVENING, "day": LayerKind.NIGHT}
Heard = tuple[tuple[Said, ...], int]  # what was said, and how many words were used
NOTHING: Heard = ((), 0)


@dataclass(slots=True)
class Way:
    """What stands between a subject and what is said of it."""

    strengths: dict[str, bool] = field(default_factory=dict)
    denied: bool = False
    fade: str = ""
    turns: bool = False


def change_at(tokens: Tokens, i: int) -> Heard:
    """What is said of the light, the air or the weather from i on."""
    word = tokens[i].word
    if word in SKY_WEATHER or word in c.VERBS:
        return _verb_at(tokens, i)
    if word in c.TIMES:
        return _times_at(tokens, i)
    heard = _turn_at(tokens, i) if word in c.SCENES else NOTHING
    return heard if heard[1] or word not in ("it", "make") else _weather_at(tokens, i)


def _turn_at(tokens: Tokens, i: int) -> Heard:
    """As in "it gets dark", "the light turns golden", "make it darker"."""
    way = Way(turns=word_at(tokens, i - 1) in ("make", "making"))
    made = way.turns
    for j in range(i + 1, min(i + REACH, len(tokens))):
        word = tokens[j].word
        if way.turns and word in TURNS:
            return _turned(tokens, (i, j), way, made)
        if DEEDS.get(word, NONE)[0] in TURNING:
            way.turns = True
        elif not (_passes(tokens, j, way) or word in c.LATER or word in c.PLAIN):
            break
    return NOTHING


def _turned(tokens: Tokens, span: tuple[int, int], way: Way, made: bool) -> Heard:
    subject, word = (tokens[k].word for k in span)
    if word in HEAT and subject == "it" and not made:
        return NOTHING  # the weather, not the light
    kind = TURNS[word]
    if kind is LayerKind.NIGHT and subject not in ("it", "sky"):
        kind = LayerKind.DARKER
    fade = "" if made else "all" if kind is LayerKind.NIGHT else "in"
    strengths = way.strengths | look_on(tokens, span[1]).strengths
    return say(tokens, span, (kind,), strengths, fade=fade, denied=way.denied), span[1] - span[0] + 1


def _times_at(tokens: Tokens, i: int) -> Heard:
    """As in "day turns to night", "night into day"."""
    for j in range(i + 1, min(i + 6, len(tokens))):
        word, before = tokens[j].word, word_at(tokens, j - 1)
        if word in TIMES and word != tokens[i].word and (before in ("to", "into") or before.startswith("becom")):
            return say(tokens, (i, j), (TIMES[word],), {}, fade="out" if word == "day" else "all"), j - i + 1
        if not (word in ("to", "into", "slowly", "gradually") or word in DEEDS):
            break
    return NOTHING


def _weather_at(tokens: Tokens, i: int) -> Heard:
    """As in "it snows", "it begins to rain", "it is not raining", "don't let it rain"."""
    way = Way(denied=word_at(tokens, i - 1) in ("let", "make") and word_at(tokens, i - 2) in v.NEGATIONS)
    for j in range(i + 1, min(i + REACH, len(tokens))):
        word = tokens[j].word
        deed = DEEDS.get(word, NONE)[0]
        if deed in SKY_WEATHER:
            tail = look_on(tokens, j)
            strengths = way.strengths | ({"heavy": False} if deed == "pour" else {}) | tail.strengths
            span = (i, max(j, tail.last))
            said = say(tokens, span, (SKY_WEATHER[deed],), strengths, fade=way.fade, denied=way.denied)
            return said, j - i + 1
        way.fade = EDGES.get(deed, way.fade)
        if deed not in EDGES and not _passes(tokens, j, way) and word not in ("it", "has"):
            break
    return NOTHING


def _passes(tokens: Tokens, j: int, way: Way) -> bool:
    """Whether the word at j may stand between; what it says is noted."""
    word = tokens[j].word
    way.denied |= word in v.NEGATIONS
    return word in v.NEGATIONS or add_strength(way.strengths, tokens, j) or word in v.AUXILIARY


def _verb_at(tokens: Tokens, i: int) -> Heard:
    """As in "snowing", "she breathes softly", "heavy breathing"."""
    lemma = DEEDS[tokens[i].word][0]
    breath = lemma == "breathe"
    if tokens[i].word not in c.VERBS or (breath and _is_other_breath(tokens, i)):
        return NOTHING
    strengths: dict[str, bool] = {}
    first = i
    while first > max(i - REACH, 0) and add_strength(strengths, tokens, first - 1):
        first -= 1
    tail = look_on(tokens, i)
    denied = any(word_at(tokens, j) in v.NEGATIONS for j in range(first - 3, first))
    kind = LayerKind.BREATHE if breath else SKY_WEATHER[lemma]
    return say(tokens, (first, tail.last), (kind,), strengths | tail.strengths, denied=denied), 1


def _is_other_breath(tokens: Tokens, i: int) -> bool:
    """As in "breathes fire", "a wine that breathes"."""
    return word_at(tokens, i + 1) in c.NOT_BREATH or bool(
        {word_at(tokens, i - 1), word_at(tokens, i - 2)} & c.INANIMATE
    )
