"""The verbs of the camera, in all their forms, and what each does in which direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Move:
    """What one verb, or its noun, does.

    dials: by direction, a dial and its sign. default: the direction without a word for it, which holds beside others
    where it is `fixed`; ahead: that of "through", "into", "along". bare: directions with which only a camera does this,
    so that it may stand at the head of a clause without one. noun: "a slow pan". kind: a strength that the verb has in
    itself. orbit: goes about the middle; rounds: does so with "around".
    """

    dials: Mapping[str, str]
    default: str = ""
    ahead: str = ""
    bare: frozenset[str] = frozenset()
    noun: bool = False
    fixed: bool = False
    kind: str = ""
    orbit: bool = False
    rounds: bool = False


SIDES = {"left": "horizontal-", "right": "horizontal+"}
RISE = {"up": "vertical+", "down": "vertical-"}
DEPTH = {"in": "dolly+", "forward": "dolly+", "out": "dolly-", "back": "dolly-"}
TURN = {"left": "pan-", "right": "pan+", "up": "tilt+", "down": "tilt-"}
ROLL = {"clockwise": "roll+", "counter": "roll-"}
ARC = {"left": "orbit-", "right": "orbit+", "clockwise": "orbit-", "counter": "orbit+"}  # clockwise as seen from above
ANY = SIDES | RISE | DEPTH
ALL = frozenset(ANY)

GO = Move(ANY, ahead="forward", rounds=True)
MOVES = {
    "zoom": Move({"in": "zoom+", "forward": "zoom+", "out": "zoom-", "back": "zoom-"}, ahead="in", bare=ALL, noun=True),
    "pan": Move(TURN | ROLL, ahead="right", bare=ALL, noun=True),
    "tilt": Move({"up": "tilt+", "down": "tilt-", "left": "roll-", "right": "roll+"} | ROLL, bare=ALL, noun=True),
    "dolly": Move(ANY, ahead="forward", bare=ALL, noun=True, rounds=True),
    "truck": Move(ANY, bare=frozenset(SIDES), noun=True, rounds=True),
    "crane": Move(ANY, bare=frozenset(RISE), noun=True, rounds=True),
    "push": Move(DEPTH | SIDES, ahead="in", bare=frozenset(("in",)), noun=True),
    "pull": Move(DEPTH | RISE | SIDES, bare=frozenset(("out", "back")), noun=True),
    "pullback": Move(DEPTH, "back", fixed=True, bare=frozenset(("back",)), noun=True),
    "track": Move(ANY, ahead="forward", bare=frozenset((*SIDES, "in", "forward", "back")), noun=True, rounds=True),
    "roll": Move(ROLL | {"left": "roll-", "right": "roll+"}, "clockwise", bare=frozenset((*ROLL, *SIDES)), noun=True),
    "orbit": Move(ARC, "right", bare=frozenset(ARC), noun=True, orbit=True),
    "move": GO,
    "movement": Move(ANY, noun=True),
    "creep": Move(ANY, ahead="forward", kind="slow", rounds=True),
    "rush": Move(ANY, ahead="forward", kind="fast", rounds=True),
    "walk": Move(SIDES | DEPTH, ahead="forward", rounds=True),
    "rise": Move(RISE | SIDES, "up", fixed=True),
    "sink": Move(RISE | SIDES, "down", fixed=True),
    "lift": Move(RISE | SIDES, "up"),
    "advance": Move(DEPTH, "forward", fixed=True),
    "retreat": Move(DEPTH, "back", fixed=True),
    "retire": Move(DEPTH | {"up": "dolly-"}),
    "close": Move({"in": "dolly+"}, bare=frozenset(("in",))),
    "turn": Move(TURN | ROLL, rounds=True),
    "look": Move(TURN),
    "spin": Move(ROLL | {"left": "roll-", "right": "roll+"}, "clockwise", rounds=True),
    "shake": Move({"shake": "shake+"}, "shake", fixed=True),
}


def _verbs(lemma: str, text: str) -> dict[str, tuple[str, str]]:
    """Every form of regular verbs: base, s, ing, ed; a trailing `*` doubles the consonant."""
    forms: dict[str, tuple[str, str]] = {}
    for verb in text.split():
        base = verb.rstrip("*")
        stem = base + base[-1] if verb.endswith("*") else base[:-1] if base.endswith("e") else base
        third = base + "es" if base.endswith(("sh", "ch", "o")) else base + "s"
        forms |= {base: (lemma, "base"), third: (lemma, "s"), f"{stem}ing": (lemma, "ing"), f"{stem}ed": (lemma, "ed")}
    return forms


# Each surface form: its move and its form.
VERBS = {
    **_verbs("zoom", "zoom"),
    **_verbs("pan", "pan*"),
    **_verbs("tilt", "tilt"),
    **_verbs("dolly", "dolly"),
    "dollies": ("dolly", "s"),
    "dollying": ("dolly", "ing"),
    **_verbs("truck", "truck"),
    **_verbs("crane", "crane boom pedestal jib*"),
    **_verbs("push", "push"),
    **_verbs("pull", "pull"),
    "pullback": ("pullback", "base"),
    "pullout": ("pullback", "base"),
    **_verbs("track", "track"),
    **_verbs("roll", "roll"),
    **_verbs("orbit", "orbit arc circle revolve"),
    **_verbs("move", "move go travel drift glide slide float soar progress come get* head shift ride"),
    **_verbs("move", "fly hover dive swoop plunge accelerate weave wander"),
    "flies": ("move", "s"),
    "movement": ("movement", "base"),
    "motion": ("movement", "base"),
    "moves": ("move", "s"),
    **_verbs("creep", "creep inch crawl edge ease"),
    **_verbs("rush", "rush race dash speed"),
    **_verbs("walk", "walk run* step* follow"),
    **_verbs("rise", "rise ascend climb"),
    **_verbs("sink", "sink descend lower drop* fall"),
    **_verbs("lift", "lift raise"),
    **_verbs("advance", "advance approach"),
    **_verbs("retreat", "retreat recede withdraw"),
    **_verbs("retire", "back"),
    **_verbs("close", "close"),
    **_verbs("turn", "turn rotate pivot yaw swivel swing sweep"),
    **_verbs("look", "look whip* peer"),
    **_verbs("spin", "spin* twist"),
    **_verbs("shake", "shake tremble wobble jitter vibrate judder"),
}
