"""Parts `clips` and `positions`: does a clip show, and move, as its prompt says, and what kinds of clips do not?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from microcinema_core.worlds.toybox.triples import Triple
from microcinema_core.worlds.toybox.world import Motion, Scene, Shape

from ..cases import Animate, Case, Outcome, Part, Record, Seen, see
from ..shares import Share, table
from .scores import score_clips

ASPECTS = ("motion", "shape", "colour")
SHEET_ROWS = 16
NUMBER_WIDTH = 28  # pixels left of each strip


def clips_part(triples: Sequence[Triple]) -> Part:
    """The list as it is, keyframe in the middle."""
    return Part([Case.of(triple) for triple in triples], see, summarise_clips)


def positions_part(triples: Sequence[Triple]) -> Part:
    """Trained combinations with the keyframe first, then last, where the true clip stays in view from there."""
    asked = [replace(Case.of(t), keyframe_at=at) for at in ("first", "last") for t in triples if not t.held_out]
    return Part([case for case in asked if case.scene.in_view(case.times)], see, summarise_positions)


def summarise_clips(cases: list[Case], records: list[Record]) -> Outcome:
    """Shares of trained and held-out combinations, and failures by motion and by shape."""
    seen = [Seen.from_record(record) for record in records]
    scores = score_clips(seen, cases)
    tables = [scores.to_markdown(), failures_by(cases, seen, Motion), failures_by(cases, seen, Shape)]
    wrong = [i for i, (one, case) in enumerate(zip(seen, cases, strict=True)) if not one.right(case.scene)]
    if wrong:
        tables.append(failure_list([(i, cases[i], seen[i]) for i in wrong]))
    return Outcome({**scores.to_dict(), "failures": wrong}, "\n\n".join(tables))


def failures_by(cases: Sequence[Case], seen: Sequence[Seen], kind: type[Motion] | type[Shape]) -> str:
    """For each motion or shape asked for: how many clips are right, and what is wrong with the others."""
    name = kind.__name__.lower()
    rows = []
    for value in kind:
        pairs = [(s, c.scene) for s, c in zip(seen, cases, strict=True) if getattr(c.scene, name) is value]
        wrong = [[getattr(s, part) != getattr(scene, part) for s, scene in pairs] for part in ASPECTS]
        right = Share.of([s.right(scene) for s, scene in pairs])
        rows.append([str(value), str(right.n), str(right), *(str(sum(w)) for w in wrong)])
    return table([name, "n", "right", *(f"{part} wrong" for part in ASPECTS)], rows)


def failure_list(wrong: Sequence[tuple[int, Case, Seen]]) -> str:
    """Each failed clip: its number on the sheet, what was asked and what was seen."""
    rows = [
        [str(i), "held out" if case.held_out else "trained", _asked(case.scene), f"{s.motion}, {s.colour} {s.shape}"]
        for i, case, s in wrong
    ]
    return table(["clip", "group", "asked", "read as"], rows)


def failure_sheet(cases: Sequence[Case], failures: Sequence[int], animate: Animate, size: int) -> NDArray[np.uint8]:
    """[H, W, 3]: a numbered strip at half size for each of the first 16 failed clips."""
    shown = failures[:SHEET_ROWS]
    clips = animate([cases[i].shot(size) for i in shown])
    strips = [
        _numbered(i, np.concatenate(list(clip[:, ::2, ::2]), axis=1)) for i, clip in zip(shown, clips, strict=True)
    ]
    return np.concatenate(strips)


def _numbered(index: int, strip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.new("RGB", (strip.shape[1] + NUMBER_WIDTH, strip.shape[0] + 2), "white")
    ImageDraw.Draw(picture).text((2, 2), str(index), fill="black")
    picture.paste(Image.fromarray(strip), (NUMBER_WIDTH, 0))
    return np.asarray(picture)


def _asked(scene: Scene) -> str:
    return f"{scene.motion} {scene.speed}, {scene.colour} {scene.shape}, {scene.background}"


def summarise_positions(cases: list[Case], records: list[Record]) -> Outcome:
    """Motion, shape and colour right with the keyframe first and last."""
    seen = [Seen.from_record(record) for record in records]
    figures, rows = {}, []
    for at in ("first", "last"):
        pairs = [(s, c) for s, c in zip(seen, cases, strict=True) if c.keyframe_at == at]
        right = Share.of([s.right(c.scene) for s, c in pairs])
        motion = Share.of([s.motion == c.scene.motion for s, c in pairs])
        figures[at] = {"right": right.to_dict(), "motion": motion.to_dict()}
        rows.append([at, str(right.n), str(right), str(motion)])
    return Outcome(figures, table(["keyframe", "n", "right", "motion"], rows))
