"""Labelled pictures and cut-outs as arrays, and views of them under another light, as the network is shown them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from microcinema_core.motion.layer import Place
from microcinema_core.places.network import PLACES

from .labels import IGNORED, Label, Levels, read_picture

LONGEST = 512  # pixels of a picture's longer side, from which views are taken
CHECKED = 16  # one in so many pictures is kept out of training, to choose by
POINTS = 12  # with a distance, in a view, at most
SURE, LEAST = 0.01, 0.001  # share of a view: from here a place is there, below this it is not; between, nobody asks

Draw = np.random.Generator
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """picture [H, W, 3] and mask [H, W] of a labelled picture; points [n, 3]: x, y in 0..1, logarithm of metres."""

    name: str
    picture: Levels
    mask: Levels
    points: Floats
    landscape: bool

    def share(self, value: int) -> float:
        return float((self.mask == value).mean())


@dataclass(frozen=True, slots=True)
class CutOut:
    """picture [H, W, 3] and alpha [H, W] of something that stands before nothing; value: what it is, as in a mask."""

    picture: Levels
    alpha: Levels
    value: int


@dataclass(frozen=True, slots=True)
class View:
    """What the network is shown, and should say. there [5]: 0, 1, or NaN where nobody knows; points as in Example."""

    picture: Levels
    mask: Levels
    points: Floats
    there: Floats


def checked(name: str) -> bool:
    """Whether a picture of the pool is for choosing, and not for training."""
    return hashlib.sha256(name.encode()).digest()[0] % CHECKED == 0


def load_examples(pool: Path, labels: Mapping[str, Label]) -> Iterator[Example]:
    """Pictures with their masks, at most LONGEST pixels long."""
    for name, label in sorted(labels.items()):
        picture = read_picture(pool / "pics" / f"{name}.jpg")
        mask = cv2.imread(str(pool / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        if (mask == IGNORED).all():
            continue
        scale = min(1.0, LONGEST / max(picture.shape[:2]))
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        points = np.array([(x / 100, y / 100, math.log(m)) for x, y, m in label.distances], np.float32).reshape(-1, 3)
        near = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
        yield Example(name, small, near, points, bool(label.distances))


def cut_outs_of(examples: Sequence[Example]) -> Iterator[CutOut]:
    """People and animals out of the labelled pictures themselves."""
    value = 1 + PLACES.index(Place.PEOPLE)
    for example in examples:
        _, _, parts, _ = cv2.connectedComponentsWithStats((example.mask == value).astype(np.uint8))
        for number, (x, y, width, height, area) in enumerate(parts):
            if number == 0 or area < 0.01 * example.mask.size or area > 0.6 * example.mask.size:
                continue
            part = np.s_[y : y + height, x : x + width]
            alpha = (example.mask[part] == value).astype(np.uint8) * 255
            yield CutOut(example.picture[part], cv2.GaussianBlur(alpha, (0, 0), 0.7), value)


def view(
    example: Example,
    cut_outs: Sequence[CutOut],
    draw: Draw,
    size: tuple[int, int],
    pasting: float = 0.35,
    other: Example | None = None,
) -> View:
    """A part of the picture at `size` (height, width), mirrored, turned, with things before it, under another light.

    other: a picture of which a part covers some of it.
    """
    picture, mask, points = _part(example, draw, size)
    landscape = float(example.landscape)
    if other is not None:
        picture, mask, points = _patched(picture, mask, points, _part(other, draw, size), draw)
        landscape = math.nan
    if draw.random() < 0.04:  # a backdrop: no sky, however smooth and blue
        picture, mask, points = _backdrop(draw, size), np.zeros(size, np.uint8), points[:0]
        landscape, pasting = 0.0, 1.0
    if cut_outs and draw.random() < pasting:
        for _ in range(1 + int(draw.integers(3))):
            picture, mask = _pasted(picture, mask, cut_outs[int(draw.integers(len(cut_outs)))], draw)
    if draw.random() < 0.5:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
        points = points * (-1, 1, 1) + (1, 0, 0)
    there = np.array([*(_there(mask, value) for value in range(1, 5)), landscape], np.float32)
    return View(_lit(np.ascontiguousarray(picture), draw), np.ascontiguousarray(mask), points.astype("f4"), there)


def _patched(
    picture: Levels, mask: Levels, points: Floats, other: tuple[Levels, Levels, Floats], draw: Draw
) -> tuple[Levels, Levels, Floats]:
    """With a rectangle of another part over it: places are known by what they are, not by what is about them."""
    height, width = mask.shape
    h, w = (round(side * draw.uniform(0.3, 0.8)) for side in (height, width))
    top, left = int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1))
    there = np.s_[top : top + h, left : left + w]
    picture, mask = picture.copy(), mask.copy()
    picture[there], mask[there] = other[0][there], other[1][there]
    x, y = points[:, 0] * width, points[:, 1] * height
    seen = ~((left <= x) & (x < left + w) & (top <= y) & (y < top + h))
    return picture, mask, points[seen]


def _there(mask: Levels, value: int) -> float:
    share = float((mask == value).mean())
    if share >= SURE:
        return 1.0
    unknown = share >= LEAST or (mask == IGNORED).mean() > 0.2
    return math.nan if unknown else 0.0


def _part(example: Example, draw: Draw, size: tuple[int, int]) -> tuple[Levels, Levels, Floats]:
    height, width = example.mask.shape
    aspect = size[1] / size[0] * math.exp(draw.uniform(-0.25, 0.25))
    scale = 1.0 if draw.random() < 0.5 else draw.uniform(0.45, 1.0)
    h = scale * min(height, width / aspect)
    w = h * aspect
    x, y = draw.random() * (width - w), draw.random() * (height - h)
    angle = math.radians(draw.uniform(-10, 10)) if draw.random() < 0.2 else 0.0
    if angle == 0:
        rows, columns = slice(int(y), max(int(y) + 1, int(y + h))), slice(int(x), max(int(x) + 1, int(x + w)))
        picture = cv2.resize(example.picture[rows, columns], size[::-1], interpolation=cv2.INTER_AREA)
        mask = cv2.resize(example.mask[rows, columns], size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    else:
        matrix = _turning(x + w / 2, y + h / 2, w, h, angle, size)
        picture = cv2.warpAffine(example.picture, matrix, size[::-1], borderMode=cv2.BORDER_REFLECT_101)
        mask = cv2.warpAffine(
            example.mask, matrix, size[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=255
        )
    points = (example.points * (width, height, 1) - (x, y, 0)) / (w, h, 1)
    inside = ((points[:, :2] > 0) & (points[:, :2] < 1)).all(1) if angle == 0 else np.zeros(len(points), bool)
    return picture, mask, points[inside].astype(np.float32)


def _turning(
    x: float, y: float, width: float, height: float, angle: float, size: tuple[int, int]
) -> NDArray[np.float64]:
    """From a picture's pixels to those of its part about (x, y), turned. [2, 3]."""
    cos, sin = math.cos(angle), math.sin(angle)
    turned = np.array([[cos, sin], [-sin, cos]]) * [[size[1] / width], [size[0] / height]]
    return np.column_stack([turned, (size[1] / 2, size[0] / 2) - turned @ (x, y)])


def _backdrop(draw: Draw, size: tuple[int, int]) -> Levels:
    corners = draw.integers(0, 256, (2, 2, 3)).astype(np.float32)
    if draw.random() < 0.5:
        corners[:] = corners[0, 0]
    smooth = cv2.resize(corners, size[::-1], interpolation=cv2.INTER_LINEAR)
    return (smooth + draw.normal(0, draw.uniform(0, 8), (*size, 1))).clip(0, 255).astype(np.uint8)


def _pasted(picture: Levels, mask: Levels, thing: CutOut, draw: Draw) -> tuple[Levels, Levels]:
    """With a thing somewhere before it, of any size, in about the light of the place."""
    height, width = mask.shape
    tall = height * draw.uniform(0.15, 1.1)
    wide = min(tall * thing.alpha.shape[1] / thing.alpha.shape[0] * math.exp(draw.uniform(-0.2, 0.2)), 1.5 * width)
    size = max(4, round(wide)), max(4, round(tall))
    shown, alpha = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (thing.picture, thing.alpha))
    if draw.random() < 0.5:
        shown, alpha = shown[:, ::-1], alpha[:, ::-1]
    x = round(draw.uniform(-0.3, 1.0) * width - 0.2 * size[0])
    y = round(draw.uniform(0.3, 1.3) * height) - size[1]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + size[0], width), min(y + size[1], height)
    if right - left < 4 or bottom - top < 4:
        return picture, mask
    there, cut = np.s_[top:bottom, left:right], np.s_[top - y : bottom - y, left - x : right - x]
    behind, front = picture[there].astype(np.float32), shown[cut].astype(np.float32)
    cover = alpha[cut][..., None] / 255.0
    front *= (behind.mean((0, 1)) + 20) ** (share := draw.uniform(0, 0.6)) / (front.mean((0, 1)) + 20) ** share
    picture, mask = picture.copy(), mask.copy()
    picture[there] = (behind + (front - behind) * cover).clip(0, 255)
    mask[there] = np.where(alpha[cut] > 127, thing.value, mask[there])
    return picture, mask


def _lit(picture: Levels, draw: Draw) -> Levels:
    """Under another light, in other colours, softer, coarser or as if painted.

    Mostly a little: colours tell grass from sand, and a lake from a meadow.
    """
    much = 1.0 if draw.random() < 0.35 else 0.35
    levels = np.arange(256) / 255.0
    curves = levels[:, None] ** np.exp(draw.normal(0, 0.3 * much) + draw.normal(0, 0.12 * much, 3))
    gain, lift = math.exp(draw.normal(0, 0.15 * much)), draw.normal(0, 0.04 * much)
    if draw.random() < 0.05:  # night
        gain *= draw.uniform(0.2, 0.6)
        curves = curves * (0.7, 0.85, 1.1)
    table = (255 * (0.5 + (curves - 0.5) * math.exp(draw.normal(0, 0.15 * much))) * gain + 255 * lift).clip(0, 255)
    picture = cv2.LUT(picture, table.astype(np.uint8).reshape(256, 1, 3))
    if much == 1:
        picture = cv2.transform(picture, _colours(draw))
    kind = draw.random()
    if kind < 0.12:
        picture = cv2.GaussianBlur(picture, (0, 0), draw.uniform(0.4, 1.6))
    elif kind < 0.2:
        picture = cv2.medianBlur(picture, 5)
    elif kind < 0.25:
        picture = cv2.bilateralFilter(picture, 5, 60, 3)
    elif kind < 0.32:
        picture = picture // (step := int(draw.integers(8, 40))) * step
    if draw.random() < 0.3:
        noise = draw.normal(0, draw.uniform(1, 14), (*picture.shape[:2], 1 if draw.random() < 0.5 else 3))
        picture = (picture + noise).clip(0, 255).astype(np.uint8)
    return picture


def _colours(draw: Draw) -> NDArray[np.float64]:
    """Saturation and hue as a matrix [3, 3]; sometimes grey, or colours exchanged."""
    grey = np.full((3, 3), 1 / 3)
    turn = draw.normal(0, 0.12)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    whirl = math.cos(turn) * np.eye(3) + math.sin(turn) * cross + (1 - math.cos(turn)) * grey
    kind = draw.random()
    much = 0.0 if kind < 0.05 else draw.uniform(0.4, 1.5)
    if kind > 0.98:
        whirl = whirl[draw.permutation(3)]
    return grey + much * (whirl - grey)
