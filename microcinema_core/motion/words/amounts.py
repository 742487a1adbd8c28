"""How far a move goes: its marks, strengths and numbers as amounts of the camera's dials."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from . import vocabulary as v

Amount = tuple[float, str, bool]  # number, unit, whether "to" stands before it
FIT = {"degrees": ("pan", "tilt", "roll", "orbit"), "times": ("zoom",)}
FIT["percent"] = ("zoom", "dolly", "horizontal", "vertical", "shake")


def amounts(marks: Iterable[str], kinds: Collection[str], amount: Amount | None) -> dict[str, float]:
    """What marks such as `pan-` set, with the strengths that were said, or exactly where a fitting number was."""
    strength = math.prod(v.STRENGTHS[kind] for kind in kinds)
    found: dict[str, float] = {}
    for mark in marks:
        dial, sign = mark[:-1], -1.0 if mark[-1] == "-" else 1.0
        exact = amount if amount and dial in FIT[amount[1]] else None
        if dial == "orbit":
            found |= _orbit(sign, strength, exact)
        elif mark == "zoom!":
            found["zoom"] = 1 - clamped("dolly", found["dolly"])
        elif dial == "zoom":
            found[dial] = _zoom(sign, strength, exact)
        else:
            found[dial] = sign * (_share(exact) if exact else v.MEDIUM[dial] * strength)
    return found


def together(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """All moves in one: sums, zoom's factors multiplied, within the plan's bounds."""
    total: dict[str, float] = {}
    for part in parts:
        for dial, value in part.items():
            if dial == "zoom":
                total[dial] = total.get(dial, 1.0) * value
            else:
                total[dial] = total.get(dial, 0.0) + value
    return {dial: clamped(dial, value) for dial, value in total.items()}


def clamped(dial: str, value: float) -> float:
    """The nearest value that a plan takes."""
    low, high = v.BOUNDS[dial]
    return min(max(value, low), high)


def _share(exact: Amount) -> float:
    number, unit, _ = exact
    return number / 100 if unit == "percent" else number


def _zoom(sign: float, strength: float, exact: Amount | None) -> float:
    """A factor. "in 30%" is 1.3, "out 20%" 0.8, "in 150%" and "to 150%" 1.5, "out 2x" 0.5."""
    if exact is None:
        return v.MEDIUM["zoom"] ** (sign * strength)
    number, unit, to = exact
    if unit == "times":
        factor = clamped("zoom", number)
        return factor if to or sign > 0 or factor < 1 else 1 / factor
    if to or (sign > 0 and number >= 100):
        return clamped("zoom", number / 100)
    return clamped("zoom", 1 + sign * number / 100)


def _orbit(sign: float, strength: float, exact: Amount | None) -> dict[str, float]:
    """Sideways, with the turn against it that keeps the middle in its place; degrees are of that turn."""
    half = math.tan(math.radians(v.HALF_VIEW))
    side = v.ORBIT * strength
    if exact:
        side = math.tan(math.radians(min(exact[0], v.BOUNDS["pan"][1]))) / (2 * half)
    side = sign * min(side, v.BOUNDS["horizontal"][1])
    return {"horizontal": side, "pan": -math.degrees(math.atan(2 * side * half))}
