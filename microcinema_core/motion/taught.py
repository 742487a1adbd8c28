"""A motion taught by footage, as data: waves of displacement, and how strong they are over a region.

Lengths are in sizes of the region, the square root of its area, so that what was learnt of any clip moves any part of
any picture. A wave of rate f, k = (across, down) and amplitudes (a, b, phase) displaces a point x, right and down, by
a cos(2 pi (f t - k x)) and b cos(2 pi (f t - k x) + phase): it travels along k. Each is drawn at a phase of its own,
which the seed gives; `strengths` then says how much of all of them there is at a place.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..config import Config
from ..errors import InputError
from ..files import disk_errors, read_text, written_whole
from .versioned import Form

WANTED = "a motion that `microcinema teach` wrote"
MAX_TEXT = 100_000  # characters of a file
FORM = Form("microcinema.taught", 1, "taught motion", f"give {WANTED}", MAX_TEXT)
MAX_WAVES, MAX_SIDE = 256, 16
PARTS = 6  # of a wave
FASTEST, FINEST = 15.0, 32.0  # times a second; cycles in the region's size
LARGEST = 0.5  # of the region's size
STRONGEST = 100.0  # of an amplitude and of a strength, which are shares of one another
FAINTEST = 1e-12  # of the squares of all together


@dataclass(frozen=True, slots=True)
class Taught(Config):
    """size: the root mean square of the displacement, in sizes of the region.

    waves: (rate, across, down, right, below, phase) each: times a second, cycles in the region's size, amplitudes to
    the right and downwards as shares of one another, radians by which the latter is ahead.
    strengths: rows from the region's top, each from its left, as shares of one another. clips: that it was read off.
    """

    size: float
    waves: tuple[tuple[float, ...], ...]
    strengths: tuple[tuple[float, ...], ...] = ((1.0,),)
    clips: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.size <= LARGEST:
            raise InputError(f"the size of a taught motion must be above 0 and at most {LARGEST}, got {self.size}")
        _check_waves(self.waves)
        _check_strengths(self.strengths)
        if not 1 <= self.clips <= 1_000_000:
            raise InputError(f"a taught motion must come from 1 to 1,000,000 clips, got {self.clips}")

    @property
    def rates(self) -> tuple[float, ...]:
        """Times a second, the strongest first."""
        energy: dict[float, float] = {}
        for rate, _, _, right, below, _ in self.waves:
            energy[rate] = energy.get(rate, 0.0) + right**2 + below**2
        return tuple(sorted(energy, key=lambda rate: -energy[rate]))

    @property
    def travel(self) -> tuple[float, float]:
        """Where its waves go on the whole, right and down; about 0, 0 where they stand."""
        weights = [right**2 + below**2 for _, _, _, right, below, _ in self.waves]
        across, down = (sum(w * wave[axis] for w, wave in zip(weights, self.waves, strict=True)) for axis in (1, 2))
        return across / sum(weights), down / sum(weights)

    def to_json(self) -> str:
        return json.dumps({**FORM.head, **self.to_dict()}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """Raises ConfigError for what is none: its text, version, keys and values are all checked."""
        return cls.from_dict(FORM.body(text, where), where)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises InputError for no text file, ConfigError for one that holds no taught motion."""
        return cls.from_json(read_text(path, WANTED, MAX_TEXT), str(path))

    def write(self, path: Path) -> None:
        """Whole or not at all. Raises OSError where the disk refuses."""
        with disk_errors(path), written_whole(path) as temporary:
            temporary.write_text(self.to_json() + "\n", encoding="utf-8")


def _check_waves(waves: tuple[tuple[float, ...], ...]) -> None:
    if not 1 <= len(waves) <= MAX_WAVES:
        raise InputError(f"a taught motion has 1 to {MAX_WAVES} waves, got {len(waves)}")
    for wave in waves:
        if len(wave) != PARTS:
            raise InputError(f"a wave is {PARTS} numbers, got {len(wave)}")
        rate, across, down, right, below, phase = wave
        _check("a wave's rate", rate, 0.0, FASTEST)
        for name, value, most in (
            ("a wave's cycles", across, FINEST),
            ("a wave's cycles", down, FINEST),
            ("a wave's amplitude", right, STRONGEST),
            ("a wave's amplitude", below, STRONGEST),
            ("a wave's phase", phase, 2 * math.pi),
        ):
            _check(name, value, -most, most)
    if sum(right**2 + below**2 for _, _, _, right, below, _ in waves) < FAINTEST:
        raise InputError("a taught motion needs a wave that is no zero")


def _check_strengths(strengths: tuple[tuple[float, ...], ...]) -> None:
    columns = {len(row) for row in strengths}
    if not 1 <= len(strengths) <= MAX_SIDE or len(columns) != 1 or not 1 <= min(columns) <= MAX_SIDE:
        raise InputError(f"strengths are 1 to {MAX_SIDE} rows of 1 to {MAX_SIDE} numbers, as many in each")
    for row in strengths:
        for value in row:
            _check("a strength", value, 0.0, STRONGEST)
    if sum(value**2 for row in strengths for value in row) < FAINTEST:
        raise InputError("strengths need one that is no zero")


def _check(name: str, value: Any, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} must be between {low:g} and {high:g}, got {value}")
