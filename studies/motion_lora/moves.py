"""Motions that Toybox does not have: how they are drawn, told and read. The world's own list stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microcinema_core.media import save_clip
from microcinema_core.worlds.toybox.captions import PLACES, PREPOSITIONS, SUBJECTS, caption
from microcinema_core.worlds.toybox.tracker import MIN_EXPLAINED, Reading
from microcinema_core.worlds.toybox.triples import FPS, TIMES
from microcinema_core.worlds.toybox.world import (
    RADIUS,
    Background,
    Colour,
    Motion,
    Scene,
    Shape,
    Speed,
    render,
    sample_scene,
)

from ..cases import SIZE, Case

Floats = NDArray[np.float64]
PERIOD = 2.0  # seconds, of both
DRIFT, WIDTH = 0.06, 0.12  # of a zigzag: sides to the right per second; sides up and down of its middle
HEIGHT = 0.3  # of a bounce, sides
ENOUGH = 0.5  # of what is drawn: the least that is read as the motion
PHASES = np.arange(0, PERIOD, PERIOD / 16)


class Move(StrEnum):
    ZIGZAG = "zigzag"
    BOUNCE = "bounce"


WORDS = {Move.ZIGZAG: "zigzags", Move.BOUNCE: "bounces"}


@dataclass(frozen=True, slots=True)
class Pool:
    """What shapes, colours and places scenes are drawn from."""

    shapes: Sequence[Shape]
    colours: Sequence[Colour]
    backgrounds: Sequence[Background]


# What clips are made of, and what the motion is asked of: nothing is in both.
TAUGHT = Pool(
    (Shape.CIRCLE, Shape.SQUARE, Shape.TRIANGLE),
    (Colour.RED, Colour.YELLOW, Colour.BLUE),
    (Background.NIGHT, Background.SAND, Background.MEADOW),
)
ASKED = Pool(
    (Shape.STAR, Shape.CROSS),
    (Colour.ORANGE, Colour.GREEN, Colour.PURPLE),
    (Background.SKY, Background.DUSK, Background.CHECKERBOARD),
)


def zigzag(t: Floats) -> Floats:
    """A triangle wave, 0 at 0 and rising to 1 at a quarter of the period."""
    return 1 - 4 * np.abs((t / PERIOD + 0.25) % 1 - 0.5)


def bounce(t: Floats) -> Floats:
    """Height of a ball that is at its top, 1, at 0 and on the floor, 0, half a period later."""
    return 1 - (2 * ((t / PERIOD + 0.5) % 1) - 1) ** 2


@dataclass(frozen=True, slots=True)
class MovingScene(Scene):
    """A scene whose shape does not move as `motion` says, but so."""

    move: Move = Move.ZIGZAG

    def state(self, t: float) -> tuple[float, float, float]:
        """(x, y, radius) at t seconds after the keyframe."""
        at = np.asarray(t)
        if self.move is Move.ZIGZAG:
            return self.x + DRIFT * t, self.y - WIDTH * float(zigzag(at)), self.radius
        return self.x, self.y + HEIGHT * (1 - float(bounce(at))), self.radius


def draw(move: Move, pool: Pool, rng: np.random.Generator) -> MovingScene:
    """A scene of the pool that stays in view."""
    shape = pool.shapes[int(rng.integers(len(pool.shapes)))]
    colour = pool.colours[int(rng.integers(len(pool.colours)))]
    background = pool.backgrounds[int(rng.integers(len(pool.backgrounds)))]
    while True:
        x, y, texture = (float(value) for value in rng.uniform(0, 1, 3))
        radius = float(rng.uniform(*RADIUS))
        scene = MovingScene(shape, colour, Motion.RIGHT, Speed.SLOW, background, x, y, radius, texture, move)
        if scene.in_view(TIMES):
            return scene


def sentence(scene: MovingScene, rng: np.random.Generator) -> str:
    """What a person would write of it; of the motion always the same word."""
    subject = SUBJECTS[rng.integers(len(SUBJECTS))].format(c=scene.colour, s=scene.shape)
    place = PLACES[scene.background][rng.integers(len(PLACES[scene.background]))]
    return f"{subject} {WORDS[scene.move]} {PREPOSITIONS[rng.integers(len(PREPOSITIONS))]} {place}"


def cases(move: Move, pool: Pool, count: int, seed: int) -> list[Case]:
    """Scenes with their sentences, each from its own number."""
    made = []
    for i in range(count):
        rng = np.random.default_rng([seed, list(Move).index(move), i])
        scene = draw(move, pool, rng)
        made.append(Case(scene, sentence(scene, rng), int(rng.integers(2**31))))
    return made


def write_clips(move: Move, folder: Path, count: int, seed: int) -> None:
    """As a person has them: videos, each with its sentence beside it."""
    for i, case in enumerate(cases(move, TAUGHT, count, seed)):
        _write(folder / f"{move}-{i:02d}.mp4", case.scene, case.prompt)


def write_kept(folder: Path, count: int, seed: int) -> None:
    """Clips of the world's own motions, of which the model's are hardly to be told."""
    for i in range(count):
        rng = np.random.default_rng([seed, len(Move), i])
        scene = sample_scene(rng, TIMES)
        _write(folder / f"own-{i:02d}.mp4", scene, caption(scene, rng))


def _write(path: Path, scene: Scene, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_clip(path, render(scene, TIMES, SIZE), FPS, {"prompt": text})
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Swing:
    """What a track is of one of these motions. size: of up and down, as a share of what is drawn."""

    size: float
    explained: float
    drift: float  # sides to the right per second

    def is_a(self, move: Move) -> bool:
        """Whether it is large and clean enough, and goes along as this motion does."""
        along = 0.5 * DRIFT < self.drift < 2 * DRIFT if move is Move.ZIGZAG else abs(self.drift) < 0.5 * DRIFT
        return self.size >= ENOUGH and self.explained >= MIN_EXPLAINED and along


def swing(move: Move, reading: Reading, times: Sequence[float], side: int) -> Swing:
    """How far a clip does a motion, at whatever phase, whatever was asked for."""
    seen, seconds = np.asarray(reading.found, bool), np.asarray(times, np.float64)
    if seen.sum() < len(seen) / 2:
        return Swing(0.0, 0.0, 0.0)
    x, y, t = reading.x[seen] / side, reading.y[seen] / side, seconds[seen]
    drift = float(np.polyfit(t, x, 1)[0])
    wave, full = (zigzag, WIDTH) if move is Move.ZIGZAG else (bounce, HEIGHT)
    best = Swing(0.0, 0.0, drift)
    for phase in PHASES:
        basis = np.stack([np.ones_like(t), -wave(t + phase)], axis=-1)  # y points down
        found, *_ = np.linalg.lstsq(basis, y, rcond=None)
        explained = 1 - float(((y - basis @ found) ** 2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-12))
        if found[1] > 0 and explained > best.explained:
            best = replace(best, size=float(found[1]) / full, explained=explained)
    return best
