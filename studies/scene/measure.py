"""How right the network is about labelled pictures: overlap, what it sees where nothing is, and what is nearer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from microcinema_core.motion.layer import Place
from microcinema_core.places.find import Found, find
from microcinema_core.places.network import PLACES, Network

from .labels import IGNORED, Label, Levels, read_picture

THERE = 0.01  # share of a picture from which a class counts as there; absent is none of it
APART = 1.5  # distances whose order is asked differ by at least this factor


@dataclass(frozen=True, slots=True)
class Pair:
    """Two labelled points: which is which, and whether the nearer one was found to be nearer."""

    picture: str
    right: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one picture. overlap: of classes that are there; false: share of the picture, of classes that are absent."""

    name: str
    found: Found
    overlap: dict[Place, float]
    false: dict[Place, float]
    landscape: bool
    pairs: tuple[Pair, ...]


def pixels(levels: Levels) -> Tensor:
    """[3, H, W], 0..1, of a picture [H, W, 3]."""
    return torch.from_numpy(levels).permute(2, 0, 1).float() / 255


def measure(pool: Path, name: str, label: Label, network: Network | None = None) -> Measured:
    """What was found in a picture of the pool against its label."""
    mask = cv2.imread(str(pool / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    found = find(pixels(read_picture(pool / "pics" / f"{name}.jpg")), network)
    known = mask != IGNORED
    overlap, false = {}, {}
    for value, place in enumerate(PLACES, 1):
        made = resized(found.masks[place], mask.shape) > 0.5
        share = (mask == value).sum() / max(1, known.sum())
        if share >= THERE:
            both, either = made & (mask == value), (made | (mask == value)) & known
            overlap[place] = float(both.sum() / either.sum())
        elif share == 0 and known.any():
            false[place] = float((made & known).mean())
    return Measured(name, found, overlap, false, bool(label.distances), tuple(_pairs(name, label, found)))


def resized(map_: Tensor, size: tuple[int, int]) -> np.ndarray:
    """A map [1, H, W] at the size of a label's mask, [h, w]."""
    return cv2.resize(map_[0].numpy(), size[::-1], interpolation=cv2.INTER_AREA)


def _pairs(name: str, label: Label, found: Found) -> Iterable[Pair]:
    for one, other in combinations(label.distances, 2):
        near, far = sorted((one, other), key=lambda point: point[2])
        if far[2] >= APART * near[2]:
            right = found.distance is not None and _at(found.distance, near) < _at(found.distance, far)
            yield Pair(name, right)


def _at(distance: Tensor, point: tuple[float, float, float]) -> float:
    _, height, width = distance.shape
    x, y = (
        min(max(int(share * side / 100), 0), side - 1) for share, side in zip(point[:2], (width, height), strict=True)
    )
    return float(distance[0, y, x])


def asked(measured: Sequence[Measured], count: int, seed: int = 0) -> list[Pair]:
    """`count` pairs of all, always the same ones."""
    pairs = [pair for one in measured for pair in one.pairs]
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [pairs[i] for i in sorted(order[:count])]


def within(values: Sequence[float], limit: float) -> float:
    """The share of values that are at most `limit`."""
    return float(np.mean(np.array(values) <= limit)) if len(values) else math.nan
