"""`--layer KIND:KEY=VALUE,...`: something drawn into the picture, as an option's text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, MicroCinemaError, shown
from ..motion.layer import Layer, LayerKind, Place
from ..motion.taught import Taught
from ..motion.typed import HEADINGS, colour_of
from ..shot.dials import dials_of
from .pairs import number, pairs_of, whole_number

MAX_SAID = 100  # characters
KEYS = (*dials_of(Layer), "place", "colour", "x", "y", "mask", "file")


@dataclass(frozen=True, slots=True)
class ToldLayer:
    """One `--layer`. layer: None where the mask is for the plan's layer of that number. mask: None: none is given.

    file: of a taught motion.
    """

    layer: Layer | None
    mask: Path | None = None
    number: int | None = None
    file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> ToldLayer:
        """KIND, KIND:KEY=VALUE,KEY=VALUE or NUMBER:mask=FILE. Raises InputError for what is none."""
        name, colon, rest = text.partition(":")
        try:
            if re.fullmatch(r"[1-9]\d{0,3}", name, re.ASCII):
                return cls(None, _path("mask", pairs_of(rest, ("mask",))["mask"]), int(name))
            kind = _one_of(LayerKind, name.strip(), "kind of layer")
            given = pairs_of(rest, KEYS) if colon else {}
            mask, file = (_path(key, given.pop(key)) if key in given else None for key in ("mask", "file"))
            taught = None if file is None else Taught.read(file)
            return cls(Layer(kind, **_settings(given), taught=taught), mask, file=file)
        except MicroCinemaError as error:
            raise InputError(f"--layer {shown(text, MAX_SAID)}: {error}") from error


def _settings(given: dict[str, str]) -> dict[str, Any]:
    """A layer's fields. x and y come together."""
    at = {key: number(key, given.pop(key)) for key in ("x", "y") if key in given}
    if len(at) == 1:
        raise InputError("x and y say together where it is; give both")
    found = {key: _value(key, value) for key, value in given.items()}
    return {**found, "at": (at["x"], at["y"])} if at else found


def _value(key: str, text: str) -> Any:
    if key == "direction":
        return HEADINGS[text] if text in HEADINGS else _degrees(text)
    if key == "colour":
        return colour_of(text)
    if key == "place":
        return _one_of(Place, text, "place")
    return whole_number(key, text) if key == "seed" else number(key, text)


def _degrees(text: str) -> float:
    try:
        return number("direction", text)
    except InputError as error:
        raise InputError(f"{error}, or one of {', '.join(HEADINGS)}") from error


def _one_of(names: type[LayerKind] | type[Place], text: str, called: str) -> Any:
    if text not in [*names]:
        raise InputError(f"{shown(repr(text), MAX_SAID)} is no {called}; there are {', '.join(names)}")
    return names(text)


def _path(key: str, text: str) -> Path:
    if not text:
        raise InputError(f"{key}= names no file")
    return Path(text)
