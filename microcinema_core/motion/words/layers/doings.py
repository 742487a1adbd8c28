"""What a thing does, and whether that draws it: its own deeds, and how it comes and goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...layer import Group, LayerKind
from .. import vocabulary as v
from ..phrases import Tokens, word_at
from . import company as c
from . import deeds as d
from .looks import Left, Right, look_right
from .things import NOUNS, Thing

NEAR = 8  # words in which what the wind carries is looked for
MOVABLE = (Group.PARTICLES, Group.AIR, Group.SKY, Group.WATER)  # by the wind


@dataclass(frozen=True, slots=True)
class Doing:
    """A thing with what it does. last: the deed's word. fade: `in`, `all`, `out`, or nothing."""

    thing: Thing
    last: int
    fade: str = ""
    deed: str = ""

    def end(self, tokens: Tokens) -> int:
        """The last word of the deed with its particle: "rolls in", "gets heavier"."""
        following = word_at(tokens, self.last + 1)
        return self.last + (
            bool(self.fade) and (following in d.PARTICLES or following in d.MORE or following in d.LESS)
        )

    @property
    def strengths(self) -> dict[str, bool]:
        """Those that its name and its deed have in themselves; what comes or goes does so at its own tempo."""
        deed = "" if self.fade else d.STRONG.get(self.deed, "")
        return {kind: False for kind in (self.thing.strength, deed) if kind}


def does(tokens: Tokens, i: int, left: Left, things: Sequence[Thing]) -> Doing | None:
    """What the thing at i does, before it ("falling snow") or after it."""
    before = next((thing for thing in things if left.deed in thing.deeds and not thing.fade), None)
    if before is not None:
        return Doing(before, i, deed=left.deed)
    if _glitters(tokens, left, things[0]):
        return Doing(things[0], i)
    right = look_right(tokens, i)
    if _is_verb(tokens, i, left, right):
        return None
    free = left.is_subject or (right.form == "ing" and not right.far)
    found = (doing_of(thing, right, tokens) for thing in things) if free and right.deed else iter(())
    return next((doing for doing in found if doing), None) or _in_wind(tokens, i, things)


def _is_verb(tokens: Tokens, i: int, left: Left, right: Right) -> bool:
    """As in "the boat leaves waves behind it", "a smoke-filled room"."""
    if tokens[i].word in ("leaves", "waves") and right.form == "s" and not left.head:
        return True
    following = word_at(tokens, i + 2)
    ends = not following or following in v.PREPOSITIONS or following in v.ARTICLES or following.endswith("ly")
    return right.form == "ed" and right.last == i + 1 and not ends and following not in v.DIRECTIONS


def doing_of(thing: Thing, right: Right, tokens: Tokens) -> Doing | None:
    """The deed after a thing as its own; None where it is not one that draws it."""
    acts = right.deed in thing.deeds or right.more in thing.deeds
    if acts and thing.fade:
        return Doing(thing, right.last, thing.fade, right.deed)
    fade = _fade(thing, right, tokens) if thing.comes else ""
    edge = right.edge if acts or (thing.comes and right.deed in ("start", "begin", "stop", "cease")) else ""
    return Doing(thing, right.last, fade or edge, right.deed) if fade or edge or acts else None


def _fade(thing: Thing, right: Right, tokens: Tokens) -> str:
    """How what comes and goes does so: `in`, `out`, or nothing."""
    air = thing.kinds[0].group is Group.AIR
    following = word_at(tokens, right.last + 1)
    if following == "in" and not _continues(tokens, right.last + 2):
        return "in" if air or right.deed == "set" or thing.kinds[0].group is Group.PARTICLES else ""
    if right.deed in ("get", "grow", "become"):
        return right.measure
    if right.deed == "settle":
        return "in" if air else "out"
    if right.deed in ("turn", "change"):
        return "out" if following in ("to", "into") else ""
    if right.deed == ("pass" if air else "lift") or (right.deed == "pass" and thing.wind):
        return ""
    if {right.more, right.deed} & d.OUT:
        return "out"
    return "in" if {right.more, right.deed} & d.IN else ""


def _continues(tokens: Tokens, j: int) -> bool:
    """Whether "in" is of a place, "drifts in the light"; "rolls in from the sea" is not."""
    return word_at(tokens, j) in v.ARTICLES or word_at(tokens, j) in c.PLAIN


def _glitters(tokens: Tokens, left: Left, thing: Thing) -> bool:
    """As in "moonlight shimmers on the lake"."""
    before = d.DEEDS.get(word_at(tokens, left.first - 2), d.NONE)[0]
    return left.under in ("on", "over", "across") and thing.kinds == (LayerKind.WAVES,) and before in d.GLITTER


def _in_wind(tokens: Tokens, i: int, things: Sequence[Thing]) -> Doing | None:
    """As in "flowers in the wind"."""
    plant = next((thing for thing in things if thing.plant), None)
    if plant is None or word_at(tokens, i + 1) != "in":
        return None
    near = range(i + 2, min(i + 6, len(tokens)))
    last = next((j for j in near if tokens[j].word in NOUNS and NOUNS[tokens[j].word][0].wind), 0)
    return Doing(plant, last) if last else None


def moved(tokens: Tokens, doing: Doing) -> tuple[LayerKind, ...]:
    """What is drawn: the thing's kinds, or what the wind moves: "the wind drives the clouds"."""
    if not doing.thing.wind or doing.fade:
        return doing.thing.kinds
    for j in range(doing.last + 1, min(doing.last + 4, len(tokens))):
        kinds = NOUNS[tokens[j].word][0].kinds if tokens[j].word in NOUNS else ()
        if kinds and kinds[0].group in MOVABLE and not any(thing.plant for thing in NOUNS[tokens[j].word]):
            return kinds
        if tokens[j].word not in c.PLAIN:
            break
    return doing.thing.kinds


def is_carried(tokens: Tokens, i: int) -> bool:
    """Whether the wind at i has hair or cloth to blow through, which is no plant."""
    return any(token.word in c.CARRIED for token in tokens[max(i - NEAR, 0) : i + NEAR])


def is_whole(tokens: Tokens, i: int) -> bool:
    """Whether a name ends at i, and is not the first part of another's: "rain boots", "a drizzle of oil"."""
    word = word_at(tokens, i + 1)
    if word in c.EFFECTS:
        return word_at(tokens, i + 2) == "" or word_at(tokens, i + 2) in v.PREPOSITIONS
    if word in ("is", "are", "was") and word_at(tokens, i + 2) in ("over", "gone", "past"):
        return False
    beside = word in v.PREPOSITIONS or word in c.PLACED or word in v.AUXILIARY or word in c.LATER or word in c.HANGING
    beside |= word in v.NEGATIONS
    return word != "of" and (not word or beside or word.endswith(("ly", "ward", "wards")) or word in ("that", "which"))
