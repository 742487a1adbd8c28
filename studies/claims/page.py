"""The page: a table of all runs and one of the pairs that the paper's claims are about."""

from __future__ import annotations

from collections.abc import Mapping

from ..shares import table
from .runs import CONCAT, FULL, NO_LAMBDA, WAYS, Run, Way
from .scoring import Scores, decibels, share

HEAD = """# The paper's claims at toy size

`python -m studies.claims` trains and scores what is missing and writes this page; it can be stopped at any time.
Each run is Toybox's video stage (`configs/toybox-video.toml`) with one thing changed, for {steps} steps of 8 clips, on
the same {clips} clips and from the same image model, scored on {n} clips of the list `select`
([evaluation.md](../evaluation.md)). In brackets: 95 % intervals (Wilson) over clips; seeds differ besides.

"""
COLUMNS = ("right", "motion", "shape", "colour", "still")
PAIRS: tuple[tuple[str, Way, Way], ...] = (
    ("AppearNet's features in both halves with de-normalisation, against concatenation", FULL, CONCAT),
    ("the noise prior's lambda, on against off", FULL, NO_LAMBDA),
)


def page(scores: Mapping[str, Scores], steps: int, clips: int) -> str:
    """Markdown. scores: by run, of those that are done."""
    n = max((share(found, "right").n for found in scores.values()), default=0)
    rows = []
    for way in WAYS:
        for seed in range(2):
            found = scores.get(Run(way, seed).name)
            if found is not None:
                shares = [str(share(found, column)) for column in COLUMNS]
                rows.append([way.title, str(seed), *shares, f"{decibels(found):.1f}"])
    lines = [table(["way", "seed", *COLUMNS, "centre frame, dB"], rows), "", "## Pairs", ""]
    lines += _pairs(scores)
    return HEAD.format(steps=steps, clips=clips, n=n) + "\n".join(lines) + "\n"


def _pairs(scores: Mapping[str, Scores]) -> list[str]:
    rows = []
    for what, one, other in PAIRS:
        for seed in range(2):
            a, b = (scores.get(Run(way, seed).name) for way in (one, other))
            if a is not None and b is not None:
                motion = f"{share(a, 'motion').value:.3f} / {share(b, 'motion').value:.3f}"
                rows.append([what, str(seed), motion, f"{decibels(a):.1f} / {decibels(b):.1f}"])
    return [table(["pair", "seed", "motion", "centre frame, dB"], rows)]
