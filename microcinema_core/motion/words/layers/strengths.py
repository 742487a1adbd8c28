"""How much, how fast, how large and when: what words of strength set on a layer. All amounts from words are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...layer import KINDS as DRAWN
from ...layer import Group, Layer, LayerKind
from ..phrases import Tokens
from ..vocabulary import set_of


@dataclass(frozen=True, slots=True)
class Strength:
    """What one kind of word multiplies a layer's settings by."""

    amount: float = 1.0
    speed: float = 1.0
    size: float = 1.0


STRENGTHS: Mapping[str, Strength] = {
    "light": Strength(amount=0.5),
    "soft": Strength(amount=0.7, speed=0.7),
    "heavy": Strength(amount=1.8),
    "thick": Strength(amount=1.8),
    "wild": Strength(amount=2.0, speed=2.0),
    "slow": Strength(speed=0.5),
    "fast": Strength(speed=2.0),
    "large": Strength(size=1.6),
    "small": Strength(size=0.6),
}
INTENSE = 1.5  # the exponent of "very", "extremely"
FADES = {"in": 0.5, "all": 1.0, "out": 0.5}  # share of the clip over which something comes or goes
PACES = {"slow": 2.0, "fast": 0.5}  # what a tempo multiplies that share by, up to the whole clip
MOST = 10.0  # of any amount, speed or size
SLANT = 45.0  # degrees off the vertical, for what falls to a side
DIRECTIONS = {"right": 0.0, "up": 90.0, "left": 180.0, "down": 270.0}

_WORDS = {
    "light": "light lightly faint faintly thin thinly slight slightly fine sparse sparsely few little bit subtle "
    "subtly mild mildly scattered occasional weak weakly barely delicate delicately patchy wispy sporadic",
    "soft": "soft softly gentle gently quiet quietly calm calmly tenderly peaceful peacefully",
    "heavy": "heavy heavily hard harder strong strongly intense intensely torrential massive many countless driving "
    "powerful powerfully relentless relentlessly dramatic dramatically",
    "thick": "thick thickly dense densely impenetrable",
    "wild": "wild wildly violent violently furious furiously fierce fiercely frantically savage stormy",
    "slow": "slow slower slowly lazy lazily leisurely gradual gradually unhurried idly",
    "fast": "fast faster quick quickly rapid rapidly swift swiftly suddenly brisk briskly speedy",
    "large": "big large huge giant enormous",
    "small": "small tiny",
}
KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}
ADVERBS = set_of("hard harder fast faster slow slower little bit")  # without -ly
VERY = set_of("very really extremely super incredibly so ultra")


@dataclass(slots=True)
class Said:
    """What words say of one kind, before it is a layer. start, end: in the text.

    strengths: each kind of word with whether it is intense. direction: degrees. denied: it is not to be drawn.
    """

    start: int
    end: int
    kind: LayerKind
    strengths: dict[str, bool]
    direction: float | None = None
    fade_in: float = 0.0
    fade_out: float = 0.0
    denied: bool = False

    @property
    def layer(self) -> Layer:
        """With the strengths that were said: different kinds multiply, the same counts once."""
        amount = speed = size = 1.0
        for kind, intense in self.strengths.items():
            strength, power = STRENGTHS[kind], INTENSE if intense else 1.0
            amount *= strength.amount**power
            speed *= strength.speed**power
            size *= strength.size**power
        told = [round(min(value, MOST), 3) for value in (amount, speed, size)]
        return Layer(self.kind, told[0], told[1], self.direction, told[2], self.fade_in, self.fade_out)

    def add(self, strengths: Mapping[str, bool]) -> None:
        """What adverbs in a clause of their own say of it: a tempo is the fade's."""
        fades = bool(self.fade_in or self.fade_out)
        for kind, very in strengths.items():
            if fades and kind in PACES:
                self.fade_in, self.fade_out = (min(fade * PACES[kind], 1.0) for fade in (self.fade_in, self.fade_out))
            else:
                self.strengths[kind] = very

    def __or__(self, other: Said) -> Said:
        """The same kind, said once more."""
        return replace(
            self,
            strengths=self.strengths | other.strengths,
            direction=self.direction if other.direction is None else other.direction,
            fade_in=max(self.fade_in, other.fade_in),
            fade_out=max(self.fade_out, other.fade_out),
        )


def say(
    tokens: Tokens,
    span: tuple[int, int],
    kinds: Sequence[LayerKind],
    strengths: Mapping[str, bool],
    *,
    side: str = "",
    fade: str = "",
    denied: bool = False,
) -> tuple[Said, ...]:
    """What the words of a span, the first and the last, say of each kind; fade: `in`, `all`, `out` or nothing.

    A tempo then is the fade's. Of several kinds the first has the strengths: a thunderstorm's wild rain.
    """
    share = _share(strengths, fade) if fade else 0.0
    fades = (0.0, share) if fade == "out" else (share, 0.0)
    own = {kind: very for kind, very in strengths.items() if not (fade and kind in PACES)}
    start, end = tokens[span[0]].start, tokens[span[1]].end
    return tuple(
        Said(start, end, kind, {} if number else own, heading(kind, side), *fades, denied)
        for number, kind in enumerate(kinds)
    )


def _share(strengths: Mapping[str, bool], fade: str) -> float:
    """The share of the clip over which something comes or goes, at the tempo that is said."""
    share = FADES[fade]
    for kind, pace in PACES.items():
        share *= pace if kind in strengths else 1.0
    return min(share, 1.0)


def heading(kind: LayerKind, side: str) -> float | None:
    """Degrees, for a side: what falls goes down aslant; None where that is its own way, or where it has none."""
    if not side or DRAWN[kind].direction is None:
        return None
    if kind.group is Group.PARTICLES and DRAWN[kind].direction == DIRECTIONS["down"]:
        return {"left": 270.0 - SLANT, "right": 270.0 + SLANT, "up": 90.0}.get(side)
    return DIRECTIONS[side]
