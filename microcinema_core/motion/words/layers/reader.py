"""The layers' grammar, clause by clause: what is read, and what carries on from one clause to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...layer import Group, LayerKind
from .. import vocabulary as v
from ..clauses import Clause
from ..phrases import Tokens, word_at
from . import things as t
from .looks import REACH, Left, Right, add_strength, look_left, look_on, look_right
from .strengths import KINDS, Said, heading, timed

MOVABLE = (Group.PARTICLES, Group.AIR, Group.SKY, Group.WATER)  # by the wind
NEAR = 8  # words in which what the wind carries is looked for


@dataclass(frozen=True, slots=True)
class Doing:
    """A thing with what it does. last: the deed's word. fade: `in`, `all`, `out`, or nothing."""

    thing: t.Thing
    last: int
    fade: str = ""
    deed: str = ""


class LayerReader:
    """What has been read so far, and what a clause takes over from those before it."""

    def __init__(self) -> None:
        self.found: list[Said] = []
        self.clause = 0  # where in `found` this clause begins
        self.sentence = 0
        self.joint = self.opener = "."
        self.denying = False  # the clause before ended in "no rain"
        self.waiting: tuple[Tokens, int] | None = None  # "embers and smoke rise": the first, of both
        self.doer: t.Thing | None = None  # who did the last thing in this sentence
        self.turned: set[int] = set()  # where what something turns into stands in this clause

    def read(self, clause: Clause) -> None:
        """Add what one clause says."""
        tokens, self.joint, self.opener = clause.tokens, clause.joint, clause.opener
        self.clause = len(self.found)
        self.turned = set()
        if clause.joint in (".", ":"):
            self.sentence, self.waiting, self.denying, self.doer = len(self.found), None, False, None
        if self._only_adds(tokens):
            return
        waiting = self.waiting if clause.joint in ("and", "&") else None
        self.waiting = None
        i = self._goes_on(tokens)
        while i < len(tokens):
            i += max(self._read_at(tokens, i, waiting), 1)
        if len(self.found) == self.clause:
            self.doer = None
        if self.denying and not any(said.denied for said in self.found[self.clause :]):
            self.denying = False

    def _only_adds(self, tokens: Tokens) -> bool:
        """Whether a clause is made of adverbs of strength alone, which then are the last layer's: "falls, softly"."""
        known = len(tokens) <= REACH and all(token.word in KINDS or token.word in ("very", "a") for token in tokens)
        if not known or len(self.found) == self.sentence:
            return False
        last = self.found[-1]
        for i in range(len(tokens)):
            add_strength(last.strengths, tokens, i)
        last.end = tokens[-1].end
        return True

    def _goes_on(self, tokens: Tokens) -> int:
        """What the last thing does next, in a clause that begins with a deed: "and stops"; how many words were used."""
        i = next((i for i in range(min(REACH, len(tokens))) if not _is_adverb(tokens[i].word)), 0)
        deed, form = t.DEEDS.get(word_at(tokens, i), ("", ""))
        if self.doer is None or form not in ("s", "ing") or self.joint not in t.ONWARD:
            return 0
        rest = (tokens[0], *tokens[i : i + REACH])
        doing = _doing(self.doer, look_right(rest, 0), rest)
        if doing is None:
            return 0
        strengths: dict[str, bool] = {}
        for j in range(i):
            add_strength(strengths, tokens, j)
        tail = look_on(tokens, i)
        span, said = (0, max(i, tail.last)), strengths | tail.strengths
        self._say(tokens, span, self.doer.kinds, said, side=tail.side, fade=doing.fade)
        return i + 1

    def _read_at(self, tokens: Tokens, i: int, waiting: tuple[Tokens, int] | None) -> int:
        """Words used at i; 0 for none."""
        word = tokens[i].word
        used = self._read_change(tokens, i)
        if used or word in ("it", "make"):
            return used or self._read_sky(tokens, i)
        if word in ("snowing", "raining", "drizzling", "breathe", "breathes", "breathing"):
            return self._read_verb(tokens, i)
        if word in t.NOUNS:
            return self._read_thing(tokens, i, waiting)
        return 0

    # Changes of the light and the air, and "it snows".

    def _read_change(self, tokens: Tokens, i: int) -> int:
        """As in "it gets dark", "the light turns golden", "make it darker", "day to night"."""
        subject = tokens[i].word
        if subject in ("day", "evening", "dusk", "night", "afternoon", "daylight"):
            return self._read_times(tokens, i)
        if subject not in t.SCENES:
            return 0
        made = word_at(tokens, i - 1) == "make" or word_at(tokens, i - 1) == "making"
        strengths: dict[str, bool] = {}
        denied, turns = False, made
        for j in range(i + 1, min(i + REACH, len(tokens))):
            word = tokens[j].word
            if turns and word in t.TURNS:
                return self._turns(tokens, i, j, (strengths, made, denied))
            if t.DEEDS.get(word, ("", ""))[0] in ("get", "grow", "become", "turn", "go"):
                turns = True
            elif word in v.NEGATIONS:
                denied = True
            elif not (add_strength(strengths, tokens, j) or word in v.AUXILIARY or word in t.LATER or word in t.PLAIN):
                return 0
        return 0

    def _turns(self, tokens: Tokens, i: int, j: int, said: tuple[dict[str, bool], bool, bool]) -> int:
        strengths, made, denied = said
        subject, word = tokens[i].word, tokens[j].word
        if word in t.HEAT and subject == "it" and not made:
            return 0  # the weather, not the light
        kind = t.TURNS[word]
        if kind is LayerKind.NIGHT and subject not in ("it", "sky"):
            kind = LayerKind.DARKER
        fade = "" if made else "all" if kind is LayerKind.NIGHT else "in"
        strengths |= look_on(tokens, j).strengths
        self._say(tokens, (i, j), (kind,), strengths, fade=fade, denied=denied)
        return j - i + 1

    def _read_times(self, tokens: Tokens, i: int) -> int:
        """As in "day turns to night", "night into day"."""
        subject = tokens[i].word
        for j in range(i + 1, min(i + 6, len(tokens))):
            word, before = tokens[j].word, word_at(tokens, j - 1)
            if word in ("night", "day", "evening") and (before in ("to", "into") or before.startswith("becom")):
                fade = "out" if word == "day" else "all"
                kind = LayerKind.EVENING if word == "evening" else LayerKind.NIGHT
                if word == subject:
                    return 0
                self._say(tokens, (i, j), (kind,), {}, fade=fade)
                return j - i + 1
            if not (word in ("to", "into", "slowly", "gradually") or word in t.DEEDS):
                return 0
        return 0

    def _read_sky(self, tokens: Tokens, i: int) -> int:
        """As in "it snows", "it begins to rain", "it is not raining", "make it snow"."""
        strengths: dict[str, bool] = {}
        denied, fade = False, ""
        for j in range(i + 1, min(i + REACH, len(tokens))):
            word = tokens[j].word
            deed = t.DEEDS.get(word, ("", ""))[0]
            if deed in t.SKY_WEATHER:
                if deed == "pour":
                    strengths["heavy"] = False
                tail = look_on(tokens, j)
                strengths |= tail.strengths
                self._say(tokens, (i, max(j, tail.last)), (t.SKY_WEATHER[deed],), strengths, fade=fade, denied=denied)
                return j - i + 1
            if word in v.NEGATIONS:
                denied = True
            elif deed in ("start", "begin", "stop", "cease"):
                fade = "in" if deed in ("start", "begin") else "out"
            elif not (add_strength(strengths, tokens, j) or word in v.AUXILIARY or word in ("it", "has", "and")):
                return 0
        return 0

    def _read_verb(self, tokens: Tokens, i: int) -> int:
        """As in "snowing", "she breathes softly", "heavy breathing"."""
        lemma = t.DEEDS[tokens[i].word][0]
        before = [word_at(tokens, j) for j in range(i - 1, i - 4, -1)]
        following = word_at(tokens, i + 1)
        if lemma == "breathe" and (following in t.NOT_BREATH or t.INANIMATE & {*before[:2]}):
            return 0
        kind = LayerKind.BREATHE if lemma == "breathe" else t.SKY_WEATHER[lemma]
        strengths: dict[str, bool] = {}
        first = i
        while first > 0 and (add_strength(strengths, tokens, first - 1) or before[:1] == ["very"]):
            first -= 1
            before = [word_at(tokens, first - 1)]
        tail = look_on(tokens, i)
        denied = any(word_at(tokens, j) in v.NEGATIONS for j in range(first - 3, first))
        self._say(tokens, (first, tail.last), (kind,), strengths | tail.strengths, denied=denied)
        return 1

    # Things and their deeds.

    def _read_thing(self, tokens: Tokens, i: int, waiting: tuple[Tokens, int] | None) -> int:
        """The thing named at i: denied, doing something, or said in a way that is enough."""
        left, things = look_left(tokens, i), t.NOUNS[tokens[i].word]
        named = next((thing for thing in things if thing.named), None)
        if left.maker or word_at(tokens, i - 1) == "to":
            return self._turned(tokens, i, things[0])
        carries = self.denying and self.joint in ("or", "nor", "and", "&") and left.free and len(tokens) <= i + 1
        if named and (left.denied or (carries and self.clause == len(self.found))):
            return self._deny(tokens, left.first, i, named)
        if any(thing.wind for thing in things) and self._carried(tokens, i):
            return 0
        doing = self._does(tokens, i, left, things)
        if doing is None:
            return self._only_named(tokens, i, left, named)
        return self._draw(tokens, i, left, doing, waiting)

    def _deny(self, tokens: Tokens, first: int, i: int, thing: t.Thing) -> int:
        self._say(tokens, (first, i), thing.kinds, {}, denied=True)
        self.denying = True
        return 1

    def _turned(self, tokens: Tokens, i: int, thing: t.Thing) -> int:
        """What something turns into: "snow turns to rain"."""
        if i in self.turned and thing.comes:
            self._say(tokens, (i, i), thing.kinds, {}, fade="in")
            return 1
        return 0

    def _does(self, tokens: Tokens, i: int, left: Left, things: Sequence[t.Thing]) -> Doing | None:
        """What the thing at i does, before it or after it."""
        for thing in things:
            if left.deed in thing.deeds and not thing.fade:
                return Doing(thing, i, deed=left.deed)
        if left.under in ("on", "over", "across") and things[0].kinds == (LayerKind.WAVES,):
            before = t.DEEDS.get(word_at(tokens, left.first - 2), ("", ""))[0]
            if before in t.GLITTER:
                return Doing(things[0], i)
        right = look_right(tokens, i)
        if not left.is_subject and right.form != "ing":
            return self._in_wind(tokens, i, things)
        if right.deed and not (right.far and not left.is_subject):
            for thing in things:
                doing = _doing(thing, right, tokens)
                if doing:
                    return doing
        return self._in_wind(tokens, i, things)

    def _in_wind(self, tokens: Tokens, i: int, things: Sequence[t.Thing]) -> Doing | None:
        """As in "flowers in the wind"."""
        plant = next((thing for thing in things if thing.plant), None)
        if plant is None or word_at(tokens, i + 1) != "in":
            return None
        near = range(i + 2, min(i + 6, len(tokens)))
        last = next((j for j in near if tokens[j].word in t.NOUNS and t.NOUNS[tokens[j].word][0].wind), 0)
        return Doing(plant, last) if last else None

    def _draw(self, tokens: Tokens, i: int, left: Left, doing: Doing, waiting: tuple[Tokens, int] | None) -> int:
        """Say what the thing at i does, and of one that waits for it the same."""
        right, tail = look_right(tokens, i), look_on(tokens, doing.last)
        strengths = left.strengths | _own(doing) | tail.strengths
        if doing.last > i:
            strengths = left.strengths | _own(doing) | right.strengths | tail.strengths
        if doing.fade and doing.deed in t.STRONG_DEEDS:
            strengths.pop(t.STRONG_DEEDS[doing.deed], None)
        denied = right.denied and doing.last > i
        kinds = self._moved(tokens, doing) or doing.thing.kinds
        if doing.deed in ("turn", "change"):
            self.turned.add(doing.last + 2)
        span = (left.first, max(doing.last, tail.last, i))
        side = "" if doing.fade and tail.side in ("up", "down") else tail.side  # "dies down"
        self._say(tokens, span, kinds, strengths, side=side, fade=doing.fade, denied=denied)
        self.doer = None if denied else doing.thing
        if waiting:
            self._draw_waiting(*waiting, doing)
        return max(doing.last - i + 1, 1)

    def _draw_waiting(self, tokens: Tokens, i: int, doing: Doing) -> None:
        left = look_left(tokens, i)
        for thing in t.NOUNS[tokens[i].word]:
            if doing.deed in thing.deeds or (doing.fade and thing.comes):
                self._say(tokens, (left.first, i), thing.kinds, left.strengths | _own(Doing(thing, i)), fade=doing.fade)
                return

    def _moved(self, tokens: Tokens, doing: Doing) -> tuple[LayerKind, ...]:
        """What the wind moves, where it is named and is no plant: "the wind drives the clouds"."""
        if not doing.thing.wind or doing.fade:
            return ()
        for j in range(doing.last + 1, min(doing.last + 4, len(tokens))):
            things = t.NOUNS.get(tokens[j].word)
            if things:
                return things[0].kinds if things[0].kinds[0].group in MOVABLE else ()
            if tokens[j].word not in t.PLAIN:
                return ()
        return ()

    def _carried(self, tokens: Tokens, i: int) -> bool:
        """Whether the wind at i has hair or cloth to blow through, which no mask of plants holds."""
        near = tokens[max(i - NEAR, 0) : i + NEAR]
        return any(token.word in t.CARRIED for token in near) and word_at(tokens, i - 1) not in v.NEGATIONS

    def _only_named(self, tokens: Tokens, i: int, left: Left, thing: t.Thing | None) -> int:
        """A thing without a deed: an event, or one with a measure: "heavy rain", "thick fog"."""
        measured = thing is not None and bool(thing.measured & left.strengths.keys())
        alone = i + 1 == len(tokens)
        if thing is None or not _ends(tokens, i):
            return 0
        event = thing.event or word_at(tokens, i + 1) in t.EFFECTS
        if not (event or measured) or not left.free or (self.opener in t.APART and left.first == 0):
            if alone and left.free and not left.under and left.first == 0:
                self.waiting = (tokens, i)
            return 0
        if thing.kinds == (LayerKind.SNOW,) and word_at(tokens, i + 1) == "on":
            return 0
        if thing.wind and left.under in ("in", "by", "on", "with", "against"):
            return self._blows(left, measured, tokens, i)
        tail = look_on(tokens, i)
        strengths = left.strengths | _own(Doing(thing, i)) | tail.strengths
        self._say(tokens, (left.first, max(i, tail.last)), thing.kinds, strengths, side=tail.side)
        if alone and left.first == 0:
            self.waiting = (tokens, i)
        return 1

    def _blows(self, left: Left, measured: bool, tokens: Tokens, i: int) -> int:
        """As in "sways in a strong wind": its strength is that of what sways; nothing else is moved by it."""
        here = self.found[self.clause :]
        tail = look_on(tokens, i)
        if here and here[-1].kind is LayerKind.WIND:
            here[-1].strengths |= left.strengths
            here[-1].direction = here[-1].direction or heading(LayerKind.WIND, tail.side)
            here[-1].end = tokens[max(i, tail.last)].end
        elif not here and measured:
            self._say(tokens, (left.first, i), (LayerKind.WIND,), left.strengths, side=tail.side)
        return 1

    def _say(
        self,
        tokens: Tokens,
        span: tuple[int, int],
        kinds: Sequence[LayerKind],
        strengths: dict[str, bool],
        *,
        side: str = "",
        fade: str = "",
        denied: bool = False,
    ) -> None:
        share = 0.0
        if fade:
            strengths, share = timed(strengths, fade)
        fades = (0.0, share) if fade == "out" else (share, 0.0)
        start, end = tokens[span[0]].start, tokens[span[1]].end
        for kind in kinds:
            own = {} if kind is LayerKind.LIGHTNING and len(kinds) > 1 else dict(strengths)
            self.found.append(Said(start, end, kind, own, heading(kind, side), *fades, denied))


def _is_adverb(word: str) -> bool:
    return word.endswith("ly") or word in t.LATER or word in ("then", "finally", "once", "more")


def _own(doing: Doing) -> dict[str, bool]:
    """The strengths that a name and a deed have in themselves."""
    return {kind: False for kind in (doing.thing.strength, t.STRONG_DEEDS.get(doing.deed, "")) if kind}


def _doing(thing: t.Thing, right: Right, tokens: Tokens) -> Doing | None:
    """The deed after a thing as its own; None where it is not one that draws it."""
    last, deed = right.last, right.deed
    does = deed in thing.deeds or right.more in thing.deeds
    if does and thing.fade:
        return Doing(thing, last, thing.fade, deed)
    change = _change(thing, right, tokens)
    if change:
        return Doing(thing, last, change, deed)
    if does:
        return Doing(thing, last, right.edge, deed)
    if right.edge and deed in ("start", "begin", "stop", "cease") and thing.comes:
        return Doing(thing, last, right.edge, deed)
    return None


def _change(thing: t.Thing, right: Right, tokens: Tokens) -> str:
    """Whether what comes and goes does so: `in`, `out`, or nothing."""
    if not thing.comes:
        return ""
    air = thing.kinds[0].group is Group.AIR
    following = word_at(tokens, right.last + 2)
    if word_at(tokens, right.last + 1) == "in" and following not in v.ARTICLES and following not in t.PLAIN:
        return "in" if air or right.deed == "set" or thing.kinds[0].group is Group.PARTICLES else ""
    if right.deed in ("get", "grow", "become") and right.measure:
        return right.measure
    if right.deed == "settle":
        return "in" if air else "out"
    if right.deed in ("turn", "change") and word_at(tokens, right.last + 1) in ("to", "into"):
        return "out"
    if right.more in t.OUT or (right.deed in t.OUT and (right.deed != "pass" or not air)):
        return "out" if right.deed not in ("lift", "pass") or air else ""
    return "in" if right.more in t.IN or right.deed in t.IN else ""


def _ends(tokens: Tokens, i: int) -> bool:
    """Whether a name ends at i, and is not the first part of another's: "rain boots", "a drizzle of oil"."""
    word = word_at(tokens, i + 1)
    if word in t.EFFECTS:
        return word_at(tokens, i + 2) == "" or word_at(tokens, i + 2) in v.PREPOSITIONS
    small = word in v.PREPOSITIONS or word in t.PLACED or word in v.AUXILIARY or word in t.LATER
    known = not word or small or word in t.HANGING or word.endswith("ly") or word in ("that", "which", "all", "from")
    return (known and word != "of") or word.endswith(("ward", "wards"))
