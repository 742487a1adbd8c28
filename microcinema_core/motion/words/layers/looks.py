"""What stands to the left and to the right of a thing's name; every look is a bounded number of words far."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import vocabulary as v
from ..phrases import Tokens, word_at
from . import company as c
from .deeds import DEEDS, LESS, MORE, NONE
from .strengths import ADVERBS, KINDS, VERY
from .things import NOUNS

REACH = 12  # words on either side of a name
GAP = 5  # words between a name and its deed: "clouds above the old town drift"
CAMERA = v.SUBJECTS | v.set_of("zoom pan tilt dolly truck orbit push pull track tracking handheld static")


@dataclass(slots=True)
class Left:
    """What stands before a name. first: the outermost word used. deed: of "falling snow".

    under: the preposition that governs it. head: it is a veil of it, a bank. free: nothing unknown stands before it.
    maker: a person does, so that it is no name but a verb: "he leaves". added: "add fog".
    """

    first: int
    deed: str = ""
    strengths: dict[str, bool] = field(default_factory=dict)
    denied: bool = False
    under: str = ""
    head: bool = False
    free: bool = False
    maker: bool = False
    added: bool = False

    @property
    def is_subject(self) -> bool:
        return not self.under or self.head


@dataclass(slots=True)
class Right:
    """What stands after a name, up to its deed at `last`: deed, form; more: its particle, "die down".

    edge: `in` or `out` where it begins or stops.
    measure: the same, where it "gets heavier", "grows weaker". far: words of another thing lie between.
    """

    last: int
    deed: str = ""
    form: str = ""
    more: str = ""
    edge: str = ""
    measure: str = ""
    strengths: dict[str, bool] = field(default_factory=dict)
    denied: bool = False
    far: bool = False


@dataclass(slots=True)
class Tail:
    """What stands after a deed. last: the outermost word that was used."""

    last: int
    side: str = ""
    strengths: dict[str, bool] = field(default_factory=dict)


def add_strength(strengths: dict[str, bool], tokens: Tokens, i: int) -> bool:
    """Whether the word at i states a strength, which is then noted, with whether "very" stands before it."""
    kind = KINDS.get(word_at(tokens, i), "")
    if kind:
        strengths[kind] = word_at(tokens, i - 1) in VERY or strengths.get(kind, False)
    return bool(kind)


def look_left(tokens: Tokens, i: int) -> Left:
    """Back from the name at i over what describes it."""
    found = Left(first=i)
    for j in range(i - 1, max(i - REACH, -1) - 1, -1):
        word = word_at(tokens, j)
        if not word:
            found.free = True
        if not word or not _takes(tokens, j, word, found):
            break
        found.first = j
    return found


def _takes(tokens: Tokens, j: int, word: str, found: Left) -> bool:
    """Whether the word at j describes what follows it, and is not the last that says anything."""
    if word in v.NEGATIONS:
        found.denied, found.first, found.free = True, j, True
        return False
    if add_strength(found.strengths, tokens, j) or word in VERY or word in c.PLAIN or word in v.INTENSE:
        return True
    if word in DEEDS and DEEDS[word][1] == "ing" and not found.deed:
        found.deed = DEEDS[word][0]
        return True
    if word == "of" and word_at(tokens, j - 1) in c.HEADS:
        found.head = True
        return True
    if (found.head and word in c.HEADS) or _same(word, tokens[found.first].word):
        return True
    if word in c.SHOWN and {word_at(tokens, j - 1), word_at(tokens, j - 2)} & v.NEGATIONS:
        found.denied = found.free = True
        return False
    found.maker = word in c.PERSONS
    if word in v.PREPOSITIONS or word in c.PLACED or word in ("of", "for", "like", "about", "than", "without"):
        found.under, found.free = word, word in c.PLACED
    elif word in ("add", "adding"):
        found.added, found.first, found.free = True, j, True
    elif word in c.OPENERS or word.endswith("ly"):
        found.free = True
    return False


def _same(word: str, name: str) -> bool:
    """As in "dust particles", "candle flame"."""
    return word in NOUNS and name in NOUNS and NOUNS[word][0].kinds == NOUNS[name][0].kinds


def look_right(tokens: Tokens, i: int) -> Right:
    """On from the name at i to its deed; `deed` is empty where there is none."""
    found, gap = Right(last=i), 0
    for j in range(i + 1, min(i + REACH, len(tokens))):
        word = tokens[j].word
        if word in CAMERA or (word in c.PERSONS and not gap):
            break
        deed, form = DEEDS.get(word, NONE)
        if word in ("light", "lights", "lighting") and word_at(tokens, j + 1) == "up":
            deed, form = "light", "base"
        starts = {"start": "in", "begin": "in", "stop": "out", "cease": "out"}.get(deed, "")
        if word in v.NEGATIONS:
            found.denied = True
        elif starts and not found.edge:
            found.edge, found.last, found.deed = starts, j, deed
        elif deed and not (gap and form == "base" and word_at(tokens, j - 1) in v.ARTICLES):
            found.deed, found.form, found.last, found.far = deed, form, j, bool(gap)
            found.more = f"{deed} {word_at(tokens, j + 1)}"
            _measure(tokens, j, found)
            break
        elif add_strength(found.strengths, tokens, j) or _is_small(word):
            continue
        elif gap or word in v.PREPOSITIONS or word in c.PLACED:
            gap += 1
            if gap > GAP or found.edge:
                break
        else:
            break
    return found


def _measure(tokens: Tokens, j: int, found: Right) -> None:
    for word in (word_at(tokens, j + 1), word_at(tokens, j + 2)):
        if word in MORE:
            found.measure, found.strengths["heavy"] = "in", False
        elif word in LESS:
            found.measure = "out"


def _is_small(word: str) -> bool:
    return word in v.AUXILIARY or word.endswith("ly") or word in ("that", "which", "has", "all", "to", *VERY)


def look_on(tokens: Tokens, i: int) -> Tail:
    """On from the deed at i: a side, strengths, also those after "over the hills"."""
    found = Tail(last=i)
    j = i + 1
    while j < min(i + REACH, len(tokens)):
        word = tokens[j].word
        if word in CAMERA or word in v.PRONOUNS or (word in DEEDS and word not in KINDS and word != "slow"):
            break
        side, used = side_at(tokens, j)
        if side and not found.side:
            found.side, found.last = side, j + used - 1
        elif (word.endswith("ly") or word in ADVERBS) and add_strength(found.strengths, tokens, j):
            found.last = j
        j += max(used, 1)
    return found


def side_at(tokens: Tokens, i: int) -> tuple[str, int]:
    """Where something goes, and how many words say it; empty and 0 for none.

    As in "left", "to the left", "from the left" (to the right), "from left to right".
    """
    words = [word_at(tokens, j) for j in range(i, i + 6)]
    start = 1 if words[0] == "from" else 0
    start += words[start] == "the"
    if words[start] in v.ENDS and words[start + 1] == "to":
        end = start + 2 + (words[start + 2] == "the")
        if words[end : end + 1] and words[end] in v.ENDS:
            return v.ENDS[words[end]], end + 1
    if words[0] == "from" and words[start] in ("left", "right"):
        return {"left": "right", "right": "left"}[words[start]], start + 1
    if words[:2] in (["to", "the"], ["toward", "the"], ["towards", "the"]) and words[2] in ("left", "right"):
        return words[2], 3
    side = v.DIRECTIONS.get(words[0], "")
    clear = side in ("left", "right", "up", "down") and words[0] not in ("lower", "higher")
    of_something = words[1] in ("of", "the", "a")  # "down the street", "left of the tree"
    return (side, 1) if clear and not of_something else ("", 0)
