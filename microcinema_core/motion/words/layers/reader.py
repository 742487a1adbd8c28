"""The layers' grammar, clause by clause: what is read, and what carries on from one clause to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...layer import LayerKind
from .. import vocabulary as v
from ..clauses import Clause
from ..phrases import Tokens, word_at
from . import company as c
from .changes import change_at
from .deeds import DEEDS, NONE
from .doings import Doing, does, doing_of, is_carried, is_whole, moved
from .looks import REACH, Left, add_strength, look_left, look_on, look_right
from .strengths import ADVERBS, KINDS, Said, heading, say
from .things import NOUNS, Thing


@dataclass(slots=True)
class Sentence:
    """What carries on within a sentence."""

    doer: Thing | None = None  # who did the last thing: "falls and then stops"
    read: bool = False  # the clause before said something
    denying: bool = False  # it ended in "no rain"
    waiting: tuple[Tokens, int] | None = None  # "embers and smoke rise": the first, of both
    pending: dict[str, bool] = field(default_factory=dict)  # "slowly, fog rolls in"


class LayerReader:
    """What has been read so far, and what a clause takes over from those before it."""

    def __init__(self) -> None:
        self.found: list[Said] = []
        self.now = Sentence()
        self.clause = Clause((), ".")
        self.known = 0  # how much was found before this clause
        self.waiting: tuple[Tokens, int] | None = None
        self.turned = -1  # where what something turns into stands in this clause

    def read(self, clause: Clause) -> None:
        """Add what one clause says."""
        self.clause, self.known, self.turned = clause, len(self.found), -1
        if clause.joint in (".", ":"):
            self.now = Sentence()
        if _only_adds(clause.tokens):
            self._add(clause.tokens)
            return
        self.waiting, self.now.waiting = (self.now.waiting if clause.joint in ("and", "&") else None), None
        i = self._goes_on(clause.tokens)
        while i < len(clause.tokens):
            i += max(self._read_at(clause.tokens, i), 1)
        self._close()

    def _close(self) -> None:
        new = self.found[self.known :]
        self.now.read = bool(new)
        self.now.denying = any(said.denied for said in new)
        if not new:
            self.now.doer = None
        else:
            new[0].add(self.now.pending)
        self.now.pending = {}

    def _add(self, tokens: Tokens) -> None:
        """Adverbs alone are of what the clause before said, or wait for the next."""
        strengths: dict[str, bool] = {}
        for i in range(len(tokens)):
            add_strength(strengths, tokens, i)
        if self.now.read:
            self.found[-1].add(strengths)
            self.found[-1].end = tokens[-1].end
        else:
            self.now.pending |= strengths

    def _goes_on(self, tokens: Tokens) -> int:
        """What the last thing does next, in a clause that begins with a deed: "and stops"; how many words were used."""
        i = next((i for i in range(min(REACH, len(tokens))) if not _is_adverb(tokens[i].word)), 0)
        form = DEEDS.get(word_at(tokens, i), NONE)[1]
        described = form == "ing" and word_at(tokens, i + 1) in NOUNS  # "drifting smoke" is of its own
        if self.now.doer is None or form not in ("s", "ing") or described or self.clause.joint not in c.ONWARD:
            return 0
        rest = (tokens[0], *tokens[i : i + REACH])
        right = look_right(rest, 0)
        doing = doing_of(self.now.doer, right, rest)
        if doing is None:
            return 0
        tail = look_on(tokens, i)
        for j in range(i):
            add_strength(tail.strengths, tokens, j)
        span, strengths = (0, max(i, tail.last)), right.strengths | tail.strengths
        self.found += say(tokens, span, self.now.doer.kinds, strengths, side=tail.side, fade=doing.fade)
        self._turn(tokens, i, doing)
        return i + 1

    def _read_at(self, tokens: Tokens, i: int) -> int:
        """Words used at i; 0 for none."""
        said, used = change_at(tokens, i)
        self.found += said
        return used or (self._read_thing(tokens, i) if tokens[i].word in NOUNS else 0)

    def _read_thing(self, tokens: Tokens, i: int) -> int:
        """The thing named at i: denied, doing something, or said in a way that is enough."""
        left, things = look_left(tokens, i), NOUNS[tokens[i].word]
        named = next((thing for thing in things if thing.named), None)
        if left.maker or i == self.turned or word_at(tokens, i - 1) == "to":
            return self._becomes(tokens, i, things[0])
        if named and (left.denied or self._denies_on(tokens, i, left)):
            self.found += say(tokens, (left.first, i), named.kinds, {}, denied=True)
            return 1
        if things[0].wind and is_carried(tokens, i):
            return 0
        doing = does(tokens, i, left, things)
        if doing:
            return self._draw(tokens, i, left, doing)
        return self._only_named(tokens, i, left, named) if named and is_whole(tokens, i) else 0

    def _denies_on(self, tokens: Tokens, i: int, left: Left) -> bool:
        """As in "no rain or fog", "without fog and wind": the second, which stands alone."""
        joined = self.now.denying and self.clause.joint in ("or", "nor", "and", "&")
        return joined and left.free and i + 1 == len(tokens) and len(self.found) == self.known

    def _turn(self, tokens: Tokens, last: int, doing: Doing) -> None:
        """Note where what something turns into stands: "rain turns to snow", "fades into mist"."""
        if doing.fade == "out" and word_at(tokens, last + 1) in ("to", "into"):
            self.turned = last + 2

    def _becomes(self, tokens: Tokens, i: int, thing: Thing) -> int:
        """What something turns into: "snow turns to rain"."""
        if i != self.turned or not thing.comes:
            return 0
        self.found += say(tokens, (i, i), thing.kinds, {}, fade="in")
        return 1

    def _draw(self, tokens: Tokens, i: int, left: Left, doing: Doing) -> int:
        """Say what the thing at i does, and of one that waits for it the same."""
        right, tail, after = look_right(tokens, i), look_on(tokens, doing.last), doing.last > i
        own = left.strengths if doing.thing.named or left.deed else {}  # "calm water" does not ripple softly
        strengths = own | doing.strengths | (right.strengths if after else {}) | tail.strengths
        side = "" if doing.fade and tail.side in ("up", "down") else tail.side  # "dies down"
        span, denied = (left.first, max(doing.end(tokens), tail.last)), after and right.denied
        self.found += say(tokens, span, moved(tokens, doing), strengths, side=side, fade=doing.fade, denied=denied)
        self._turn(tokens, doing.last, doing)
        self.now.doer = None if denied else doing.thing
        if self.waiting:
            self._draw_waiting(*self.waiting, doing)
        return doing.last - i + 1

    def _draw_waiting(self, tokens: Tokens, i: int, doing: Doing) -> None:
        left = look_left(tokens, i)
        things = (one for one in NOUNS[tokens[i].word] if doing.deed in one.deeds or (doing.fade and one.comes))
        thing = next(things, None)
        if thing:
            self.found += say(tokens, (left.first, i), thing.kinds, left.strengths, fade=doing.fade)
        self.waiting = None

    def _only_named(self, tokens: Tokens, i: int, left: Left, thing: Thing) -> int:
        """A thing without a deed: an event, or one with a measure: "heavy rain", "the rain is very heavy"."""
        if left.free and not left.under and left.first == 0 and i + 1 == len(tokens):
            self.now.waiting = (tokens, i)
        last = i
        if word_at(tokens, i + 1) in ("is", "are") and len(tokens) < i + REACH:
            last = len(tokens) - 1 if add_strength(left.strengths, tokens, len(tokens) - 1) else i
        if not left.free or not self._is_enough(tokens, i, left, thing):
            return 0
        if len(self.found) > self.known and thing.kinds == (LayerKind.WAVES,) and left.under == "in":
            self.found[-1].add(left.strengths)  # "the wheat sways in gentle waves"
        elif thing.wind and left.under in ("in", "by", "on", "with", "against"):
            self._blow(tokens, i, left, thing)
        else:
            tail = look_on(tokens, i)
            strengths = left.strengths | Doing(thing, i).strengths | tail.strengths
            self.found += say(tokens, (left.first, max(last, tail.last)), thing.kinds, strengths, side=tail.side)
        return 1

    def _is_enough(self, tokens: Tokens, i: int, left: Left, thing: Thing) -> bool:
        """Whether to name a thing so is to say that it is there: not after the rain, nor of snow that lies."""
        lies = thing.kinds == (LayerKind.SNOW,) and (word_at(tokens, i + 1) == "on" or left.under in ("on", "over"))
        past = self.clause.opener in c.APART and left.first == 0
        event = thing.event or left.added or word_at(tokens, i + 1) in c.EFFECTS
        return (event or bool(thing.measured & left.strengths.keys())) and not lies and not past

    def _blow(self, tokens: Tokens, i: int, left: Left, thing: Thing) -> None:
        """As in "sways in a strong wind": its strength is that of what sways; nothing else is moved by it."""
        here, tail = self.found[self.known :], look_on(tokens, i)
        if here and here[-1].kind is LayerKind.WIND:
            here[-1].strengths |= left.strengths
            here[-1].direction = heading(LayerKind.WIND, tail.side)
            here[-1].end = tokens[max(i, tail.last)].end
        elif not here and thing.measured & left.strengths.keys():
            self.found += say(tokens, (left.first, i), (LayerKind.WIND,), left.strengths, side=tail.side)


def _only_adds(tokens: Tokens) -> bool:
    """Whether a clause is made of adverbs of strength alone: "falls, very softly"."""
    words = [token.word for token in tokens[:REACH]]
    adverbs = all(
        word in v.INTENSE or word == "more" or (word in KINDS and (word.endswith("ly") or word in ADVERBS))
        for word in words
    )
    return adverbs and len(tokens) <= REACH


def _is_adverb(word: str) -> bool:
    return word.endswith("ly") or word in c.LATER or word in ("then", "finally", "once", "more")
