"""The grammar of camera moves, clause by clause: who moves, which words are a move, and what carries on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import vocabulary as v
from .amounts import Amount
from .clauses import Clause
from .phrases import REACH, Around, Tokens, direction_at, is_camera, kind_at, look_left, look_right, word_at
from .rests import rest_at

SURE = ("zoom", "pan", "tilt", "dolly")  # verbs that no one else does in a clause of their own
NOTHING = v.Move({})


@dataclass(slots=True)
class Spoken:
    """One thing that was read, before it has amounts: a move (marks), an ease, or a rest. start, end: in the text."""

    start: int
    end: int
    marks: tuple[str, ...] = ()
    kinds: set[str] = field(default_factory=set)
    amount: Amount | None = None
    ease: str = ""
    rest: bool = False


class Reader:
    """What has been read so far, and what a clause takes over from those before it."""

    def __init__(self) -> None:
        self.found: list[Spoken] = []
        self.subject = ""  # of the sentence: `camera`, `person`, `other`, or nothing yet
        self.before = ""  # the last sentence's
        self.named = False  # "Camera:" stands before this sentence
        self.last: v.Move | None = None  # the move that "and up" goes on with
        self.spoken: Spoken | None = None  # what that move said last in this sentence
        self.eased = False  # the last thing read was "ease in"
        self.negated = False
        self.pending: set[str] = set()  # strengths of a move that is still to come: "slow, smooth zoom in"
        self.joint = "."

    def read(self, clause: Clause) -> None:
        """Add what one clause says."""
        tokens, self.joint = clause.tokens, clause.joint
        if self.joint in (".", ":"):
            self._new_sentence()
        if self.joint not in ("or", "nor"):
            self.negated = False
        if self._goes_on(tokens):
            return
        known = len(self.found)
        self._scan(tokens)
        self._set_subject(tokens, len(self.found) > known)

    def _new_sentence(self) -> None:
        self.before, self.subject = self.subject, "camera" if self.joint == ":" and self.named else ""
        self.last, self.spoken, self.eased, self.pending = None, None, False, set()

    def _goes_on(self, tokens: Tokens) -> bool:
        """A clause of directions and strengths alone adds to the move before it, or waits for the next."""
        if len(tokens) > REACH:
            return False
        around = look_right((tokens[0], *tokens), 0, NOTHING)
        if not all(
            direction_at(tokens, i)[0] or kind_at(tokens, i) or self._small(tokens, i) for i in range(len(tokens))
        ):
            return False
        if around.directions and self.eased:
            self._add_ease(tokens, 0, len(tokens) - 1, "ease_in" if "in" in around.directions else "ease_out")
        elif around.directions and self.last and not self.negated:
            self._add(tokens, self.last, around, 0, len(tokens) - 1)
        elif self.spoken and not around.directions:
            self.spoken.kinds |= around.kinds
            self.spoken.end = tokens[-1].end
        else:
            self.pending |= around.kinds
        return True

    @staticmethod
    def _small(tokens: Tokens, i: int) -> bool:
        word = tokens[i].word
        return word in v.FILLERS or word in v.ENDS or word in v.UNITS or word in ("from", "counter", "anti")

    def _scan(self, tokens: Tokens) -> None:
        shaken = False
        i = 0
        while i < len(tokens):
            used = self._read_rest(tokens, i) or self._read_ease(tokens, i)
            if not used:
                used, shake = self._read_named(tokens, i, shaken)
                shaken |= shake
            if not used and tokens[i].word in v.VERBS:
                used = self._read_move(tokens, i, shaken)
            i += max(used, 1)

    def _read_rest(self, tokens: Tokens, i: int) -> int:
        used = rest_at(tokens, i)
        if used:
            self.found.append(Spoken(tokens[i].start, tokens[i + used - 1].end, rest=True))
        return used

    def _read_ease(self, tokens: Tokens, i: int) -> int:
        """Words of ease count beside a move, and of the camera alone."""
        if tokens[i].word in v.EASING:
            return self._read_easing(tokens, i)
        for size in (4, 3, 2, 1):
            ease = v.EASES.get(tuple(word_at(tokens, j) for j in range(i, i + size)), "")
            if ease and self._own(tokens, i, ease):
                self._add_ease(tokens, i, i + size - 1, ease)
                return size
        return 0

    def _read_easing(self, tokens: Tokens, i: int) -> int:
        """ "eases in", "ease in out"; "eases in on her face" is a move."""
        first, second = (direction_at(tokens, i + k)[0] for k in (1, 2))
        after = word_at(tokens, i + 2)
        if (
            first not in ("in", "out")
            or not self._own(tokens, i, "")
            or after in ("on", "onto", "to", "toward", "towards")
        ):
            return 0
        both = second in ("in", "out")
        ease = "ease_in_out" if both else f"ease_{first}"
        self._add_ease(tokens, i, i + 1 + both, ease)
        self.eased = True
        return 2 + both

    def _own(self, tokens: Tokens, i: int, ease: str) -> bool:
        """Whether words of ease are the camera's."""
        if ease == "linear":
            moving = any(word_at(tokens, j) in v.VERBS for j in range(max(i - 12, 0), min(i + 12, len(tokens))))
            return self.subject in ("", "camera") or (moving and self.subject != "person") or self.spoken is not None
        subject = look_left(tokens, i).subject
        return subject == "camera" or (subject == "start" and (self.subject == "camera" or self.spoken is not None))

    def _add_ease(self, tokens: Tokens, first: int, last: int, ease: str) -> None:
        self.found.append(Spoken(tokens[first].start, tokens[last].end, ease=ease))

    def _read_named(self, tokens: Tokens, i: int, shaken: bool) -> tuple[int, bool]:
        """ "dutch angle", "handheld camera" ...: the words used, and whether the camera shakes."""
        for size in (2, 1):
            mark = v.NAMED.get(tuple(word_at(tokens, j) for j in range(i, i + size)), "")
            after = word_at(tokens, i + size)
            shakes = mark == "shake+"
            if not mark or (shakes and size + (tokens[i].word == "hand") != 2 and not self._held(tokens, i, i + size)):
                continue
            if after in v.VERBS and after in ("zoom", "pan", "push", "pull"):  # "Ken Burns zoom out" says more itself
                continue
            left, right = look_left(tokens, i), look_right(tokens, i + size - 1, NOTHING)
            if left.negated or (shakes and shaken):
                return size, shakes
            marks = mark.split()
            if "zoom!" in marks and {"out", "back"} & {*left.directions, *right.directions}:
                marks[0] = "dolly-"
            spoken = Spoken(tokens[left.first].start, tokens[right.last].end, tuple(marks), left.kinds | right.kinds)
            spoken.amount = right.amount or left.amount
            self._say(spoken)
            return right.last - i + 1, shakes
        return 0, False

    @staticmethod
    def _held(tokens: Tokens, i: int, end: int) -> bool:
        """Whether "handheld" is said of the camera, and not of a fan."""
        after = word_at(tokens, end)
        return after in v.HELD or (not after and (i == 0 or tokens[i].word != "hand"))

    def _read_move(self, tokens: Tokens, i: int, shaken: bool) -> int:
        lemma, form = v.VERBS[tokens[i].word]
        move = v.MOVES[lemma]
        if lemma == "shake" and shaken:
            return 0
        left, right = look_left(tokens, i), look_right(tokens, i, move)
        if not self._accepts(tokens, i, left, right):
            return 0
        if left.negated or (self.negated and left.subject == "start"):
            self.negated = True
            return right.last - i + 1
        if left.subject == "camera":
            self.subject = "camera"
        if left.soft_start:
            self._add_ease(tokens, left.first, i, "ease_in")
        around = self._joined(left, right, move, form)
        self._add(tokens, move, around, left.first, right.last)
        return right.last - i + 1

    def _joined(self, left: Around, right: Around, move: v.Move, form: str) -> Around:
        right.directions = [*left.directions, *right.directions]
        right.kinds |= left.kinds | self.pending | ({move.kind} if move.kind else set())
        right.amount = right.amount or left.amount
        self.pending = set()
        return right

    def _add(self, tokens: Tokens, move: v.Move, around: Around, first: int, last: int) -> None:
        """Say the move; one that has no direction yet waits for it."""
        self.last, self.eased = move, False
        marks = tuple(marks_of(move, around))
        if marks:
            self._say(Spoken(tokens[first].start, tokens[last].end, marks, around.kinds, around.amount))
        else:
            self.pending |= around.kinds

    def _say(self, spoken: Spoken) -> None:
        self.found.append(spoken)
        self.spoken = spoken

    def _accepts(self, tokens: Tokens, i: int, left: Around, right: Around) -> bool:
        """Whether the word at i is the camera's move."""
        lemma, form = v.VERBS[tokens[i].word]
        move = v.MOVES[lemma]
        said = {*left.directions, *right.directions} | ({move.ahead} if right.ahead and move.ahead else set())
        bare = bool(said & move.bare) or (lemma == "zoom" and bool(right.amount or left.amount)) or (right.orbit)
        if left.subject == "camera" or (left.subject == "picture" and lemma == "zoom"):
            return True
        if right.camera and form in ("base", "ing") and left.subject == "start":
            return self.subject not in ("person", "other") or self.joint in (".", ",", ":")
        if left.subject == "it":
            return lemma in SURE and self.before == "camera" and self.joint == "." and bare
        if left.subject == "start" and not left.article and self._stands_alone(lemma, form, bare):
            return True
        if not move.noun or form not in ("base", "ing"):
            return False
        if right.shot and (left.subject == "start" or left.article or left.adjectives):
            return True
        after = word_at(tokens, right.last + 1)
        lying = left.article and not left.adjectives and after in ("on", "in", "by", "at", "behind", "alone")
        noun = left.subject == "start" or left.adjectives or (left.article and left.subject == "other")
        return form == "base" and noun and (bare or bool(left.kinds & {*v.STRENGTHS} and right.ahead)) and not lying

    def _stands_alone(self, lemma: str, form: str, bare: bool) -> bool:
        """A verb at the head of a clause: the camera's if the sentence is, or if only cameras do this."""
        fresh = self.joint in (".", ":") or self.subject == ""
        if self.subject == "camera":
            return True
        if not bare or self.subject == "person":
            return bare and form == "base" and lemma in SURE
        if form == "base":
            return fresh or self.joint not in ("and", "or") or lemma in SURE
        return form in ("s", "ing") and (fresh or (form == "ing" and lemma in SURE))

    def _set_subject(self, tokens: Tokens, read: bool) -> None:
        """Whose the clause was, for those that follow."""
        head = next((i for i in range(min(len(tokens), 8)) if not self._opens(tokens, i)), 0)
        word = tokens[head].word
        self.named = all(t.word in v.SHOTS or t.word in ("camera", "the", "cam", "work") for t in tokens[:8])
        if (
            is_camera(tokens, head)
            and word != "we"
            and not {word_at(tokens, head + k) for k in (1, 2)} & {"of", "from"}
        ):
            self.subject = "camera"
        elif not (read and self.subject == "camera") and not (word in v.VERBS or word.endswith("ing")):
            self.subject = "person" if word in v.PRONOUNS else "other"

    @staticmethod
    def _opens(tokens: Tokens, i: int) -> bool:
        word = tokens[i].word
        return word not in v.SUBJECTS and (word in v.ARTICLES or word in v.AUXILIARY or bool(kind_at(tokens, i)))


def marks_of(move: v.Move, around: Around) -> Iterator[str]:
    """The dials that a move sets, each once."""
    said = around.directions
    if move.orbit or around.orbit:
        yield next((v.ARC[d] for d in reversed(said) if d in v.ARC), v.ARC["right"])
        return
    named = [move.dials[direction] for direction in said if direction in move.dials]
    if move.fixed or not named:
        default = move.default or (move.ahead if around.ahead else "")
        default = default or ("in" if around.amount and "zoom+" in move.dials.values() else "")
        rest = [mark for mark in named if default and mark[:-1] != move.dials[default][:-1]]
        named = [*([move.dials[default]] if default else []), *rest] if default else named
    yield from dict.fromkeys(named)
