"""KEY=VALUE,KEY=VALUE in an option's text."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..errors import InputError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
MAX_NUMBER = 40  # characters


def pairs_of(text: str, keys: Collection[str]) -> dict[str, str]:
    """What each key is given. Raises InputError for a key that is unknown or given twice, and for no pair."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, sign, value = (word.strip() for word in part.partition("="))
        if not sign or not key:
            raise InputError(f"{part.strip()!r} is not KEY=VALUE; the keys are {', '.join(keys)}")
        if key not in keys:
            raise InputError(f"unknown key {key!r}; the keys are {', '.join(keys)}")
        if key in found:
            raise InputError(f"{key} is given twice")
        found[key] = value
    return found


def number(key: str, text: str) -> float:
    """Raises InputError for what is none; `key` says which it would be."""
    if len(text) > MAX_NUMBER or not NUMBER.fullmatch(text):
        raise InputError(f"{key} must be a number, got {text[:MAX_NUMBER]!r}")
    return float(text)


def whole_number(key: str, text: str) -> int:
    """Raises InputError for what is none; `key` says which it would be."""
    number(key, text)
    if not WHOLE.fullmatch(text):
        raise InputError(f"{key} must be a whole number, got {text!r}")
    return int(text)
