"""The camera's grammar, clause by clause: what is read, and what carries on from one clause to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import verbs
from . import vocabulary as v
from .amounts import Amount
from .clauses import Clause
from .eases import ease_at
from .moves import NOTHING, SURE, Candidate, Setting, candidate_at, is_move, marks_of
from .phrases import REACH, Around, Tokens, direction_at, is_camera, kind_at, look_left, look_right, word_at
from .rests import rest_at


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


@dataclass(slots=True)
class Sentence:
    """What carries on within a sentence."""

    last: verbs.Move | None = None  # the move that "and up" goes on with
    spoken: Spoken | None = None  # what the clause before said
    moved: bool = False  # a move was read in it
    eased: bool = False  # the last thing read was "ease in"
    negated: bool = False
    shaken: bool = False  # a hand that shakes is heard once
    pending: set[str] = field(default_factory=set)  # strengths of a move still to come: "slow, smooth zoom in"
    carried: set[str] = field(default_factory=set)  # "slowly zooms in and pans left": of both


class Reader:
    """What has been read so far, and what a clause takes over from those before it."""

    def __init__(self) -> None:
        self.found: list[Spoken] = []
        self.setting = Setting()
        self.now = Sentence()
        self.named = False  # "Camera:" stands before this sentence

    def read(self, clause: Clause) -> None:
        """Add what one clause says."""
        tokens, setting = clause.tokens, self.setting
        setting.joint = clause.joint
        if clause.joint in (".", ":"):
            named = clause.joint == ":" and self.named
            setting.before, setting.subject = setting.subject, "camera" if named else ""
            self.now = Sentence()
        if clause.joint not in ("or", "nor"):
            self.now.negated = False
        if _only_adds(tokens):
            self._go_on(tokens)
            return
        self.now.last = self.now.spoken = None
        known = len(self.found)
        self._scan(tokens)
        self._set_subject(tokens, len(self.found) > known)

    def _go_on(self, tokens: Tokens) -> None:
        """Directions go on with the move before them; strengths belong to it, or wait for the next."""
        around = look_right((tokens[0], *tokens), 0, NOTHING)
        if around.directions and self.now.eased:
            self._ease(tokens, 0, len(tokens) - 1, "ease_in" if "in" in around.directions else "ease_out")
        elif around.directions and self.now.last and not self.now.negated:
            self._say_move(tokens, self.now.last, around, 0, len(tokens) - 1)
        elif self.now.spoken and not around.directions:
            self.now.spoken.kinds |= around.kinds
            self.now.spoken.end = tokens[-1].end
        else:
            self.now.pending |= around.kinds

    def _scan(self, tokens: Tokens) -> None:
        i = 0
        while i < len(tokens):
            used = self._read_rest(tokens, i) or self._read_ease(tokens, i) or self._read_named(tokens, i)
            if not used and tokens[i].word in verbs.VERBS:
                used = self._read_move(tokens, i)
            i += max(used, 1)

    def _read_rest(self, tokens: Tokens, i: int) -> int:
        used = rest_at(tokens, i) or int(self.setting.joint == ":" and self.named and tokens[i].word in v.RESTS)
        if used:
            self.found.append(Spoken(tokens[i].start, tokens[i + used - 1].end, rest=True))
        return used

    def _read_ease(self, tokens: Tokens, i: int) -> int:
        ease, used = ease_at(tokens, i, self.setting.subject, self.now.moved)
        if not used:
            return 0
        self._ease(tokens, i, i + used - 1, ease)
        self.now.eased = tokens[i].word in v.EASING
        moves = used == 1 and direction_at(tokens, i + 1)[0]  # "accelerates forward" is a move, too
        return 0 if moves else used

    def _ease(self, tokens: Tokens, first: int, last: int, ease: str) -> None:
        self.found.append(Spoken(tokens[first].start, tokens[last].end, ease=ease))

    def _read_named(self, tokens: Tokens, i: int) -> int:
        """As in "dutch angle", "handheld camera" ...: how many words were used."""
        size = next((n for n in (2, 1) if _named(tokens, i, n)), 0)
        if not size:
            return 0
        marks = v.NAMED[_words(tokens, i, size)].split()
        more = verbs.MOVES[word_at(tokens, i + size)] if word_at(tokens, i + size) in SURE else NOTHING
        left, right = look_left(tokens, i), look_right(tokens, i + size - (more is NOTHING), more)
        shakes = marks == ["shake+"]
        if left.negated or (shakes and self.now.shaken):
            return size
        self.now.shaken |= shakes
        if "zoom!" in marks and {"out", "back"} & {*left.directions, *right.directions}:
            marks[0] = "dolly-"
        marks = list(marks_of(more, right)) or marks  # "Ken Burns zoom out"
        start, end = tokens[left.first].start, tokens[right.last].end
        self._say(Spoken(start, end, tuple(marks), left.kinds | right.kinds, right.amount or left.amount))
        return right.last - i + 1

    def _read_move(self, tokens: Tokens, i: int) -> int:
        found = candidate_at(tokens, i)
        left, right = found.left, found.right
        if left.subject == "start":
            self.now.negated |= left.negated  # "without zooming or panning left"
        if not is_move(found, self.setting) or (found.lemma == "shake" and self.now.shaken):
            return 0
        if left.negated or (self.now.negated and left.subject == "start"):
            return right.last - i + 1
        if left.subject == "camera":
            self.setting.subject = "camera"
        if left.soft_start:
            self._ease(tokens, left.first, i, "ease_in")
        self.now.shaken |= found.lemma == "shake"
        self._say_move(tokens, found.move, self._both(found), left.first, right.last)
        return right.last - i + 1

    def _both(self, found: Candidate) -> Around:
        """What stands on either side, and the strengths that carry on from before."""
        left, right = found.left, found.right
        right.directions = [*left.directions, *right.directions]
        right.kinds |= left.kinds | self.now.pending
        if not right.kinds and self.setting.joint == "and" and left.subject == "start":
            right.kinds |= self.now.carried
        else:
            self.now.carried = set(left.kinds)
        right.kinds |= {found.move.kind} - {""}
        right.amount = right.amount or left.amount
        self.now.pending = set()
        return right

    def _say_move(self, tokens: Tokens, move: verbs.Move, around: Around, first: int, last: int) -> None:
        """One that has no direction yet waits for it: "tracking shot, left to right"."""
        self.now.last, self.now.eased = move, False
        marks = tuple(marks_of(move, around))
        if marks:
            self._say(Spoken(tokens[first].start, tokens[last].end, marks, around.kinds, around.amount))
        else:
            self.now.pending |= around.kinds

    def _say(self, spoken: Spoken) -> None:
        self.found.append(spoken)
        self.now.spoken, self.now.moved = spoken, True

    def _set_subject(self, tokens: Tokens, read: bool) -> None:
        """Whose the clause was, for those that follow."""
        setting = self.setting
        head = next((i for i in range(min(len(tokens), 8)) if not _opens(tokens, i)), 0)
        word = tokens[head].word
        self.named = all(
            token.word in v.SHOTS or token.word in ("camera", "the", "cam", "work") for token in tokens[:8]
        )
        still_it = word == "it" and len(tokens) == 1 and setting.before == "camera" and setting.joint == "."
        of_something = {word_at(tokens, head + k) for k in (1, 2)} & {"of", "from"}  # "a wide shot of a horse"
        if still_it or (is_camera(tokens, head) and word != "we" and not of_something):
            setting.subject = "camera"
        elif not (read and setting.subject == "camera") and not _acts(word):
            setting.subject = "person" if word in v.PRONOUNS else "other"


def _words(tokens: Tokens, i: int, size: int) -> tuple[str, ...]:
    return tuple(word_at(tokens, j) for j in range(i, i + size))


def _named(tokens: Tokens, i: int, size: int) -> bool:
    """Whether so many words are a fixed expression; "handheld" only if it is said of the camera, and not of a fan."""
    words = _words(tokens, i, size)
    if words not in v.NAMED:
        return False
    after = word_at(tokens, i + size)
    if words == ("handheld",):
        before = word_at(tokens, i - 1)
        return after in v.HELD or not (after or before in v.ARTICLES or before in v.OBJECTS)
    if words == ("ken", "burns"):
        return not after or after in v.BURNS or after in v.PREPOSITIONS
    return words != ("hand", "held") or after in v.HELD


def _only_adds(tokens: Tokens) -> bool:
    """Whether a clause is made of directions and strengths alone."""
    if len(tokens) > REACH or any(token.word in v.SUBJECTS for token in tokens):
        return False
    return all(direction_at(tokens, i)[0] or kind_at(tokens, i) or _small(tokens[i].word) for i in range(len(tokens)))


def _small(word: str) -> bool:
    return word in v.FILLERS or word in v.ENDS or word in v.UNITS or word in ("from", "counter", "anti")


def _acts(word: str) -> bool:
    """Whether a clause that begins so goes on with the one before it."""
    return word in verbs.VERBS or word in v.DIRECTIONS or word.endswith("ing")


def _opens(tokens: Tokens, i: int) -> bool:
    word = tokens[i].word
    return word not in v.SUBJECTS and (word in v.ARTICLES or word in v.AUXILIARY or bool(kind_at(tokens, i)))
