"""What stands to the left and to the right of a word of movement; every look is a bounded number of words far."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import verbs
from . import vocabulary as v
from .clauses import Token

REACH = 12  # words that belong to one move, on either side
NEAR = 6  # words between a camera and what opens its clause

Tokens = tuple[Token, ...]


@dataclass(slots=True)
class Around:
    """What is said about a move on one side of it. first, last: the outermost words that were used, as indices."""

    first: int
    last: int
    kinds: set[str] = field(default_factory=set)
    directions: list[str] = field(default_factory=list)
    amount: tuple[float, str, bool] | None = None  # number, unit, whether "to" stands before it
    negated: bool = False
    soft_start: bool = False
    adjectives: bool = False
    article: bool = False
    subject: str = ""  # `camera`, `picture`, `start` of the clause, `other`
    shot: bool = False  # "a tracking shot"
    camera: bool = False  # "tilt the camera"
    ahead: bool = False
    orbit: bool = False
    far: bool = False  # the direction stands beyond a word that may be another's deed: "Pans hang to the left"


def word_at(tokens: Tokens, i: int) -> str:
    """Empty beyond the clause."""
    return tokens[i].word if 0 <= i < len(tokens) else ""


def kind_at(tokens: Tokens, i: int) -> str:
    """The strength that a word states, `neutral` for one that says nothing of strength, or nothing."""
    word, following = word_at(tokens, i), word_at(tokens, i + 1)
    if word in v.KINDS and following not in v.NOT_STRENGTHS:
        return v.KINDS[word]
    if word in v.INTENSE:
        kind = v.KINDS.get(following, "")
        if kind:
            return "more still" if kind in ("fast", "extreme") else "less still"
        return "extreme" if word == "extremely" else "neutral"
    return "neutral" if word in v.STEADY else ""


def direction_at(tokens: Tokens, i: int) -> tuple[str, int]:
    """A direction and how many words it takes; empty and 0 for none."""
    word, following = word_at(tokens, i), word_at(tokens, i + 1)
    if word in ("counter", "anti") and following == "clockwise":
        return "counter", 2
    start = i + 1 if word == "from" else i
    start += word_at(tokens, start) == "the" and start > i
    if word_at(tokens, start) in v.ENDS and word_at(tokens, start + 1) == "to":
        end = start + 2 + (word_at(tokens, start + 2) == "the")
        if word_at(tokens, end) in v.ENDS:
            return v.ENDS[tokens[end].word], end - i + 1
    return (v.DIRECTIONS[word], 1) if word in v.DIRECTIONS else ("", 0)


def amount_at(tokens: Tokens, i: int) -> tuple[float, str] | None:
    """A number and its unit, as two words."""
    unit = v.UNITS.get(word_at(tokens, i + 1))
    if unit is None:
        return None
    number = _number_at(tokens, i)
    return None if number is None else (number, unit)


def _number_at(tokens: Tokens, i: int) -> float | None:
    if not 0 <= i < len(tokens):
        return None
    number = tokens[i].number
    return v.NUMBERS.get(tokens[i].word) if number is None else number


def is_camera(tokens: Tokens, i: int) -> bool:
    """Whether the word at i is a camera that does something, and not a thing in the scene or where others go."""
    if word_at(tokens, i) not in v.SUBJECTS:
        return False
    sure = tokens[i].word in v.SURE_SUBJECTS
    for j in range(i - 1, max(i - NEAR, -1) - 1, -1):
        word = word_at(tokens, j)
        if word in v.OBJECTS or word in v.PREPOSITIONS:
            return False
        if word in v.SURE_SUBJECTS or not word:
            return True
        if word in ("the", "a", "our"):
            before = word_at(tokens, j - 1)
            return not before or (sure and word == "the" and before not in v.PREPOSITIONS)
    return sure


def look_left(tokens: Tokens, i: int) -> Around:
    """What stands before the word at i, back to its subject."""
    found = Around(first=i, last=i)
    j = i - 1
    for _ in range(REACH):
        word, kind = word_at(tokens, j), kind_at(tokens, j)
        if not word:
            found.subject = found.subject or "start"
        elif word in v.NEGATIONS:
            found.negated = True
        elif word in v.SUBJECTS or word in v.PICTURES:
            if not found.subject:
                known = is_camera(tokens, j)
                found.subject = "camera" if known else "picture" if word in v.PICTURES else "other"
        elif word in v.UNITS and amount_at(tokens, j - 1):
            found.amount = (*(amount_at(tokens, j - 1) or (0.0, "")), False)
            j -= 1
        elif word in v.ARTICLES:
            found.article = True
        elif word == "drone" and not found.subject and verbs.VERBS.get(tokens[i].word, ("", ""))[1] == "s":
            found.subject = "other"  # it flies in the scene; "drone shot" is said of the camera
            break
        elif kind:
            found.kinds |= {kind} - {"neutral"}
            found.adjectives |= word != "camera"
        elif word == "counter" and "clockwise" in found.directions:
            found.directions = ["counter"]
        elif word in v.DIRECTIONS:
            found.directions.insert(0, v.DIRECTIONS[word])
            found.adjectives = True
        elif word in v.AUXILIARY and not found.subject:
            found.soft_start |= word in v.STARTS and word_at(tokens, j - 1) in v.SOFT_STARTS
        else:
            found.subject = found.subject or ("it" if word == "it" and j == 0 else "other")
            break
        if not word:
            break
        found.first = j
        j -= 1
    found.subject = found.subject or "other"
    return found


def look_right(tokens: Tokens, i: int, move: verbs.Move) -> Around:
    """What stands after the word at i: directions, strengths, amounts; then farther on in the clause for a side."""
    found = Around(first=i, last=i)
    j = i + 1
    while j - i <= REACH:
        used = _take(tokens, i, j, move, found)
        if not used:
            break
        j += used
    _look_farther(tokens, j, move, found)
    return found


def _take(tokens: Tokens, i: int, j: int, move: verbs.Move, found: Around) -> int:
    """Words used at j; 0 where the move's own words end."""
    word, following = word_at(tokens, j), word_at(tokens, j + 1)
    amount = amount_at(tokens, j) if word else None
    if amount:
        found.amount, found.last = (*amount, word_at(tokens, j - 1) == "to"), j + 1
        return 2
    if word == "factor" and following == "of" and (number := _number_at(tokens, j + 2)) is not None:
        found.amount, found.last = (number, "times", False), j + 2
        return 3
    if _circles(tokens, j, move):
        found.orbit, found.last = True, j
        return 1
    if word in v.SUBJECTS and word_at(tokens, j - 1) in ("the", "your", "our") and _is_object(tokens, i, j):
        found.camera, found.last = True, j
        return 1
    if word in v.SHOTS and j - i <= 2:
        found.shot, found.last = True, j
        return 1
    if word in ("up", "down") and {word_at(tokens, j + k) for k in (1, 2, 3)} & v.WAYS:
        found.ahead, found.last = True, j
        return 0
    if word == "in" and move.ahead == "forward" and _stays_in(tokens, j + 1):
        return 0
    direction, used = direction_at(tokens, j)
    if direction:
        found.directions.append(direction)
        found.last = j + used - 1
        return used
    if word in (v.ONTO if "zoom+" in move.dials.values() else v.AHEAD | v.ONTO):
        sideways = word in ("toward", "towards") and direction_at(tokens, j + 2)[0] != "" and following == "the"
        found.ahead |= not sideways and (word in v.AHEAD or move.ahead == "in")
        found.last = j if found.ahead and not found.directions else found.last
        return int(sideways)
    kind = kind_at(tokens, j)
    if kind:
        found.kinds |= {kind} - {"neutral"}
        found.last = j if kind != "neutral" else found.last
        return 1
    return int(word in v.FILLERS or (found.orbit and word in ("circle", "arc", "orbit", "in")))


def _is_object(tokens: Tokens, i: int, j: int) -> bool:
    """As in "tilt the camera", "a movement of the camera"."""
    return j == i + 2 or (j == i + 3 and word_at(tokens, i + 1) == "of")


def _stays_in(tokens: Tokens, j: int) -> bool:
    """As in "in the dark room", "in slow motion" say where and how, not whither; "in a little" does."""
    word = word_at(tokens, j)
    return word in ("slow", "real", "place") or (word in v.ARTICLES and kind_at(tokens, j + 1) != "little")


def _circles(tokens: Tokens, j: int, move: verbs.Move) -> bool:
    """As in "around the house", "in a slow circle": what goes or turns then goes about the middle."""
    word = word_at(tokens, j)
    if word in ("around", "round"):
        return (move.orbit or move.rounds) and j + 1 < len(tokens)
    return (
        (move.orbit or move.rounds)
        and word == "in"
        and any(word_at(tokens, k) in ("circle", "arc", "orbit") for k in (j + 1, j + 2, j + 3))
    )


def _to_something(tokens: Tokens, k: int) -> bool:
    """As in "to the window on the left": the camera turns left, as it does not in "past the window on the left"."""
    return any(word_at(tokens, j) == "to" for j in range(max(k - 4, 0), k))


def _look_farther(tokens: Tokens, j: int, move: verbs.Move, found: Around) -> None:
    """As in "across the room to the left", "on her face slowly": a side, where none was named, and a last strength."""
    wanted = not found.directions or found.orbit
    for k in range(j, min(j + REACH, len(tokens))):
        word = tokens[k].word
        if word in v.PRONOUNS or (k > j and verbs.VERBS.get(word, ("", ""))[1] in ("s", "ing")):
            return
        towards = word == "to" or (word == "on" and "pan-" in move.dials.values() and _to_something(tokens, k))
        start = k + 2 if towards and word_at(tokens, k + 1) == "the" else k
        direction, used = direction_at(tokens, start)
        end = start + used
        clear = start > k or used > 2 or word.endswith(("ward", "wards", "clockwise"))
        if wanted and direction and clear and word_at(tokens, end) != "of":
            found.directions.append(direction)
            found.last, wanted = end - 1, False
            found.far = tokens[j].word not in v.PREPOSITIONS and tokens[j].word not in v.ARTICLES
        if k == len(tokens) - 1 and (word.endswith("ly") or word in ("little", "bit")) and word in v.KINDS:
            found.kinds.add(v.KINDS[word])
            found.last = k
