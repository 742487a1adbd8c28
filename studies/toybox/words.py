"""Parts `exchange` and `speed`: does the motion follow the words when picture and seed stay the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from microcinema_core.worlds.toybox.captions import ADVERBS, VERBS
from microcinema_core.worlds.toybox.tracker import read_clip
from microcinema_core.worlds.toybox.triples import EVALUATION_STREAM, TIMES, Triple
from microcinema_core.worlds.toybox.world import Motion, Scene, Speed

from ..cases import Case, Frames, Outcome, Part, Record, Seen
from ..shares import Share, number, pick, quantile, table

EXCHANGE_STREAM = 4  # word of this part's seeds; the lists have 1 to 3
PAIRS = 200
MODEL_RATIO, TRUE_RATIO = 1.5, 2.0  # fast over slow


def exchanged(prompt: str, phrases: Sequence[str], new: str) -> str:
    """The prompt with the longest of these phrases that it holds replaced. Raises ValueError where it holds none."""
    plain = prompt.lower()
    old = max((phrase for phrase in phrases if phrase in plain), key=len)
    start = plain.index(old)
    new = new.capitalize() if prompt[start].isupper() else new
    return prompt[:start] + new + prompt[start + len(old) :]


def other_motion(triple: Triple) -> Case | None:
    """The same keyframe and words but for the verb, which says another motion, drawn from those that stay in view."""
    scenes = [replace(triple.scene, motion=motion) for motion in Motion if motion is not triple.scene.motion]
    scenes = [scene for scene in scenes if scene.in_view(TIMES)]
    if not scenes:
        return None
    rng = np.random.default_rng(np.random.SeedSequence([EVALUATION_STREAM, EXCHANGE_STREAM, triple.seed]))
    scene = scenes[rng.integers(len(scenes))]
    verbs = VERBS[scene.motion]
    prompt = exchanged(triple.prompt, VERBS[triple.scene.motion], verbs[rng.integers(len(verbs))])
    return Case(scene, prompt, triple.seed)


def exchange_part(triples: Sequence[Triple]) -> Part:
    """Every triple of the list whose keyframe allows another motion, with that motion's word."""
    pairs = [(triple.scene.motion, case) for triple in triples if (case := other_motion(triple)) is not None]
    before = [motion for motion, _ in pairs]

    def summarise(cases: list[Case], records: list[Record]) -> Outcome:
        return summarise_exchange(cases, records, before, len(triples))

    return Part([case for _, case in pairs], see_motion, summarise)


def see_motion(case: Case, frames: Frames) -> Record:
    """What the tracker sees of a clip [T, H, W, 3], and the rate that it reads from the true clip."""
    seen = Seen.of(read_clip(frames, case.times))
    return {**asdict(seen), "true_rate": read_clip(case.truth(frames.shape[1]), case.times).rate}


def summarise_exchange(
    cases: Sequence[Case], records: Sequence[Record], before: Sequence[Motion], listed: int
) -> Outcome:
    """How often the motion is the new word's, and how often still the old one's."""
    seen = [Seen.from_record(record) for record in records]
    follows = [s.motion == case.scene.motion for s, case in zip(seen, cases, strict=True)]
    kept = Share.of([s.motion == old for s, old in zip(seen, before, strict=True)])
    groups = {
        "all": Share.of(follows),
        "trained": Share.of([f for f, case in zip(follows, cases, strict=True) if not case.held_out]),
        "held out": Share.of([f for f, case in zip(follows, cases, strict=True) if case.held_out]),
    }
    figures = {
        "listed": listed,
        "follows": {name: share.to_dict() for name, share in groups.items()},
        "keeps_old_motion": kept.to_dict(),
    }
    rows = [[name, str(share.n), str(share)] for name, share in groups.items()]
    note = f"{len(cases)} of {listed} keyframes allow another motion. The old motion is kept in {kept}."
    return Outcome(figures, table(["new combination", "n", "follows the new word"], rows) + "\n\n" + note)


def _at_speed(triple: Triple, speed: Speed) -> Case:
    """The triple with the same words but for the adverb."""
    if triple.scene.speed is speed:
        return Case.of(triple)
    old = ADVERBS[triple.scene.speed]
    spoken = max((adverb for adverb in old if adverb in triple.prompt.lower()), key=len)
    prompt = exchanged(triple.prompt, old, ADVERBS[speed][old.index(spoken)])
    return Case(replace(triple.scene, speed=speed), prompt, triple.seed)


def _in_view_at_both_speeds(scene: Scene) -> bool:
    return all(replace(scene, speed=speed).in_view(TIMES) for speed in Speed)


def speed_part(triples: Sequence[Triple]) -> Part:
    """200 pairs, slow then fast, of one keyframe and one seed."""
    chosen = pick([triple for triple in triples if _in_view_at_both_speeds(triple.scene)], PAIRS)
    return Part([_at_speed(triple, speed) for triple in chosen for speed in Speed], see_motion, summarise_speed)


def summarise_speed(cases: list[Case], records: list[Record]) -> Outcome:
    """Fast over slow rate among pairs where both clips move right, and of the true clips of all pairs."""
    moves = [record["motion"] == case.scene.motion for record, case in zip(records, cases, strict=True)]
    pairs = list(zip(records[::2], records[1::2], strict=True))
    both = [slow and fast for slow, fast in zip(moves[::2], moves[1::2], strict=True)]
    ratios = [fast["rate"] / slow["rate"] for (slow, fast), right in zip(pairs, both, strict=True) if right]
    true = [fast["true_rate"] / slow["true_rate"] for slow, fast in pairs if slow["true_rate"]]
    figures, rows = {"tried": len(pairs), "both_move_right": Share.of(both).to_dict()}, []
    for name, values, least in (("model", ratios, MODEL_RATIO), ("truth", true, TRUE_RATIO)):
        reached = Share.of([value >= least for value in values])
        figures[name] = {
            "least": least,
            "reached": reached.to_dict(),
            "median": quantile(values),
            "lowest": quantile(values, 0),
        }
        shown = [str(len(values)), f"{least}", str(reached), number(quantile(values)), number(quantile(values, 0))]
        rows.append([name, *shown])
    note = f"{len(pairs)} pairs tried; both clips move right in {Share.of(both)}."
    return Outcome(figures, table(["", "pairs", "ratio", "reached", "median", "lowest"], rows) + "\n\n" + note)
