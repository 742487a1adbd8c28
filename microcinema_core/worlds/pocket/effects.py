"""What words ask for: each effect as a layer of a motion plan, strong or gentle, there all along or coming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from ...motion.layer import Layer, LayerKind

SHARE = 0.7  # of clips that show one
VARIES = 0.15  # of an amount, each way, among clips of one strength


class Effect(StrEnum):
    """What is asked for; NONE: nothing is."""

    NONE = "none"
    SNOW = "snow"
    RAIN = "rain"
    FOG = "fog"
    RIPPLES = "ripples"
    WIND = "wind"
    BRIGHTER = "brighter"
    DARKER = "darker"
    WARM = "warm"
    COLD = "cold"
    FLICKER = "flicker"


ASKED = tuple(effect for effect in Effect if effect is not Effect.NONE)


class Strength(StrEnum):
    """How much of it words ask for."""

    GENTLE = "gentle"
    PLAIN = "plain"
    STRONG = "strong"


STRENGTHS: Mapping[Strength, tuple[float, float]] = MappingProxyType(  # share of clips, times the usual amount
    {Strength.GENTLE: (0.25, 0.5), Strength.PLAIN: (0.5, 1.0), Strength.STRONG: (0.25, 1.7)}
)


@dataclass(frozen=True, slots=True)
class Look:
    """amount, size: of the layer, where words say no strength. comes: share of clips in which it comes or grows.

    Flakes and drops are larger and fewer than a camera's own: what is smaller than three pixels of a small picture is
    lost in an autoencoder.
    """

    kind: LayerKind
    amount: float = 1.0
    size: float = 1.0
    comes: float = 0.3


LOOKS: Mapping[Effect, Look] = MappingProxyType(
    {
        Effect.SNOW: Look(LayerKind.SNOW, 0.5, 2.5),
        Effect.RAIN: Look(LayerKind.RAIN, 0.5, 5.0),
        Effect.FOG: Look(LayerKind.FOG, 1.2),
        Effect.RIPPLES: Look(LayerKind.WAVES, 1.5, 1.3),
        Effect.WIND: Look(LayerKind.WIND, 5.0),
        Effect.BRIGHTER: Look(LayerKind.BRIGHTER, 1.0, comes=0.8),
        Effect.DARKER: Look(LayerKind.DARKER, 1.2, comes=0.8),
        Effect.WARM: Look(LayerKind.WARMER, 1.0, comes=0.7),
        Effect.COLD: Look(LayerKind.COLDER, 1.0, comes=0.7),
        Effect.FLICKER: Look(LayerKind.FLICKER, 1.6, comes=0.0),
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a clip shows besides the camera's move. comes: whether it is not there at first."""

    effect: Effect = Effect.NONE
    strength: Strength = Strength.PLAIN
    comes: bool = False


def drawn_effect(rng: np.random.Generator) -> Asked:
    """One for a share of clips, each kind as often as another."""
    if rng.random() >= SHARE:
        return Asked()
    effect = ASKED[int(rng.integers(len(ASKED)))]
    strengths = tuple(STRENGTHS)
    strength = strengths[int(rng.choice(len(strengths), p=[STRENGTHS[s][0] for s in strengths]))]
    return Asked(effect, strength, bool(rng.random() < LOOKS[effect].comes))


def layer_of(asked: Asked, rng: np.random.Generator) -> Layer:
    """As a layer of a plan, of a seed and an amount of its own."""
    look = LOOKS[asked.effect]
    amount = look.amount * STRENGTHS[asked.strength][1] * (1 + VARIES * float(rng.uniform(-1, 1)))
    return Layer(
        look.kind,
        amount=amount,
        size=look.size,
        direction=_direction(look.kind, rng),
        fade_in=float(rng.uniform(0.7, 1.0)) if asked.comes else 0.0,
        seed=int(rng.integers(2**31)),
    )


def _direction(kind: LayerKind, rng: np.random.Generator) -> float | None:
    """Degrees: what falls slants by as many, what drifts comes from either side; None: its own."""
    match kind:
        case LayerKind.SNOW | LayerKind.RAIN:
            return float(rng.uniform(250, 290))
        case LayerKind.FOG | LayerKind.WIND:
            return float(rng.choice([0.0, 180.0]))
        case _:
            return None
