"""Footage made by code, as a person would film it: flags, grass, flames and smoke, which no world of ours shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from microcinema_core.media import save_clip

FPS, SECONDS = 20.0, 4.0
WIDTH, HEIGHT = 256, 192
FLAG_RATE, GRASS_RATE = 1.3, 0.8  # times a second, about
APART = 0.06  # of a rate, from clip to clip, either way
BLADES = 420

Floats = NDArray[np.float64]
Drawn = Callable[[float], Floats]


class Kind(StrEnum):
    """What is filmed."""

    FLAG = "flag"
    GRASS = "grass"
    FLAME = "flame"
    SMOKE = "smoke"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is filmed. rate: times a second that it moves, None: it has none. box: its left, top, right and bottom.

    drawn: its frame at a time, [H, W, 3] in 0..255.
    """

    rate: float | None
    box: tuple[float, float, float, float]
    drawn: Drawn


def film(kind: Kind, number: int, path: Path, seed: int = 0) -> Scene:
    """A scene with its own colours, place and tempo, filmed into a video, unless it is there."""
    rng = np.random.default_rng([seed, list(Kind).index(kind), number])
    scene = SCENES[kind](rng)
    if path.is_file():
        return scene
    times = np.arange(round(SECONDS * FPS)) / FPS + rng.uniform(0, 10)
    noise = rng.normal(0, 1.5, (len(times), HEIGHT, WIDTH, 1))
    frames = np.stack([scene.drawn(float(t)) for t in times])
    path.parent.mkdir(parents=True, exist_ok=True)
    save_clip(path, np.clip(frames + noise, 0, 255).round().astype(np.uint8), FPS, {})
    return scene


def smooth_noise(rng: np.random.Generator, height: int, width: int, scale: float, octaves: int = 4) -> Floats:
    """0..1, of swells of so many pixels and finer ones."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        cell = max(1.0, scale / 2**octave)
        small = rng.standard_normal((math.ceil(height / cell) + 2, math.ceil(width / cell) + 2))
        wide = cv2.resize(small, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        total += 0.6**octave * wide[:height, :width]
    return (total - total.min()) / (total.max() - total.min())


def _coloured(field: Floats, dark: Floats, light: Floats) -> Floats:
    return dark + field[..., None] * (light - dark)


def _flag(rng: np.random.Generator) -> Scene:
    """Cloth that is fast at its left; waves run to its free end and grow."""
    rate = FLAG_RATE * rng.uniform(1 - APART, 1 + APART)
    wide, high = rng.uniform(140, 180), rng.uniform(85, 105)
    left, top = rng.uniform(25, 40), rng.uniform(35, 50)
    most, length, phase = rng.uniform(0.085, 0.1) * high, rng.uniform(0.65, 0.75) * wide, rng.uniform(0, 7, 3)
    cloth = _cloth(rng, math.ceil(high), math.ceil(wide))
    behind = _coloured(smooth_noise(rng, HEIGHT, WIDTH, 60), rng.uniform(80, 150, 3), rng.uniform(150, 230, 3))
    x, y = np.meshgrid(np.arange(WIDTH) - left, np.arange(HEIGHT) - top)

    def moved(a: Floats, b: Floats, t: float) -> tuple[Floats, Floats]:
        grown = most * np.clip(a / wide, 0, 1) ** 0.8 * (1 + 0.2 * math.sin(2 * math.pi * 0.23 * t + phase[2]))
        angle = 2 * math.pi * (rate * t - a / length + 0.12 * b / high) + phase[0]
        return 0.25 * grown * np.cos(angle), grown * (np.sin(angle) + 0.2 * np.sin(2 * angle + phase[1]))

    def drawn(t: float) -> Floats:
        a, b = x.copy(), y.copy()
        for _ in range(6):
            right, down = moved(a, b, t)
            a, b = x - right, y - down
        _, ahead = moved(a + 1, b, t)
        light = 1 + 0.8 * (ahead - moved(a, b, t)[1])
        seen = cv2.remap(cloth, a.astype(np.float32), b.astype(np.float32), cv2.INTER_LINEAR)
        within = np.clip(np.minimum(np.minimum(a, wide - 1 - a), np.minimum(b, high - 1 - b)) + 0.5, 0, 1)[..., None]
        return behind * (1 - within) + seen * light[..., None] * within

    return Scene(rate, (left, top, left + wide, top + high), drawn)


def _cloth(rng: np.random.Generator, high: int, wide: int) -> Floats:
    """Stripes and a sign on weave."""
    stripes = np.linspace(0, rng.integers(3, 7), high)[:, None] + np.zeros((1, wide))
    if rng.random() < 0.5:
        stripes = np.linspace(0, rng.integers(3, 7), wide)[None] + np.zeros((high, 1))
    colours = rng.uniform(30, 235, (8, 3))
    cloth = colours[stripes.astype(int) % len(colours)]
    middle = (int(wide * rng.uniform(0.3, 0.7)), int(high * rng.uniform(0.4, 0.6)))
    cv2.circle(cloth, middle, int(high * 0.22), rng.uniform(30, 235, 3).tolist(), -1, cv2.LINE_AA)
    return np.clip(cloth * (0.75 + 0.5 * smooth_noise(rng, high, wide, 10))[..., None], 0, 255)


def _grass(rng: np.random.Generator) -> Scene:
    """Blades that bend from their roots, in gusts that go over them to the right."""
    rate = GRASS_RATE * rng.uniform(1 - APART, 1 + APART)
    roots = np.stack([rng.uniform(-10, WIDTH + 10, BLADES), np.sort(rng.uniform(130, HEIGHT + 25, BLADES))], axis=-1)
    tall, own = rng.uniform(70, 120, BLADES), rng.normal(0, 0.5, BLADES)
    lean, bend = rng.normal(0, 0.1, BLADES), rng.uniform(0.11, 0.15) * rng.uniform(0.7, 1.3, BLADES)
    colours = rng.uniform([30, 90, 20], [120, 200, 80], (BLADES, 3))
    length, phase = rng.uniform(110, 150), rng.uniform(0, 7, 2)
    behind = _coloured(smooth_noise(rng, HEIGHT, WIDTH, 80), rng.uniform(120, 160, 3), rng.uniform(180, 240, 3))
    shares = np.linspace(0, 1, 9)

    def drawn(t: float) -> Floats:
        picture = behind.copy()
        angle = 2 * math.pi * (rate * t - roots[:, 0] / length) + phase[0] + own
        slow = 0.5 * np.sin(2 * math.pi * (0.31 * t - roots[:, 0] / 300) + phase[1])
        aside = lean + bend * (np.sin(angle) + slow)
        for root, high, side, colour in zip(roots, tall, aside, colours, strict=True):
            x, y = root[0] + side * high * shares**1.7, root[1] - high * shares
            points = (np.stack([x, y], axis=-1) * 16).round().astype(np.int32)
            cv2.polylines(picture, [points], False, colour.tolist(), 2, cv2.LINE_AA, 4)
        return picture

    return Scene(rate, (0, 40, WIDTH, HEIGHT), drawn)


def _rising(rng: np.random.Generator, speed: float, scale: float) -> Callable[[float], Floats]:
    """Noise that rises, 0..1, and changes on its way."""
    parts = [smooth_noise(rng, 1024, WIDTH, scale * size) for size in (1.0, 0.6)]

    def field(t: float) -> Floats:
        rows = [(np.arange(HEIGHT) + part * speed * t) % 1023 for part in (1.0, 1.35)]
        x = np.arange(WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
        seen = [
            cv2.remap(part, x, row.astype(np.float32)[:, None].repeat(WIDTH, 1), cv2.INTER_LINEAR)
            for part, row in zip(parts, rows, strict=True)
        ]
        return (seen[0] + seen[1]) / 2

    return field


def _flame(rng: np.random.Generator) -> Scene:
    """Tongues that rise, tear off and go out."""
    field, middle = _rising(rng, rng.uniform(120, 180), 26), WIDTH * rng.uniform(0.4, 0.6)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    up = (HEIGHT - y) / (HEIGHT * rng.uniform(0.7, 0.85))
    shape = 1 - up - ((x - middle) / (WIDTH * 0.2)) ** 2

    def drawn(t: float) -> Floats:
        heat = np.clip(shape + 1.6 * (field(t) - 0.5), 0, 1)[..., None]
        return np.clip(heat * np.array([420.0, 250.0, 90.0]) + 12, 0, 255)

    return Scene(None, (0, 0, WIDTH, HEIGHT), drawn)


def _smoke(rng: np.random.Generator) -> Scene:
    """Grey swathes that rise and spread."""
    field, middle = _rising(rng, rng.uniform(25, 40), 46), WIDTH * rng.uniform(0.4, 0.6)
    behind = _coloured(smooth_noise(rng, HEIGHT, WIDTH, 60), rng.uniform(30, 60, 3), rng.uniform(90, 140, 3))
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    spread = np.exp(-(((x - middle) / (20 + 0.35 * (HEIGHT - y))) ** 2))

    def drawn(t: float) -> Floats:
        thick = np.clip(1.8 * spread * (field(t) - 0.35), 0, 0.85)[..., None]
        return behind * (1 - thick) + 215 * thick

    return Scene(None, (0, 0, WIDTH, HEIGHT), drawn)


SCENES: Mapping[Kind, Callable[[np.random.Generator], Scene]] = MappingProxyType(
    {Kind.FLAG: _flag, Kind.GRASS: _grass, Kind.FLAME: _flame, Kind.SMOKE: _smoke}
)
