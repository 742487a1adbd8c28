"""Which words are the camera's move: who may be its subject, and what a bare verb or a noun needs beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import verbs
from . import vocabulary as v
from .phrases import Around, Tokens, look_left, look_right, word_at

SURE = ("zoom", "pan", "tilt", "dolly")  # verbs that no one else does in a clause of their own
NOTHING = verbs.Move({})


@dataclass(slots=True)
class Setting:
    """What a clause stands in. joint: what joins it to the one before; subject, before: whose this sentence and the
    last one are (`camera`, `person`, `other`, or nothing yet)."""

    joint: str = "."
    subject: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may be a move, in its form (base, s, ing, ed), with what stands around it."""

    lemma: str
    form: str
    left: Around
    right: Around
    after: str  # the first word that does not belong to it

    @property
    def move(self) -> verbs.Move:
        return verbs.MOVES[self.lemma]

    @property
    def telling(self) -> bool:
        """Whether the directions beside it are such as only a camera takes with this verb."""
        if self.lemma == "close" and self.after not in ("on", "onto"):
            return False
        said = {*self.left.directions, *(() if self.right.far else self.right.directions)}
        if self.right.ahead and self.move.ahead:
            said.add(self.move.ahead)
        measured = self.lemma in ("zoom", "orbit") and bool(self.right.amount or self.left.amount)
        return bool(said & self.move.bare) or self.right.orbit or measured


def candidate_at(tokens: Tokens, i: int) -> Candidate:
    """The verb at i."""
    lemma, form = verbs.VERBS[tokens[i].word]
    right = look_right(tokens, i, verbs.MOVES[lemma])
    return Candidate(lemma, form, look_left(tokens, i), right, word_at(tokens, right.last + 1))


def is_move(found: Candidate, setting: Setting) -> bool:
    """Whether this is the camera's move."""
    subject = found.left.subject
    if subject == "camera" and setting.joint == "with" and found.form == "s":
        return False  # "a drone with a camera flies left"
    if subject == "camera" or (subject == "picture" and found.lemma == "zoom"):
        return True
    if subject == "it":
        return found.lemma in SURE and setting.before == "camera" and setting.joint == "." and found.telling
    if subject == "start" and found.right.camera and found.form in ("base", "ing"):
        return setting.subject not in ("person", "other") or setting.joint in (".", ",", ":")
    if subject == "start" and not found.left.article and _stands_alone(found, setting):
        return True
    return found.move.noun and found.form in ("base", "ing") and _is_noun(found)


def _stands_alone(found: Candidate, setting: Setting) -> bool:
    """A verb at the head of a clause: the camera's if the sentence is, or if only cameras do this."""
    if setting.subject == "camera":
        return True
    sure = found.lemma in SURE
    if not found.telling or setting.subject == "person":
        return found.telling and found.form == "base" and sure
    fresh = setting.joint in (".", ":") or setting.subject == ""
    if found.form == "base":
        return fresh or sure or setting.joint not in ("and", "or")
    if found.form == "s":
        return fresh and sure
    sure |= found.right.shot  # "rotating shot around a cake"
    return found.form == "ing" and (sure or found.after not in (*v.ARTICLES, *v.OBJECTS))  # "pulling back her hair"


def _is_noun(found: Candidate) -> bool:
    """As in "a slow pan left", "tracking shot"; not "a pan left on the stove"."""
    left, right = found.left, found.right
    if right.shot and left.subject == "start":
        return True
    known = left.article or left.adjectives
    if right.shot or not known:
        return known
    lying = left.article and not left.adjectives and found.after in ("on", "in", "by", "at", "behind", "alone")
    return found.form == "base" and not lying and (found.telling or (bool(left.kinds) and right.ahead))


def marks_of(move: verbs.Move, around: Around) -> Iterator[str]:
    """The dials that a move sets, with their signs, each once: `pan-`, `tilt+`."""
    if move.orbit or around.orbit:
        yield next((verbs.ARC[d] for d in reversed(around.directions) if d in verbs.ARC), verbs.ARC["right"])
        return
    named = [move.dials[direction] for direction in around.directions if direction in move.dials]
    default = _default(move, around) if move.fixed or not named else ""
    if default:
        others = [mark for mark in named if mark[:-1] != move.dials[default][:-1]]
        named = [move.dials[default], *others]
    yield from {mark[:-1]: mark for mark in reversed(named)}.values()  # of opposites the first: "back in time"


def _default(move: verbs.Move, around: Around) -> str:
    """The direction of a move without a word for it."""
    if move.default:
        return move.default
    return move.ahead if around.ahead or (around.amount and move is verbs.MOVES["zoom"]) else ""
