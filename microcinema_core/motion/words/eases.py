"""Words of how a move starts and stops: "comes to a stop", "at a constant speed", "ease in and out"."""

from __future__ import annotations

from . import vocabulary as v
from .phrases import Tokens, direction_at, look_left, word_at

LONGEST = 4
ONTO = ("on", "onto", "to", "toward", "towards")  # "eases in on her face" is a move


def ease_at(tokens: Tokens, i: int, subject: str, moved: bool) -> tuple[str, int]:
    """The ease that starts at i, and its words; empty and 0 for none.

    subject: whose the sentence is; moved: whether a move was read in it. A car that slows down says nothing.
    """
    if tokens[i].word in v.EASING:
        ease, size = _easing(tokens, i)
    else:
        ease, size = _named(tokens, i)
    return (ease, size) if ease and _own(tokens, i, ease, subject, moved) else ("", 0)


def _named(tokens: Tokens, i: int) -> tuple[str, int]:
    words = tuple(word_at(tokens, j) for j in range(i, i + LONGEST))
    return next(((v.EASES[words[:size]], size) for size in range(LONGEST, 0, -1) if words[:size] in v.EASES), ("", 0))


def _easing(tokens: Tokens, i: int) -> tuple[str, int]:
    first, second = (direction_at(tokens, i + k)[0] for k in (1, 2))
    if first not in ("in", "out") or word_at(tokens, i + 2) in ONTO:
        return "", 0
    return ("ease_in_out", 3) if second in ("in", "out") else (f"ease_{first}", 2)


def _own(tokens: Tokens, i: int, ease: str, subject: str, moved: bool) -> bool:
    """Whether the words are the camera's."""
    if ease == "linear":
        return moved or subject in ("", "camera")
    doer = look_left(tokens, i).subject
    return doer == "camera" or (doer == "start" and (moved or subject == "camera"))
