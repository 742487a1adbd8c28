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


def forms_of(lemma: str, text: str) -> dict[str, tuple[str, str]]:
    """Every form of regular verbs: base, s, ing, ed; a trailing `*` doubles the consonant, y becomes ie."""
    forms: dict[str, tuple[str, str]] = {}
    for verb in text.split():
        base = verb.rstrip("*")
        stem = base + base[-1] if verb.endswith("*") else base[:-1] if base.endswith("e") else base
        third = base + "es" if base.endswith(("sh", "ch", "ss", "z", "o")) else base + "s"
        past = stem + "ed"
        if base.endswith("y") and base[-2] not in "aeiou":
            third, past = base[:-1] + "ies", base[:-1] + "ied"
        forms |= {base: (lemma, "base"), third: (lemma, "s"), f"{stem}ing": (lemma, "ing"), past: (lemma, "ed")}
    return forms


# Each surface form: its move and its form.
VERBS = {
    **forms_of("zoom", "zoom"),
    **forms_of("pan", "pan*"),
    **forms_of("tilt", "tilt"),
    **forms_of("dolly", "dolly"),
    **forms_of("truck", "truck"),
    **forms_of("crane", "crane boom pedestal jib*"),
    **forms_of("push", "push"),
    **forms_of("pull", "pull"),
    "pullback": ("pullback", "base"),
    "pullout": ("pullback", "base"),
    **forms_of("track", "track"),
    **forms_of("roll", "roll"),
    **forms_of("orbit", "orbit arc circle revolve"),
    **forms_of("move", "move go travel drift glide slide float soar progress come get* head shift ride"),
    **forms_of("move", "fly hover dive swoop plunge accelerate weave wander"),
    "movement": ("movement", "base"),
    "motion": ("movement", "base"),
    "moves": ("move", "s"),
    **forms_of("creep", "creep inch crawl edge ease"),
    **forms_of("rush", "rush race dash speed"),
    **forms_of("walk", "walk run* step* follow"),
    **forms_of("rise", "rise ascend climb"),
    **forms_of("sink", "sink descend lower drop* fall"),
    **forms_of("lift", "lift raise"),
    **forms_of("advance", "advance approach"),
    **forms_of("retreat", "retreat recede withdraw"),
    **forms_of("retire", "back"),
    **forms_of("close", "close"),
    **forms_of("turn", "turn rotate pivot yaw swivel swing sweep"),
    **forms_of("look", "look whip* peer"),
    **forms_of("spin", "spin* twist"),
    **forms_of("shake", "shake tremble wobble jitter vibrate judder"),
}
