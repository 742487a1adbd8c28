"""Counts with their uncertainty, and Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")

PICK_SEED = 0


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of n, with its Wilson 95 % interval."""

    hits: int
    n: int

    @classmethod
    def of(cls, hits: Sequence[bool]) -> Share:
        return cls(sum(hits), len(hits))

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.n)

    def __str__(self) -> str:
        if not self.n:
            return "-"
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f}-{high:.3f})"

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval
        return {"hits": self.hits, "n": self.n, "value": self.value if self.n else None, "low": low, "high": high}


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a proportion (Wilson 1927); 0..1 when there is no data."""
    if n == 0:
        return 0.0, 1.0
    p, spread = hits / n, z * z / n
    middle = (p + spread / 2) / (1 + spread)
    reach = z * math.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def quantile(values: Sequence[float], q: float = 0.5) -> float | None:
    """A quantile of finite values, by default the median; None when there is no data."""
    return float(np.quantile(values, q)) if len(values) else None


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def pick(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items of a list in its order, always the same ones, or all of a shorter list.

    A random choice: the lists go through motions in turn, and an even one would pick the same few motions.
    """
    order = np.random.default_rng(PICK_SEED).permutation(len(items))
    return [items[i] for i in sorted(order[:count])]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [" | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in (header, *rows)]
    lines.insert(1, " | ".join("-" * w for w in widths))
    return "\n".join(f"| {line} |" for line in lines)
