"""What the JSON files of others say: values of the kind that is asked for, whatever stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, shown
from ..files import MAX_JSON, parse_json, read_text


@dataclass(frozen=True, slots=True)
class Told:
    """The object in a JSON file. A value that is null or missing is the default.

    Raises CheckpointError, naming file and key, for a value of another kind or out of bounds.
    """

    path: Path
    values: Mapping[str, Any]

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number between low and high."""
        value = self.values.get(key)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(key, f"a whole number between {low} and {high}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number between low and high."""
        value = self.values.get(key)
        if value is None:
            return default
        if type(value) not in (int, float) or not low <= value <= high:
            raise self._wrong(key, f"a number between {low:g} and {high:g}")
        return float(value)

    def word(self, key: str, default: str) -> str:
        """A text."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def flag(self, key: str) -> bool:
        """True or false; without it, false."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return bool(value)

    def wholes(self, key: str, count: int, low: int, high: int) -> tuple[int, ...] | None:
        """So many whole numbers: a list, or one number that stands for all; None where there are none."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            return (self.whole(key, low, low, high),) * count
        if len(value) != count or any(type(item) is not int or not low <= item <= high for item in value):
            raise self._wrong(key, f"{count} whole numbers between {low} and {high}")
        return tuple(value)

    def expect(self, wanted: Mapping[str, object], advice: str) -> None:
        """Every value that is there must be the wanted one, of its kind too; 1 and 1.0 are the same."""
        for key, value in wanted.items():
            found = self.values.get(key, value)
            if found != value or isinstance(found, bool) != isinstance(value, bool):
                raise CheckpointError(f"{self.path}: {key} is {self._shown(key)}, {value!r} was expected; {advice}")

    def _wrong(self, key: str, wanted: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: {key} is {self._shown(key)}, {wanted} was expected; get the folder anew")

    def _shown(self, key: str) -> str:
        return shown(repr(self.values[key]))


def is_there(path: Path) -> bool:
    """Whether a folder has such a member, whatever it is: also a link that leads nowhere."""
    return path.exists() or path.is_symlink()


def open_json(path: Path, limit: int = MAX_JSON) -> Told:
    """The object in a JSON file. Raises CheckpointError for what is missing, too long or no object."""
    text = read_text(path, "a JSON file, or get the folder anew", limit, CheckpointError)
    try:
        stored = parse_json(text, path.name, limit)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; get the folder anew") from error
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path}: holds no object; get the folder anew")
    return Told(path, stored)
