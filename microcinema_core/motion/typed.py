"""Directions and colours as people type them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import InputError, shown

HEADINGS: Mapping[str, float] = MappingProxyType(
    {
        "right": 0.0,
        "up-right": 45.0,
        "up": 90.0,
        "up-left": 135.0,
        "left": 180.0,
        "down-left": 225.0,
        "down": 270.0,
        "down-right": 315.0,
    }
)
COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", re.ASCII)
MAX_SAID = 40  # characters


def colour_of(text: str) -> tuple[float, float, float]:
    """`#rrggbb` as red, green, blue, 0..1. Raises InputError for any other text."""
    found = COLOUR.fullmatch(text.strip())
    if found is None:
        raise InputError(f"a colour is written #rrggbb, as #ff8800, got {shown(repr(text), MAX_SAID)}")
    red, green, blue = (int(part, 16) / 255 for part in found.groups())
    return red, green, blue
