"""Measures of long shots: chained clips (part `chains`) and the motion dial.

A chain is one clip of `LENGTH * (FRAMES - 1) + 1` frames; each of its clips starts at the last frame of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microcinema_core.shot.timing import frame_times
from microcinema_core.worlds.toybox.tracker import Reading, read_clip
from microcinema_core.worlds.toybox.triples import FPS, FRAMES, TIMES, Triple
from microcinema_core.worlds.toybox.world import DIRECTION, ORBIT, SCALING, Scene, Speed

from ..cases import SIZE, Animate, Case, Frames, Outcome, Part, Record
from ..shares import Share, number, pick, quantile, table
from .appearance import unit

CHAINS, LENGTH = 50, 5
SEAM_LIMIT = 2.0  # times the chain's median change
DIAL_CLIPS = 100


def chain_times(clips: int = LENGTH) -> list[float]:
    """Seconds from the keyframe, which is the first frame."""
    return frame_times(clips * (FRAMES - 1) + 1, FPS, 0)


def chains_part(triples: Sequence[Triple]) -> Part:
    """50 triples whose scene stays in view for a whole chain; only circling ones do. Animate them as chains."""
    staying = [Case.of(triple) for triple in triples if triple.scene.in_view(chain_times())]
    return Part([replace(case, keyframe_at="first") for case in pick(staying, CHAINS)], measure_chain, summarise_chains)


def changes(frames: Frames) -> NDArray[np.float64]:
    """Mean absolute change [T-1] from each frame of [T, H, W, 3] to the next, pixels 0..1."""
    return np.abs(np.diff(unit(frames), axis=0)).mean(axis=(1, 2, 3))


def measure_chain(case: Case, frames: Frames) -> Record:
    """Each seam's change over the chain's median change away from seams, and what each clip's motion is read as.

    frames: of all clips, [T, H, W, 3]. A seam's change is the larger of those into and out of the shared frame, since a
    chain may keep either clip's.
    """
    step, steps = FRAMES - 1, changes(frames)
    seams = range(step, len(frames) - 1, step)
    beside = {i for seam in seams for i in (seam - 1, seam)}
    usual = float(np.median([change for i, change in enumerate(steps) if i not in beside]))
    clips = [frames[i : i + FRAMES] for i in range(0, len(frames) - 1, step)]
    return {
        "seams": [float(max(steps[seam - 1], steps[seam])) for seam in seams],
        "usual": usual,
        "motions": [read_clip(clip, fps=FPS).motion for clip in clips],
    }


def summarise_chains(cases: list[Case], records: list[Record]) -> Outcome:
    """Share of chains without a visible seam, and of clips 2 to 5 that move right."""
    good = [[seam <= SEAM_LIMIT * record["usual"] for seam in record["seams"]] for record in records]
    right = [[m == case.scene.motion for m in r["motions"]] for r, case in zip(records, cases, strict=True)]
    worst = [max(record["seams"]) / record["usual"] for record in records if record["usual"]]
    by_clip = [Share.of(list(hits)) for hits in zip(*right, strict=True)]
    shares = {
        "chains whose seams all change at most twice the median": Share.of([all(seams) for seams in good]),
        "seams that do": Share.of([seam for seams in good for seam in seams]),
        "motion right in clips 2 to 5": Share.of([hit for hits in right for hit in hits[1:]]),
        "chains with motion right in all of clips 2 to 5": Share.of([all(hits[1:]) for hits in right]),
        **{f"motion right in clip {i + 1}": share for i, share in enumerate(by_clip)},
    }
    figures = {"chains": len(cases), "worst_seam_median": quantile(worst)}
    rows = [[name, str(share.n), str(share)] for name, share in shares.items()]
    note = f"Largest seam over the median change, median of chains: {number(quantile(worst), 2)}."
    text = table(["", "n", "share"], rows) + "\n\n" + note
    return Outcome({**figures, **{name: share.to_dict() for name, share in shares.items()}}, text)


def dial_cases(triples: Sequence[Triple]) -> list[Case]:
    """100 slow scenes of trained combinations: there is room for more motion before the shape leaves the picture."""
    slow = [Case.of(t) for t in triples if not t.held_out and t.scene.speed is Speed.SLOW]
    return pick(slow, DIAL_CLIPS)


def displacement(reading: Reading, scene: Scene, seconds: Sequence[float], side: int) -> float:
    """How far a clip moves in the manner of its scene's motion, negative against it; 0 where too little was seen.

    Sides, radians around the picture's middle or log radius, by a straight line through all frames.
    """
    if reading.found.sum() < 2:
        return 0.0
    x, y, radius = (values[reading.found] for values in (reading.x, reading.y, reading.radius))
    if scene.motion in ORBIT:
        way = ORBIT[scene.motion] * np.unwrap(np.arctan2(y - side / 2, x - side / 2))
    elif scene.motion in DIRECTION:
        right, down = DIRECTION[scene.motion]
        way = (right * x + down * y) / side
    else:
        way = SCALING[scene.motion] * np.log(radius)
    slope = np.polyfit(np.asarray(seconds)[reading.found], way, 1)[0]
    return float(slope) * (max(seconds) - min(seconds))


@dataclass(frozen=True, slots=True)
class DialScores:
    """Displacements over the true clip's, [settings][clips], and how many clips still move as asked."""

    settings: list[float]
    relative: list[list[float]]
    motion: list[Share]

    @property
    def medians(self) -> list[float]:
        return [float(np.median(values)) for values in self.relative]

    @property
    def monotonic(self) -> bool:
        return bool((np.diff(self.medians) > 0).all())

    def to_dict(self) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "medians": self.medians,
            "monotonic": self.monotonic,
            "motion": [share.to_dict() for share in self.motion],
        }

    def to_markdown(self) -> str:
        rows = [
            [f"{setting:g}", str(share.n), number(median), str(share)]
            for setting, median, share in zip(self.settings, self.medians, self.motion, strict=True)
        ]
        head = ["setting", "n", "median displacement over the true one", "motion right"]
        rises = "rises with every setting" if self.monotonic else "does not rise with every setting"
        return table(head, rows) + f"\n\nThe median {rises}."


def score_dial(
    animate_at: Callable[[float], Animate],
    cases: Sequence[Case],
    settings: Sequence[float],
    *,
    size: int = SIZE,
    batch: int = 8,
) -> DialScores:
    """Generate every case at every setting of the dial, rising, with the same seeds, and measure how far it moves."""
    true = [displacement(read_clip(c.truth(size), TIMES), c.scene, TIMES, size) for c in cases]
    relative, motion = [], []
    for setting in settings:
        animate = animate_at(setting)
        clips = [f for i in range(0, len(cases), batch) for f in animate([c.shot(size) for c in cases[i : i + batch]])]
        readings = [read_clip(frames, TIMES) for frames in clips]
        moved = [displacement(r, c.scene, TIMES, size) for r, c in zip(readings, cases, strict=True)]
        relative.append([own / whole for own, whole in zip(moved, true, strict=True)])
        motion.append(Share.of([r.motion == c.scene.motion for r, c in zip(readings, cases, strict=True)]))
    return DialScores(list(settings), relative, motion)
