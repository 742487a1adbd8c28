"""Labels as text, and masks from them, snapped to edges: `python -m studies.scene.labels POOL`.

A line is `ID CLASS POINTS`, coordinates in percent of width and height. `sky X:Y ...` is the sky's lower edge from
left to right; any class takes a polygon `X,Y ...` or `all`; `other` paints back to none, `ignore` is what nobody could
decide, a class with `=` is not snapped. Later lines paint over earlier ones. `none`: nothing of any class.
`dist X,Y=M ...`: points with their distances in metres, in landscapes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from microcinema_core.motion.layer import Place
from microcinema_core.places.network import PLACES

FOLDER = Path(__file__).parent / "labels"
TAUGHT, TESTED = FOLDER / "taught.txt", FOLDER / "tested.txt"  # what training may read, and what it may not
CLASSES = {"sky": Place.SKY, "water": Place.WATER, "plants": Place.PLANTS, "animal": Place.PEOPLE}
IGNORED = 255  # in a mask; 0 is none, then PLACES from 1
LONGEST = 720  # pixels of a mask's longer side
BAND = {
    Place.SKY: 9,
    Place.WATER: 7,
    Place.PLANTS: 9,
    Place.PEOPLE: 7,
}  # pixels: where edges are sought
AROUND = 61  # pixels: GrabCut learns colours from this far about a mask

Levels = NDArray[np.uint8]  # a picture [H, W, 3] in RGB, or a mask [H, W]
Point = tuple[float, float]  # in percent


@dataclass(frozen=True, slots=True)
class Shape:
    """A polygon: what it paints into a mask, and whether its edges are where they should be already."""

    value: int
    points: tuple[Point, ...]
    exact: bool


@dataclass(slots=True)
class Label:
    """What was said of one picture. distances: x and y in percent, and metres."""

    shapes: list[Shape] = field(default_factory=list)
    distances: list[tuple[float, float, float]] = field(default_factory=list)


def read_labels(files: Iterable[Path]) -> dict[str, Label]:
    """Labels by the picture's name. Raises ValueError, with file and line, for a line that says nothing."""
    labels: dict[str, Label] = {}
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            try:
                _take(labels.setdefault(words[0], Label()), words[1], words[2:])
            except (ValueError, IndexError, KeyError) as error:
                raise ValueError(f"{path}:{number}: {line[:80]!r}: {error}") from error
    return labels


def _take(label: Label, word: str, points: Sequence[str]) -> None:
    name = word.rstrip("=")
    if name == "dist":
        label.distances += [_distance(point) for point in points]
    elif name != "none":
        label.shapes.append(Shape(_value(name), _outline(points), word.endswith("=")))


def _value(name: str) -> int:
    special = {"other": 0, "ignore": IGNORED}
    return special[name] if name in special else 1 + PLACES.index(CLASSES[name])


def _distance(text: str) -> tuple[float, float, float]:
    place, metres = text.split("=")
    x, y = place.split(",")
    return float(x), float(y), float(metres)


def _outline(points: Sequence[str]) -> tuple[Point, ...]:
    if list(points) == ["all"]:
        return (-1, -1), (101, -1), (101, 101), (-1, 101)
    if ":" in points[0]:
        edge = [(float(x), float(y)) for x, y in (point.split(":") for point in points)]
        return (-1, -2), (-1, edge[0][1]), *edge, (101, edge[-1][1]), (101, -2)
    polygon = tuple((float(x), float(y)) for x, y in (point.split(",") for point in points))
    if len(polygon) < 3:
        raise ValueError("fewer than three points")
    return polygon


def mask_of(picture: Levels, label: Label) -> Levels:
    """A mask [h, w] of a picture [H, W, 3], at most LONGEST pixels long: 0 none, 1.. PLACES, IGNORED."""
    scale = min(1.0, LONGEST / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    drawn, exact = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
    for shape in label.shapes:
        inside = _filled(shape, width, height)
        drawn[inside], exact[inside] = shape.value, shape.exact
    return _snapped(small, drawn, exact)


def _filled(shape: Shape, width: int, height: int) -> NDArray[np.bool_]:
    corners = np.round(np.array(shape.points) * (width / 100, height / 100)).astype(np.int32)
    return cv2.fillPoly(np.zeros((height, width), np.uint8), [corners], 1) > 0


def _snapped(picture: Levels, drawn: Levels, exact: NDArray[np.bool_]) -> Levels:
    made = drawn.copy()
    for value, place in enumerate(PLACES, 1):
        band = max(2, round(BAND[place] * max(drawn.shape) / LONGEST))
        found = _grabbed(picture, (drawn == value).astype(np.uint8), band)
        made[(made == value) & ~found & ~exact] = 0
        made[found & ~exact & (made < value) & (drawn != IGNORED)] = value
    return made


def _grabbed(picture: Levels, mask: Levels, band: int) -> NDArray[np.bool_]:
    """A mask [H, W] of 0 and 1 with its edges where colours change, at most `band` pixels away."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    within = cv2.erode(np.pad(mask, band, mode="edge"), disc)[band:-band, band:-band] > 0
    about = cv2.dilate(mask, disc)
    known = np.where(mask > 0, cv2.GC_PR_FGD, np.where(about > 0, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(np.uint8)
    known[within] = cv2.GC_FGD
    if not within.any() or about.all():
        return mask > 0
    rows, columns = np.where(cv2.dilate(about, np.ones((AROUND, AROUND), np.uint8)) > 0)
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    cut = np.ascontiguousarray(known[part])
    if not (cut == cv2.GC_BGD).any():
        return mask > 0
    cv2.setRNGSeed(0)  # its colour models start from a draw
    pixels = np.ascontiguousarray(picture[part][..., ::-1])
    try:
        cv2.grabCut(pixels, cut, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # too few colours for its models
        return mask > 0
    made = mask.copy()
    made[part] = (cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD)
    return cv2.medianBlur(made, 3) > 0


def read_picture(path: Path) -> Levels:
    """[H, W, 3] in RGB."""
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])


def write_masks(pool: Path, labels: Mapping[str, Label]) -> None:
    """POOL/masks/ID.png of every labelled picture POOL/pics/ID.jpg; those that are there already stay."""
    (pool / "masks").mkdir(exist_ok=True)
    for name, label in labels.items():
        path = pool / "masks" / f"{name}.png"
        if not path.exists():
            cv2.imwrite(str(path), mask_of(read_picture(pool / "pics" / f"{name}.jpg"), label))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path, help="what studies.scene.pictures wrote")
    options = parser.parse_args(arguments)
    labels = read_labels([TAUGHT, TESTED])
    write_masks(options.pool, labels)
    sys.stdout.write(f"{len(labels)} masks\n")


if __name__ == "__main__":
    main()
