"""`--region MASK.png:KEY=VALUE,...`: a part of the picture with a path of its own, as an option's text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, MicroCinemaError, shown
from ..motion.easing import Ease
from ..motion.plan import Region
from ..shot.dials import dials_of
from .pairs import number, pairs_of, whole_number

MAX_SAID = 100  # characters
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
        if not colon or ("=" not in rest and not _is_file(name)):  # C:\mask.png
            return cls(Path(text), None)
        try:
            return cls(Path(name), Region(**{key: _value(key, value) for key, value in pairs_of(rest, KEYS).items()}))
        except MicroCinemaError as error:
            raise InputError(f"--region {shown(text, MAX_SAID)}: {error}") from error


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # too long a name; where it may not be looked
        return False


def _value(key: str, text: str) -> Any:
    if key == "ease":
        if text not in [*Ease]:
            raise InputError(f"ease {text!r} is none of {', '.join(Ease)}")
        return Ease(text)
    return whole_number(key, text) if key == "order" else number(key, text)
