"""One picture of a machine's document: ratios, how time grows, memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from .contest import OURS, RIVAL
from .page import title
from .plan import FRAMES, PIXELS, PLAIN, WHOLE, What
from .summary import Row

OUR_COLOUR, THEIR_COLOUR = "#c23b22", "#4878a8"


def plot(document: Row, path: Path) -> None:
    """A PNG of four panels; one without figures yet says so."""
    plain = [r for r in document["measurements"] if not (r.get("guided") or r.get("compiled"))]
    rows = [r for r in plain if r["rival"] not in (PLAIN, WHOLE)]
    steps = [r for r in rows if r["what"] == What.STEP]
    base = [r for r in steps if (r["frames"], r["pixels"]) == (FRAMES[0], PIXELS[0])]
    drawing, ((ratios, memory), (frames, pixels)) = plt.subplots(2, 2, figsize=(14, 10), layout="constrained")
    machine = document["machine"]
    drawing.suptitle(f"MicroCinema beside diffusers, random weights: {machine['device']}, {machine['dtype']}")
    _ratios(ratios, base)
    _memory(memory, base)
    _growth(frames, [r for r in steps if r["pixels"] == PIXELS[0]], "frames", f"frames of {PIXELS[0]}x{PIXELS[0]}")
    _growth(pixels, [r for r in steps if r["frames"] == FRAMES[0]], "pixels", f"pixels a side, {FRAMES[0]} frames")
    for axes in (ratios, memory, frames, pixels):
        if not axes.has_data():
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
    drawing.savefig(path, dpi=110, format="png", metadata={"Software": None})
    plt.close(drawing)


def _label(row: Row) -> str:
    return title(row).replace("Condition", "\nCondition", 1).replace(" + ", "\n+ ")


def _ratios(axes: Any, rows: Sequence[Row]) -> None:
    """A bar from 0, with the lowest and the highest turn."""
    axes.set_title("time of a step, ours / theirs: below 1 ours is faster")
    bars = [(_label(r), r["ratio"]) for r in rows]
    bars += [(f"{_label(r)}\n+ a ControlNet a step", s) for r in rows if (s := r.get("ratio_with_controlnet"))]
    if not bars:
        return
    middle = [s["median"] for _, s in bars]
    low = [s["median"] - s["lowest"] for _, s in bars]
    high = [s["highest"] - s["median"] for _, s in bars]
    axes.barh([name for name, _ in bars], middle, xerr=[low, high], color=OUR_COLOUR, capsize=3)
    for i, value in enumerate(middle):
        axes.text(0.02, i, f"{value:.2f}", va="center", color="white")
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()


def _memory(axes: Any, rows: Sequence[Row]) -> None:
    axes.set_title("peak of activations in a step, MiB")
    if not rows:
        return
    names = ["MicroCinema", *(_label(r) for r in rows)]
    sizes = [rows[0]["peak_bytes"][OURS], *(r["peak_bytes"][RIVAL] for r in rows)]
    axes.barh(names, [size / 2**20 for size in sizes], color=[OUR_COLOUR] + [THEIR_COLOUR] * len(rows))
    axes.invert_yaxis()


def _growth(axes: Any, rows: Sequence[Row], over: str, label: str) -> None:
    axes.set_title("seconds of a step")
    lines: dict[str, list[tuple[int, float]]] = {}
    for r in rows:
        lines.setdefault(title(r), []).append((r[over], r["seconds"][RIVAL]["median"]))
        lines.setdefault("MicroCinema", []).append((r[over], r["seconds"][OURS]["median"]))
    for name, points in lines.items():
        ours = name == "MicroCinema"
        at = sorted({x for x, _ in points})
        middle = [median(y for x, y in points if x == where) for where in at]  # ours was measured beside each
        axes.plot(at, middle, marker="o", label=name, linewidth=2.5 if ours else 1, color=OUR_COLOUR if ours else None)
    if lines:
        axes.set_xlabel(label)
        axes.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
