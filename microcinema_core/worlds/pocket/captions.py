"""What a person would write who wants such a clip: the effect, how strong it is, and sometimes the camera's move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ...motion.plan import Camera
from .effects import Asked, Effect, Strength

STEADY: Mapping[Effect, Sequence[str]] = MappingProxyType(
    {
        Effect.SNOW: (
            "snow falls", "it snows", "it is snowing", "snowflakes drift down", "snow is falling", "snowfall",
            "flakes of snow come down", "white flakes float through the air", "a snowy day", "a blizzard",
        ),
        Effect.RAIN: (
            "rain falls", "it rains", "it is raining", "rain pours down", "raindrops fall", "a rain shower",
            "rain comes down in streaks", "a rainy day", "a downpour", "drops of rain fall",
        ),
        Effect.FOG: (
            "fog drifts by", "mist drifts past", "fog hangs in the air", "mist hangs over everything", "it is foggy",
            "a foggy day", "the air is full of mist", "a veil of fog moves through the scene", "misty", "haze drifts",
        ),
        Effect.RIPPLES: (
            "the water ripples", "ripples run over the water", "small waves move over the lake", "the water moves",
            "waves roll on the sea", "the river flows in small waves", "the surface of the water shimmers",
            "waves lap", "gentle waves", "the lake is ruffled",
        ),
        Effect.WIND: (
            "wind moves the plants", "leaves sway in the wind", "grass sways in the breeze", "the trees sway",
            "everything sways in the wind", "the wind blows", "a breeze", "branches move in the wind", "it is windy",
            "a windy day", "the flowers nod in the wind",
        ),
        Effect.BRIGHTER: (
            "bright light", "brighter", "the scene is brighter", "strong sunlight", "bright sunshine", "more light",
        ),
        Effect.DARKER: ("dark", "darker", "the scene is darker", "dim light", "a dark day", "less light", "gloomy"),
        Effect.WARM: (
            "warm light", "golden light", "golden hour", "warm evening light", "warm colours", "a warm glow",
        ),
        Effect.COLD: ("cold light", "cold blue light", "a cold day", "cool colours", "bluish light", "wintry light"),
        Effect.FLICKER: (
            "the light flickers", "candlelight flickers", "the lamp flickers", "firelight flickers",
            "flickering light", "light as of a fire", "an unsteady lamp", "torchlight dances", "the fire flickers",
        ),
    }
)  # fmt: skip
COMES: Mapping[Effect, Sequence[str]] = MappingProxyType(
    {
        Effect.SNOW: (
            "it starts to snow", "snow begins to fall", "snowfall sets in", "the first flakes come, then more",
        ),
        Effect.RAIN: ("it starts to rain", "rain begins to fall", "rain sets in", "a shower comes"),
        Effect.FOG: ("fog drifts in", "fog rolls in", "mist rises", "fog comes up", "it gets foggy", "mist creeps in"),
        Effect.RIPPLES: ("ripples begin to move", "waves rise", "the water begins to move", "the lake gets rough"),
        Effect.WIND: ("wind comes up", "a breeze rises", "the leaves begin to sway", "it gets windy"),
        Effect.BRIGHTER: (
            "it gets brighter", "the light grows", "the sun comes out", "the scene brightens", "day breaks",
            "the light gets stronger", "it lightens up",
        ),
        Effect.DARKER: (
            "it gets darker", "night falls", "the light fades", "the scene darkens", "dusk falls", "clouds pass over",
            "the light goes down", "it dims",
        ),
        Effect.WARM: (
            "the light turns warm", "warm evening light spreads", "the sun sets", "golden light fills the scene",
            "the colours get warmer", "it turns golden",
        ),
        Effect.COLD: (
            "the light turns cold", "cold blue light spreads", "moonlight fills the scene", "the colours get colder",
            "it turns blue", "winter light comes",
        ),
        Effect.FLICKER: ("the light begins to flicker",),
    }
)  # fmt: skip
HOW: Mapping[Strength, Sequence[str]] = MappingProxyType(
    {
        Strength.GENTLE: ("gently", "softly", "slightly", "a little", "lightly", "faintly", "just a bit"),
        Strength.PLAIN: ("",),
        Strength.STRONG: ("heavily", "strongly", "a lot", "hard", "very much", "intensely", "fiercely"),
    }
)
WHERE = (
    "", "", "", "", "over the town", "over the field", "on the street", "in the garden", "over the hills",
    "in this picture", "around the house", "by the sea", "in the forest", "in the room", "in the mountains",
    "outside", "around her", "behind him", "everywhere",
)  # fmt: skip
WHAT = (
    "a photo of a cat", "a painting of a mountain", "a portrait", "a city at night", "a still life", "a boat on a lake",
    "flowers in a vase", "a knight", "a bird on a branch", "an old house", "a landscape", "abstract shapes", "a robot",
    "a woman by a window", "an old man with a hat", "a dog", "a street with cars", "a bridge", "a castle", "a drawing",
    "a beach", "trees and a path", "a group of people", "a child", "a ship", "a table with food", "a horse", "an oil "
    "painting", "an old photograph", "a church", "a garden", "a waterfall", "a desert", "clouds over fields", "a train",
)  # fmt: skip
STILL = (
    "nothing moves", "a still picture", "a quiet scene", "everything stays as it is", "calm",
    "no wind and no weather", "the scene is at rest", "nothing changes",
)  # fmt: skip
MOVES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = MappingProxyType(  # forwards and backwards
    {
        "pan": (("the camera pans right", "pan right"), ("the camera pans left", "pan left")),
        "tilt": (("the camera tilts up", "tilt up"), ("the camera tilts down", "tilt down")),
        "zoom": (("zoom in", "the camera zooms in"), ("zoom out", "the camera zooms out")),
        "roll": (("the camera rolls clockwise", "roll"), ("the camera rolls counterclockwise", "roll to the left")),
        "horizontal": (("the camera moves right", "truck right"), ("the camera moves left", "truck left")),
        "vertical": (("the camera rises", "the camera moves up"), ("the camera sinks", "the camera moves down")),
        "dolly": (("push in", "the camera moves forward"), ("pull back", "the camera moves back")),
        "shake": (("handheld camera", "a shaky camera"), ()),
    }
)
STATIC = ("static camera", "the camera stands still", "a static shot", "locked camera")
CAMERA_SAID = 0.4  # share of captions that tell the camera's move


def caption(asked: Asked, camera: Camera, rng: np.random.Generator) -> str:
    """A sentence; where nothing is asked for, often none at all."""
    said = _moves(camera, rng) if rng.random() < CAMERA_SAID else ""
    what = _pick(rng, WHAT) if rng.random() < 0.35 else ""
    if asked.effect is Effect.NONE:
        still = _pick(rng, STILL) if rng.random() < 0.25 else ""
        return _finished(", ".join(part for part in _shuffled(rng, [still, said, what]) if part), rng)
    told = " ".join(part for part in (_told(asked, rng), _pick(rng, WHERE)) if part)
    if what and rng.random() < 0.5:
        told, what = f"{what}: {told}", ""
    if said and rng.random() < 0.3:
        told, said = f"{told} while {said}", ""
    return _finished(", ".join(part for part in _shuffled(rng, [told, said, what]) if part), rng)


def _told(asked: Asked, rng: np.random.Generator) -> str:
    """The effect and its strength."""
    phrase = _pick(rng, (COMES if asked.comes else STEADY)[asked.effect])
    how = _pick(rng, HOW[asked.strength])
    return f"{how} {phrase}".strip() if rng.random() < 0.2 else f"{phrase} {how}".strip()


def _moves(camera: Camera, rng: np.random.Generator) -> str:
    """One of the camera's moves, or that it has none."""
    told = [(name, getattr(camera, name) > getattr(Camera(), name)) for name in MOVES if _set(camera, name)]
    if not told:
        return _pick(rng, STATIC)
    name, forwards = told[int(rng.integers(len(told)))]
    phrase = _pick(rng, MOVES[name][0 if forwards else 1])
    return f"slowly {phrase}" if rng.random() < 0.2 else phrase


def _set(camera: Camera, name: str) -> bool:
    return bool(getattr(camera, name) != getattr(Camera(), name))


def _shuffled(rng: np.random.Generator, parts: list[str]) -> list[str]:
    return [parts[i] for i in rng.permutation(len(parts))]


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _finished(text: str, rng: np.random.Generator) -> str:
    """As people type: with a capital and a full stop, or without."""
    if text and rng.random() < 0.4:
        text = text[0].upper() + text[1:]
    return text + "." if text and rng.random() < 0.3 else text


def every_word(rng: np.random.Generator, count: int) -> list[str]:
    """So many captions of all kinds, and each phrase once: what a vocabulary is made from."""
    phrases = [p for table in (STEADY, COMES, HOW) for some in table.values() for p in some]
    phrases += [p for pair in MOVES.values() for some in pair for p in some] + [*WHERE, *WHAT, *STILL, *STATIC]
    cameras = [Camera(), Camera(pan=8), Camera(zoom=0.8, roll=-5), Camera(dolly=0.1, shake=0.3)]
    drawn = []
    for number in range(count):
        effect = list(Effect)[number % len(Effect)]
        strength = list(Strength)[number % len(Strength)]
        asked = Asked(effect, strength, comes=bool(rng.random() < 0.5))
        drawn.append(caption(asked, cameras[number % len(cameras)], rng))
    return phrases + drawn
