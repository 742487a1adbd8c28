"""A dial: something that a person sets, described once for the library, the command line and the nodes; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import numpy as np

from ..config import Config
from ..errors import InputError


@dataclass(frozen=True, slots=True)
class Dial:
    """What a setting does, in one sentence, and how far it goes. It annotates the field that holds the default.

    low, high: bounds, both allowed, but for a low that must be exceeded (`above`); unit: what they count.
    step, precision: of a host's widget, and of a number typed into it.
    unset: what None stands for. called, option: its name in messages, and as an option, where not the field's.
    """

    help: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    precision: float | None = None
    above: bool = False
    unit: str = ""
    unset: str = ""
    called: str = ""
    option: str = ""

    def check(self, name: str, value: float | Fraction | None) -> None:
        """Raises InputError for a value out of bounds; `name` is the field's. None is in all bounds."""
        if value is None or self.low is None or self.high is None:
            return
        if not self.low <= value <= self.high or (self.above and value == self.low):
            bounds = ("above {} and at most {}" if self.above else "between {} and {}").format(*self.bounds)
            raise InputError(f"{self.called or name} must be {bounds}{self.unit and ' ' + self.unit}, got {value}")

    @property
    def bounds(self) -> tuple[str, ...]:
        """Low and high as a person reads them; empty where there are none."""
        if self.low is None or self.high is None:
            return ()
        return tuple(f"{bound:g}" if isinstance(bound, float) else str(bound) for bound in (self.low, self.high))


@dataclass(frozen=True, slots=True)
class Settings(Config):
    """A configuration of dials; NumPy's numbers become Python's. Raises InputError for values out of their bounds."""

    def __post_init__(self) -> None:
        settings: Any = type(self)
        for name, dial in dials_of(settings).items():
            value = getattr(self, name)
            if isinstance(value, np.generic):
                value = value.item()
                object.__setattr__(self, name, value)
            dial.check(name, value)


@cache
def dials_of(settings: type[Any]) -> Mapping[str, Dial]:
    """The dials of a dataclass, by field."""
    hints = get_type_hints(settings, include_extras=True).items()
    found = {name: part for name, hint in hints for part in get_args(hint) if isinstance(part, Dial)}
    return MappingProxyType(found)
