"""Toybox: a procedural world of moving shapes with its ground truth.

One shape moves over one background. A `Scene` is a continuous function of time, so any frame rate and any keyframe
position come from the same few numbers. Lengths are fractions of the picture's side, seconds count from the keyframe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError


class Shape(StrEnum):
    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    CROSS = "cross"


class Colour(StrEnum):
    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    BLUE = "blue"
    PURPLE = "purple"


class Motion(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    CLOCKWISE = "clockwise"
    COUNTERCLOCKWISE = "counterclockwise"
    GROW = "grow"
    SHRINK = "shrink"


class Speed(StrEnum):
    SLOW = "slow"
    FAST = "fast"


class Background(StrEnum):
    NIGHT = "night"
    SKY = "sky"
    SAND = "sand"
    MEADOW = "meadow"
    DUSK = "dusk"
    CHECKERBOARD = "checkerboard"


LINEAR_SPEED = {Speed.SLOW: 0.055, Speed.FAST: 0.125}  # sides per second
ANGULAR_SPEED = {Speed.SLOW: math.radians(25), Speed.FAST: math.radians(57)}  # per second, around the picture's middle
GROWTH = {Speed.SLOW: 0.11, Speed.FAST: 0.25}  # logarithm of the radius per second
DIRECTION = {Motion.LEFT: (-1, 0), Motion.RIGHT: (1, 0), Motion.UP: (0, -1), Motion.DOWN: (0, 1)}
ORBIT = {Motion.CLOCKWISE: 1, Motion.COUNTERCLOCKWISE: -1}  # sign of the angle, y pointing down
SCALING = {Motion.GROW: 1, Motion.SHRINK: -1}
RADIUS = (0.115, 0.165)  # at the keyframe
RADIUS_LIMITS = (0.07, 0.27)  # at any time
ORBIT_RADIUS = (0.13, 0.30)
MARGIN = 0.02

RGB = {
    Colour.RED: (214, 40, 40),
    Colour.ORANGE: (245, 130, 20),
    Colour.YELLOW: (248, 214, 30),
    Colour.GREEN: (40, 160, 60),
    Colour.BLUE: (40, 90, 220),
    Colour.PURPLE: (150, 50, 190),
}


def _regular(corners: int, start: float = -math.pi / 2) -> NDArray[np.float64]:
    angles = start + 2 * math.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _star() -> NDArray[np.float64]:
    points = _regular(10)
    points[1::2] *= 0.45
    return points


def _cross(arm: float = 0.36) -> NDArray[np.float64]:
    quarter = np.array([(arm, -1), (arm, -arm), (1, -arm)])
    turn = np.array([[0, 1], [-1, 0]])  # a quarter turn, y pointing down
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


POLYGONS = {  # corners for radius 1; the factors make the areas alike
    Shape.SQUARE: _regular(4, -math.pi / 4) * 1.25,
    Shape.TRIANGLE: _regular(3) * 1.35 + np.array([0, 0.2]),
    Shape.STAR: _star() * 1.4,
    Shape.CROSS: _cross() * 1.1,
}
EXTENT = 1.45  # half the largest bounding box of any shape, in radii


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is to know about a clip. x, y, radius hold at time 0, the keyframe."""

    shape: Shape
    colour: Colour
    motion: Motion
    speed: Speed
    background: Background
    x: float
    y: float
    radius: float
    texture: float  # 0..1, varies the background

    def state(self, t: float) -> tuple[float, float, float]:
        """(x, y, radius) at t seconds after the keyframe."""
        x, y, radius = self.x, self.y, self.radius
        if self.motion in DIRECTION:
            right, down = DIRECTION[self.motion]
            step = LINEAR_SPEED[self.speed] * t
            return x + right * step, y + down * step, radius
        if self.motion in ORBIT:
            angle = ORBIT[self.motion] * ANGULAR_SPEED[self.speed] * t
            cos, sin, dx, dy = math.cos(angle), math.sin(angle), x - 0.5, y - 0.5
            return 0.5 + cos * dx - sin * dy, 0.5 + sin * dx + cos * dy, radius
        return x, y, radius * math.exp(SCALING[self.motion] * GROWTH[self.speed] * t)

    def in_view(self, times: Sequence[float]) -> bool:
        """Whether the whole shape stays inside the picture, at a readable size, at all these times."""
        for x, y, radius in map(self.state, times):
            reach = radius * 1.3 + MARGIN
            if not (reach <= x <= 1 - reach and reach <= y <= 1 - reach):
                return False
            if not RADIUS_LIMITS[0] <= radius <= RADIUS_LIMITS[1]:
                return False
        return True

    @property
    def held_out(self) -> bool:
        return is_held_out(self.shape, self.colour, self.motion)

    def to_dict(self) -> dict[str, Any]:
        return {k: round(v, 5) if isinstance(v, float) else str(v) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scene:
        return cls(
            Shape(data["shape"]), Colour(data["colour"]), Motion(data["motion"]), Speed(data["speed"]),
            Background(data["background"]), data["x"], data["y"], data["radius"], data["texture"],
        )  # fmt: skip


def is_held_out(shape: Shape, colour: Colour, motion: Motion) -> bool:
    """24 of the 240 (shape, colour, motion) combinations never appear in training."""
    pair = list(Shape).index(shape) * len(Colour) + list(Colour).index(colour)
    return pair % 10 == 3 * list(Motion).index(motion) % 10


def combinations(held_out: bool) -> Iterator[tuple[Shape, Colour, Motion]]:
    for shape in Shape:
        for colour in Colour:
            for motion in Motion:
                if is_held_out(shape, colour, motion) == held_out:
                    yield shape, colour, motion


def sample_scene(rng: np.random.Generator, times: Sequence[float], *, held_out: bool | None = False) -> Scene:
    """A random scene that stays in view at these times; `held_out=None` draws from all combinations.

    Raises InputError where a drawn motion has no such scene: fast growth
    from its first frame leaves the readable sizes.
    Draw for times around the middle and use another frame as the keyframe instead.
    """
    pool = [c for flag in ((held_out,) if held_out is not None else (False, True)) for c in combinations(flag)]
    shape, colour, motion = pool[rng.integers(len(pool))]
    speed = list(Speed)[rng.integers(len(Speed))]
    background = list(Background)[rng.integers(len(Background))]
    for _ in range(10_000):
        radius = rng.uniform(*RADIUS)
        if motion in ORBIT:
            distance, angle = rng.uniform(*ORBIT_RADIUS), rng.uniform(0, 2 * math.pi)
            x, y = 0.5 + distance * math.cos(angle), 0.5 + distance * math.sin(angle)
        else:
            x, y = rng.uniform(0, 1, 2)
        scene = Scene(shape, colour, motion, speed, background, float(x), float(y), float(radius), float(rng.uniform()))
        if scene.in_view(times):
            return scene
    raise InputError(f"no {speed} {motion} stays in view from {times[0]} to {times[-1]} s; draw it around its middle")


def _polygon_distance(
    px: NDArray[np.float32], py: NDArray[np.float32], corners: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Signed distance to a simple polygon, negative inside."""
    nearest = np.full(px.shape, np.inf, np.float32)
    inside = np.zeros(px.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey, wx, wy = bx - ax, by - ay, px - ax, py - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (wx - along * ex) ** 2 + (wy - along * ey) ** 2)
        if ay != by:
            crosses = (ay > py) != (by > py)
            inside ^= crosses & (px < ex * (py - ay) / ey + ax)
    distance = np.sqrt(nearest)
    return np.where(inside, -distance, distance)


def _gradient(rows: NDArray[np.floating[Any]], top: Sequence[float], bottom: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(top, np.float32) * (1 - rows) + np.asarray(bottom, np.float32) * rows


def draw_background(scene: Scene, size: int) -> NDArray[np.float32]:
    """[size, size, 3] in 0..255. Muted colours, so that no background is mistaken for a shape."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    rows, phase = y[..., None], 2 * math.pi * scene.texture
    match scene.background:
        case Background.NIGHT:
            picture = _gradient(rows, (14, 18, 42), (40, 48, 80))
        case Background.SKY:
            picture = _gradient(rows, (150, 180, 212), (212, 224, 234))
        case Background.SAND:
            wave = np.sin(2 * math.pi * (5 * y + 0.15 * np.sin(2 * math.pi * x + phase)) + phase)
            picture = np.asarray((196, 178, 148), np.float32) + 9 * wave[..., None]
        case Background.MEADOW:
            wave = np.sin(2 * math.pi * 2 * x + phase) * np.sin(2 * math.pi * 3 * y)
            picture = _gradient(rows, (150, 168, 138), (104, 124, 96)) + 7 * wave[..., None]
        case Background.DUSK:
            picture = _gradient(rows, (78, 66, 96), (186, 150, 144))
        case Background.CHECKERBOARD:
            soft = np.tanh(6 * np.sin(4 * math.pi * x + phase)) * np.tanh(6 * np.sin(4 * math.pi * y + phase))
            picture = np.asarray((122, 124, 128), np.float32) + 18 * soft[..., None]
    return picture * (0.94 + 0.12 * scene.texture)


def _coverage(scene: Scene, t: float, size: int) -> tuple[slice, slice, NDArray[np.float32], NDArray[np.float32]]:
    """Rows, columns, antialiased coverage 0..1 and height within the shape (-1 top, 1 bottom) of its bounding box."""
    x, y, radius = (v * size for v in scene.state(t))
    reach = radius * EXTENT + 2
    rows = slice(max(0, int(y - reach)), max(0, min(size, int(y + reach) + 1)))
    columns = slice(max(0, int(x - reach)), max(0, min(size, int(x + reach) + 1)))
    py, px = np.meshgrid(
        np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5 - np.float32(y),
        np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5 - np.float32(x),
        indexing="ij",
    )
    if scene.shape is Shape.CIRCLE:
        distance = np.hypot(px, py) - np.float32(radius)
    else:
        distance = _polygon_distance(px, py, POLYGONS[scene.shape] * radius)
    return rows, columns, np.clip(0.5 - distance, 0, 1), py / np.float32(radius)


def render(scene: Scene, times: Sequence[float], size: int) -> NDArray[np.uint8]:
    """Frames [T, size, size, 3], RGB 0..255."""
    background = draw_background(scene, size)
    colour = np.asarray(RGB[scene.colour], np.float32)
    frames = np.empty((len(times), size, size, 3), np.uint8)
    for frame, t in zip(frames, times, strict=True):
        rows, columns, cover, height = _coverage(scene, t, size)
        canvas = background.copy()
        shaded = colour * (1 - 0.08 * height[..., None])
        canvas[rows, columns] += cover[..., None] * (shaded - canvas[rows, columns])
        np.copyto(frame, np.clip(canvas + 0.5, 0, 255).astype(np.uint8))
    return frames


def mask(scene: Scene, t: float, size: int) -> NDArray[np.float32]:
    """The shape's coverage [size, size], 0..1: the ground truth that a tracker is held against."""
    full = np.zeros((size, size), np.float32)
    rows, columns, cover, _ = _coverage(scene, t, size)
    full[rows, columns] = cover
    return full
