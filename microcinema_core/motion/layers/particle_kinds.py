"""What each kind of particle is like. Lengths are heights of the frame, at the keyframe's distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..layer import LayerKind

Colour = tuple[float, float, float]  # linear light


@dataclass(frozen=True, slots=True)
class Sheet:
    """Particles at one distance. count: in a square of the frame's height. depth: optical, in the middle of one.

    hard: 1 out of focus, 3 sharp. blur: how much larger it is for being out of focus.
    """

    distance: float
    count: float
    depth: float
    hard: float
    blur: float = 1.0


@dataclass(frozen=True, slots=True)
class Particle:
    """radius, speed (a second), waver (each way, `wavers` times a second): of what is at distance 1.

    sizes, speeds: how much one differs from another, as a share. slope: how far off the heading, across over along.
    gust: how far they sway together. life: seconds, or None for what comes in at one side and goes out at the other.
    low: how much the more are born where they come from. tumbles, blinks: a second. narrow: of what tumbles, its width
    over its length. colours: between which they are. glows: whether they give light of their own. halo: how much
    fainter a glow is that is four times as large.
    """

    sheets: tuple[Sheet, ...]
    radius: float
    speed: float
    colours: tuple[Colour, Colour]
    sizes: float = 0.5
    speeds: float = 0.3
    slope: float = 0.0
    waver: float = 0.0
    wavers: float = 0.3
    gust: float = 0.0
    life: float | None = None
    low: float = 1.0
    tumbles: float = 0.0
    narrow: float = 1.0
    blinks: float = 0.0
    glows: bool = False
    halo: float = 0.0


WHITE: Colour = (0.95, 0.97, 1.0)

PARTICLES: Mapping[LayerKind, Particle] = MappingProxyType(
    {
        LayerKind.SNOW: Particle(
            (
                Sheet(4.0, 1500, 1.3, 1.2, 1.6),
                Sheet(2.2, 750, 2.0, 1.4, 1.2),
                Sheet(1.0, 260, 2.6, 1.45),
                Sheet(0.6, 75, 1.8, 1.4, 1.2),
                Sheet(0.35, 18, 0.7, 1.2, 1.6),
            ),
            radius=0.003,
            speed=0.13,
            colours=(WHITE, WHITE),
            sizes=0.75,
            speeds=0.35,
            slope=0.2,
            waver=0.016,
            wavers=0.3,
            gust=0.05,
        ),
        LayerKind.RAIN: Particle(
            (
                Sheet(3.0, 1100, 30.0, 1.1),
                Sheet(1.6, 520, 30.0, 1.1),
                Sheet(0.8, 130, 24.0, 1.1),
                Sheet(0.4, 20, 6.5, 1.1, 1.3),
            ),
            radius=0.00055,
            speed=2.2,
            colours=(WHITE, WHITE),
            sizes=0.4,
            speeds=0.15,
            slope=0.025,
            gust=0.03,
        ),
        LayerKind.DRIZZLE: Particle(
            (Sheet(3.0, 1600, 9.0, 1.2), Sheet(1.6, 900, 9.0, 1.2), Sheet(0.8, 220, 8.0, 1.2)),
            radius=0.0005,
            speed=0.55,
            colours=(WHITE, WHITE),
            sizes=0.4,
            speeds=0.25,
            slope=0.08,
            waver=0.004,
            gust=0.05,
        ),
        LayerKind.DUST: Particle(
            (
                Sheet(2.2, 260, 1.6, 1.4),
                Sheet(1.0, 150, 1.5, 1.3),
                Sheet(0.6, 50, 0.7, 1.2, 1.5),
                Sheet(0.35, 14, 0.28, 1.4, 2.2),
            ),
            radius=0.0016,
            speed=0.008,
            colours=((1.0, 0.92, 0.78), (1.0, 0.96, 0.88)),
            sizes=0.7,
            speeds=0.8,
            slope=1.5,
            waver=0.02,
            wavers=0.1,
            life=7.0,
            blinks=0.35,
        ),
        LayerKind.EMBERS: Particle(
            (
                Sheet(2.2, 110, 3.0, 1.5),
                Sheet(1.0, 60, 3.2, 1.5),
                Sheet(0.6, 14, 2.2, 1.4),
                Sheet(0.35, 2.5, 0.8, 1.3, 1.4),
            ),
            radius=0.0015,
            speed=0.22,
            colours=((1.0, 0.1, 0.01), (1.0, 0.45, 0.1)),
            sizes=0.6,
            speeds=0.5,
            slope=0.3,
            waver=0.03,
            wavers=0.5,
            gust=0.03,
            life=2.8,
            low=2.2,
            blinks=1.3,
            glows=True,
            halo=0.05,
        ),
        LayerKind.FIREFLIES: Particle(
            (
                Sheet(2.2, 80, 4.0, 1.3),
                Sheet(1.0, 45, 4.0, 1.3),
                Sheet(0.6, 12, 2.8, 1.2, 1.2),
                Sheet(0.35, 3, 1.2, 1.3, 1.6),
            ),
            radius=0.0028,
            speed=0.02,
            colours=((0.5, 0.8, 0.05), (0.8, 1.0, 0.2)),
            sizes=0.4,
            speeds=0.8,
            slope=1.5,
            waver=0.06,
            wavers=0.22,
            life=6.0,
            blinks=0.5,
            glows=True,
            halo=0.08,
        ),
        LayerKind.PETALS: Particle(
            (
                Sheet(2.2, 80, 2.6, 2.0),
                Sheet(1.0, 34, 3.0, 2.2),
                Sheet(0.6, 9, 2.2, 1.6, 1.2),
                Sheet(0.35, 2, 1.1, 1.2, 1.5),
            ),
            radius=0.0062,
            speed=0.12,
            colours=((0.55, 0.2, 0.27), (1.0, 0.72, 0.77)),
            sizes=0.35,
            speeds=0.35,
            slope=0.45,
            waver=0.045,
            wavers=0.35,
            gust=0.06,
            tumbles=0.45,
            narrow=0.62,
        ),
        LayerKind.LEAVES: Particle(
            (
                Sheet(2.2, 34, 3.2, 2.2),
                Sheet(1.0, 15, 3.6, 2.4),
                Sheet(0.6, 4, 2.6, 1.7, 1.2),
                Sheet(0.35, 1, 1.3, 1.2, 1.5),
            ),
            radius=0.011,
            speed=0.16,
            colours=((0.22, 0.05, 0.012), (0.85, 0.36, 0.06)),
            sizes=0.35,
            speeds=0.35,
            slope=0.45,
            waver=0.06,
            wavers=0.4,
            gust=0.07,
            tumbles=0.5,
            narrow=0.48,
        ),
    }
)
