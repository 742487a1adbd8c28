"""`--region MASK.png:KEY=VALUE,...`: a part of the picture with a path of its own, as an option's text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, MicroCinemaError, shown
from ..motion.easing import Ease
from ..motion.plan import Region
from ..shot.dials import dials_of

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
MAX_NUMBER, MAX_SAID = 40, 100  # characters
KEYS = tuple(dials_of(Region))


@dataclass(frozen=True, slots=True)
class Told:
    """One `--region`. region: None where the mask is for one of the plan's."""

    mask: Path
    region: Region | None

    @classmethod
    def parse(cls, text: str) -> Told:
        """MASK or MASK:KEY=VALUE,KEY=VALUE. Raises InputError for what is none."""
        name, colon, rest = text.rpartition(":")
        if not colon or ("=" not in rest and not Path(name).is_file()):  # C:\mask.png
            return cls(Path(text), None)
        try:
            return cls(Path(name), Region(**_values(rest)))
        except MicroCinemaError as error:
            raise InputError(f"--region {shown(text, MAX_SAID)}: {error}") from error


def _values(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in text.split(","):
        key, sign, value = (word.strip() for word in part.partition("="))
        if not sign or not key:
            raise InputError(f"{part.strip()!r} is not KEY=VALUE; the keys are {', '.join(KEYS)}")
        if key not in KEYS:
            raise InputError(f"unknown key {key!r}; the keys are {', '.join(KEYS)}")
        if key in found:
            raise InputError(f"{key} is given twice")
        found[key] = _value(key, value)
    return found


def _value(key: str, text: str) -> Any:
    if key == "ease":
        if text not in [*Ease]:
            raise InputError(f"ease {text!r} is none of {', '.join(Ease)}")
        return Ease(text)
    if len(text) > MAX_NUMBER or not NUMBER.fullmatch(text):
        raise InputError(f"{key} must be a number, got {text[:MAX_NUMBER]!r}")
    if key == "order":
        if not re.fullmatch(r"[+-]?\d{1,9}", text):
            raise InputError(f"{key} must be a whole number, got {text!r}")
        return int(text)
    return float(text)
