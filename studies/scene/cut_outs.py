"""Things cut out by their makers: photographs of tuxpaint's stamps and the painted figures of Wesnoth.

People and animals, plants, and what is neither, so that what is pasted is not always the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from microcinema_core.motion.layer import Place
from microcinema_core.places.network import PLACES

from .examples import CutOut
from .labels import Levels

PEOPLE, PLANTS = (1 + PLACES.index(place) for place in (Place.PEOPLE, Place.PLANTS))
STAMPS = {
    "animals": PEOPLE,
    "plants": PLANTS,
    "food": 0,
    "hobbies": 0,
    "household": 0,
    "medical": 0,
    "military": 0,
    "sports": 0,
    "vehicles": 0,
    "town": 0,
}
NOT = ("cartoon", "toys", "plastic", "shellfish", "mushrooms", "roadsigns", "flags")
LONGEST = 256


def load_cut_outs(packages: Path) -> Iterator[CutOut]:
    """From a folder that holds the unpacked packages tuxpaint-stamps-default and wesnoth-1.16-*."""
    for path, value in found(packages):
        stored = cut_out(path, LONGEST)
        if stored is not None:
            yield CutOut(np.ascontiguousarray(stored[..., :3]), np.ascontiguousarray(stored[..., 3]), value)


def found(packages: Path) -> Iterator[tuple[Path, int]]:
    """Files of those packages that may hold one, and what it is, as in a mask."""
    for path in sorted(packages.glob("tuxpaint-stamps-default/**/stamps/**/*.png")):
        parts = path.parts[path.parts.index("stamps") + 1 :]
        if parts[0] in STAMPS and not set(parts) & set(NOT):
            yield path, STAMPS[parts[0]]
    for path in sorted(packages.glob("wesnoth-1.16-*/**/portraits/**/*")):
        if path.suffix in {".png", ".webp"} and not path.is_symlink():
            yield path, PLANTS if path.stem.startswith("wose") else PEOPLE


def cut_out(path: Path, longest: int) -> Levels | None:
    """RGBA [H, W, 4] of at most `longest` pixels, no wider than what it shows; None where nothing is cut out."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4 or stored.dtype != np.uint8:
        return None
    alpha = stored[..., 3]
    rows, columns = np.where(alpha > 16)
    if len(rows) < 400 or (alpha > 127).mean() > 0.98:
        return None
    stored = stored[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = min(1.0, longest / max(stored.shape[:2]))
    size = max(4, round(stored.shape[1] * scale)), max(4, round(stored.shape[0] * scale))
    return cv2.resize(stored, size, interpolation=cv2.INTER_AREA)[..., [2, 1, 0, 3]]
