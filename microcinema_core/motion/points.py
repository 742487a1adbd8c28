"""A point of the picture in a plan: two numbers in its widths and heights."""

from __future__ import annotations

from ..errors import InputError


def check_point(point: tuple[float, ...], called: str) -> None:
    """Raises InputError for what is no point near the picture; `called` says what it would be."""
    if len(point) != 2 or not all(-10 <= value <= 10 for value in point):
        raise InputError(f"{called} is two numbers, x and y, between -10 and 10, got {list(point)}")
