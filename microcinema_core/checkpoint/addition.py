"""A file that changes a model, and how much of it, as a person writes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class Addition:
    """A file and how much of it."""

    path: Path
    strength: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def parse(cls, text: str) -> Addition:
        """FILE or FILE:STRENGTH. Raises InputError for a strength that is no number between -10 and 10."""
        name, colon, strength = text.rpartition(":")
        if os.path.lexists(text) or not colon or "/" in strength or "\\" in strength:
            return cls(Path(text))
        try:
            value = float(strength)
        except ValueError:
            value = float("nan")
        if not -10 <= value <= 10:
            raise InputError(f"{text}: the strength {strength!r} is no number between -10 and 10; give FILE:STRENGTH")
        return cls(Path(name), value)
