"""The rounds of a run as one JSON-ready document: medians of ratios with their spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from ..cases import Record
from .contest import CONTROL, OURS, RIVAL, Contest
from .gauge import machine
from .plan import Measurement
from .rivals import CONTROLNET, RIVALS

Row = dict[str, Any]  # JSON-ready


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    ordered = sorted(values)
    return {"median": median(ordered), "lowest": ordered[0], "highest": ordered[-1]}


def row(
    one: Measurement,
    records: Sequence[Record],
    peaks: dict[str, int],
    flops: dict[str, int],
    first: dict[str, float] | None = None,
) -> Row:
    """What a measurement says. Ratios are of neighbours in time, round by round; below 1 ours is faster.

    first: seconds of the first steps of what is compiled.
    """
    times = [record["seconds"] for record in records]
    made: Row = {
        "what": one.what.value,
        "rival": one.rival,
        "frames": one.frames,
        "pixels": one.pixels,
        "guided": one.guided,
        "compiled": one.compiled.value,
        "rounds": len(records),
        "seconds": {who: spread(t[who] for t in times) for who in times[0]},
        "ratio": spread(t[OURS] / t[RIVAL] for t in times),
        "convolutions": spread(record["convolutions"] for record in records),
    }
    if CONTROL in times[0]:
        made["ratio_with_controlnet"] = spread(t[OURS] / (t[RIVAL] + t[CONTROL]) for t in times)
    busy = [record["neighbours"] for record in records if record["neighbours"] is not None]
    made["neighbours"] = max(busy, default=None)
    if first:
        made["first_seconds"] = first
    if peaks:
        made |= {"peak_bytes": peaks, "peak_ratio": peaks[OURS] / peaks[RIVAL]}
    if flops:
        made["flops"] = flops
        made["of_convolution_rate"] = {
            who: median(flops[who] / r["seconds"][who] / r["convolutions"] for r in records) for who in flops
        }
    return made


def document(contest: Contest, plan: Sequence[Measurement]) -> Row:
    """Of every measurement of the plan that has begun."""
    rows = []
    for one in plan:
        records = contest.journal(one.name).records
        if records:
            kept = [records[i] for i in sorted(records)]
            rows.append(row(one, kept, contest.peaks(one), contest.flops(one), contest.compile_seconds(one)))
    rivals = {name: rival.options(contest.config) for name, rival in (*RIVALS.items(), (CONTROL, CONTROLNET))}
    return {
        "machine": machine(contest.place),
        "network": contest.config.to_dict(),
        "rivals": rivals,
        "measurements": rows,
    }
