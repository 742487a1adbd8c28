"""The table of all parts, for the screen and as a page."""

from __future__ import annotations

from collections.abc import Sequence

from .part import Figure
from .schedule import Outcome

HEADS = ("part", "what", "figure", "limit", "verdict")
OK, FAIL, LEFT_OUT = "ok", "FAIL", "left out"


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """A line for each figure, and one for what ended a part before its end."""
    lines = [
        (figure.what, shown(figure.value, figure.unit), limit(figure), OK if figure.right else FAIL)
        for figure in outcome.figures
    ]
    if outcome.failed:
        lines.append(("to its end", "", "", f"{FAIL}: {outcome.failed}"))
    if outcome.left_out:
        lines.append(("the rest" if lines else "all of it", "", "", f"{LEFT_OUT}: {outcome.left_out}"))
    name = f"{outcome.part.name}, {outcome.seconds:.0f} s"
    return [(name if i == 0 else "", *line) for i, line in enumerate(lines or [("to its end", "", "", OK)])]


def shown(value: float, unit: str) -> str:
    """A number with three digits and its unit."""
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


def limit(figure: Figure) -> str:
    """What the figure is held against."""
    if figure.limit is None:
        return ""
    return f"{'at least' if figure.least else 'at most'} {shown(figure.limit, figure.unit)}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, its columns aligned."""
    lines = [HEADS, *(row for outcome in outcomes for row in rows(outcome))]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    wide = [max(len(line[i]) for line in cells) for i in range(len(HEADS))]
    drawn = ["| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(line, wide, strict=True)) + " |" for line in cells]
    return "\n".join([drawn[0], "|" + "|".join("-" * (w + 2) for w in wide) + "|", *drawn[1:]])


def verdict(outcomes: Sequence[Outcome]) -> str:
    """One sentence: how many parts are right, which are not, and which were left out."""
    failed = [o.part.name for o in outcomes if not o.right]
    left = [o.part.name for o in outcomes if o.left_out]
    told = [f"{len(outcomes) - len(set(failed) | set(left))} of {len(outcomes)} parts are right"]
    told += [f"{FAIL}: {', '.join(failed)}"] if failed else []
    told += [f"{LEFT_OUT}, all or a part of it: {', '.join(left)}"] if left else []
    return "; ".join(told) + "."


def page(outcomes: Sequence[Outcome], machine: str, seconds: float, *, tiny: bool) -> str:
    """Markdown. machine: the device and the versions that the figures hold for."""
    size = " in its smallest form, which says that it runs and no more" if tiny else ""
    return (
        f"# GPU check: {machine}\n\n"
        f"By `python -m studies.gpu_check`{size}, in {seconds:.0f} s. {verdict(outcomes)}\n\n{table(outcomes)}\n"
    )
