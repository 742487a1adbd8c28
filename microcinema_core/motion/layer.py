"""A layer: weather, air, light, water, wind, sky, or a part that repeats, drawn into the picture as data says.

Directions say where something goes, in degrees: 0 right, 90 up, 180 left, 270 down. Amounts are never negative, and 1
is what a person would expect who says no more than the kind's name; nothing of amount 0 is drawn at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

from ..errors import InputError
from ..shot.dials import Dial, Settings, dials_of
from ..shot.settings import check_seed
from .points import check_point
from .taught import Taught


class Group(StrEnum):
    """What kinds have in common, in the order in which they are drawn."""

    SKY = "sky"
    WATER = "water"
    WIND = "wind"
    REPEAT = "repeat"
    AIR = "air"
    PARTICLES = "particles"
    LIGHT = "light"


class Place(StrEnum):
    """Where a layer belongs, where no mask says it."""

    EVERYWHERE = "everywhere"
    SKY = "sky"
    WATER = "water"
    PLANTS = "plants"
    PEOPLE = "people"  # and animals


# As a person calls them.
CALLED: Mapping[Place, str] = MappingProxyType(
    {Place.SKY: "the sky", Place.WATER: "water", Place.PLANTS: "plants", Place.PEOPLE: "people or animals"}
)


class LayerKind(StrEnum):
    """What is drawn; `KINDS` says of each what it is."""

    SNOW = "snow"
    RAIN = "rain"
    DRIZZLE = "drizzle"
    DUST = "dust"
    EMBERS = "embers"
    FIREFLIES = "fireflies"
    PETALS = "petals"
    LEAVES = "leaves"
    FOG = "fog"
    MIST = "mist"
    SMOKE = "smoke"
    HAZE = "haze"
    BRIGHTER = "brighter"
    DARKER = "darker"
    WARMER = "warmer"
    COLDER = "colder"
    EVENING = "evening"
    NIGHT = "night"
    FLICKER = "flicker"
    LIGHTNING = "lightning"
    VIGNETTE = "vignette"
    WAVES = "waves"
    FALLS = "falls"
    WIND = "wind"
    TAUGHT = "taught"
    CLOUDS = "clouds"
    STARS = "stars"
    SWING = "swing"
    SPIN = "spin"
    BOB = "bob"
    BREATHE = "breathe"
    PULSE = "pulse"

    @property
    def group(self) -> Group:
        return KINDS[self].group

    @property
    def place(self) -> Place | None:
        """Where it belongs if nobody says; None: it needs a mask."""
        return KINDS[self].place


@dataclass(frozen=True, slots=True)
class Kind:
    """help: what it is, and what an amount of 1 means. place: None where it needs a mask."""

    group: Group
    help: str
    place: Place | None = Place.EVERYWHERE
    direction: float | None = None  # where it goes if nobody says; None: it has no direction


KINDS: Mapping[LayerKind, Kind] = MappingProxyType(
    {
        LayerKind.SNOW: Kind(Group.PARTICLES, "flakes that fall and waver", direction=270.0),
        LayerKind.RAIN: Kind(Group.PARTICLES, "drops as streaks", direction=270.0),
        LayerKind.DRIZZLE: Kind(Group.PARTICLES, "fine, slower drops", direction=270.0),
        LayerKind.DUST: Kind(Group.PARTICLES, "motes that float in the light", direction=90.0),
        LayerKind.EMBERS: Kind(Group.PARTICLES, "glowing sparks that rise and go out", direction=90.0),
        LayerKind.FIREFLIES: Kind(Group.PARTICLES, "lights that wander and blink", direction=0.0),
        LayerKind.PETALS: Kind(Group.PARTICLES, "petals that tumble down", direction=270.0),
        LayerKind.LEAVES: Kind(Group.PARTICLES, "leaves that tumble down", direction=270.0),
        LayerKind.FOG: Kind(Group.AIR, "thick air that drifts; far things are lost in it", direction=0.0),
        LayerKind.MIST: Kind(Group.AIR, "low, patchy fog near the ground and over water", direction=0.0),
        LayerKind.SMOKE: Kind(Group.AIR, "dark, ragged swathes that rise", direction=60.0),
        LayerKind.HAZE: Kind(Group.AIR, "thin, even air that pales what is far", direction=0.0),
        LayerKind.BRIGHTER: Kind(Group.LIGHT, "more light; 1 is one stop, twice the light"),
        LayerKind.DARKER: Kind(Group.LIGHT, "less light; 1 is one stop, half the light"),
        LayerKind.WARMER: Kind(Group.LIGHT, "light towards orange"),
        LayerKind.COLDER: Kind(Group.LIGHT, "light towards blue"),
        LayerKind.EVENING: Kind(Group.LIGHT, "low, warm light; 1 is dusk"),
        LayerKind.NIGHT: Kind(Group.LIGHT, "dark, blue light; 1 is a moonlit night"),
        LayerKind.FLICKER: Kind(Group.LIGHT, "light of a lamp or fire around a point"),
        LayerKind.LIGHTNING: Kind(Group.LIGHT, "flashes that light the sky and the scene"),
        LayerKind.VIGNETTE: Kind(Group.LIGHT, "darker corners; 1 is one stop there"),
        LayerKind.WAVES: Kind(Group.WATER, "water ripples, less towards the horizon", Place.WATER, 270.0),
        LayerKind.FALLS: Kind(Group.WATER, "water flows or falls", None, 270.0),
        LayerKind.WIND: Kind(Group.WIND, "plants sway in gusts", Place.PLANTS, 0.0),
        LayerKind.TAUGHT: Kind(Group.WIND, "moves as clips of one's own do; 1 is as far as they do", None),
        LayerKind.CLOUDS: Kind(Group.SKY, "the sky drifts", Place.SKY, 0.0),
        LayerKind.STARS: Kind(Group.LIGHT, "stars twinkle where the sky is dark, or night has fallen", Place.SKY),
        LayerKind.SWING: Kind(Group.REPEAT, "swings about a pivot; 1 is ten degrees each way", None),
        LayerKind.SPIN: Kind(Group.REPEAT, "spins clockwise about its middle; 1 is a turn in four seconds", None),
        LayerKind.BOB: Kind(Group.REPEAT, "goes up and down; 1 is two hundredths of the height each way", None, 90.0),
        LayerKind.BREATHE: Kind(Group.REPEAT, "grows and shrinks; 1 is two hundredths", Place.PEOPLE),
        LayerKind.PULSE: Kind(Group.LIGHT, "its light comes and goes", None),
    }
)
SEED = Dial("Another seed draws it otherwise.", 0, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Layer(Settings):
    """One layer of a plan.

    colour: red, green, blue, 0..1 as pixels; None: the kind's, lit by the picture. at: where it is, (x, y) in widths
    and heights of the picture: a lamp, a pivot; None: the middle of its mask. taught: the motion of that kind alone.
    """

    kind: LayerKind
    amount: Annotated[float, Dial("How much of it: 0 nothing, 1 as usual.", 0.0, 10.0, step=0.05)] = 1.0
    speed: Annotated[float, Dial("How fast: 0 stands still, 1 as usual.", 0.0, 10.0, step=0.05)] = 1.0
    direction: Annotated[
        float | None,
        Dial("Where it goes: 0 right, 90 up, 180 left, 270 down.", -360.0, 360.0, 1.0, unit="degrees", unset="its own"),
    ] = None
    size: Annotated[float, Dial("How large its parts are: flakes, waves, swathes.", 0.1, 10.0, step=0.05)] = 1.0
    fade_in: Annotated[float, Dial("Share of the clip over which it comes.", 0.0, 1.0, step=0.01)] = 0.0
    fade_out: Annotated[float, Dial("Share of the clip over which it goes.", 0.0, 1.0, step=0.01)] = 0.0
    seed: Annotated[int, SEED] = 0
    place: Place | None = None
    colour: tuple[float, ...] | None = None
    at: tuple[float, ...] | None = None
    taught: Taught | None = None

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        check_seed(self.seed)
        if self.colour is not None and not (len(self.colour) == 3 and all(0 <= part <= 1 for part in self.colour)):
            raise InputError(f"a layer's colour is red, green and blue between 0 and 1, got {list(self.colour)}")
        if self.at is not None:
            check_point(self.at, "where a layer is (at)")
        if (self.taught is not None) != (self.kind is LayerKind.TAUGHT):
            raise InputError(_untaught(self.kind))

    @property
    def where(self) -> Place | None:
        """Where it belongs without a mask; None: it needs one."""
        return self.kind.place if self.place is None else self.place

    @property
    def heading(self) -> float:
        """Where it goes, in degrees."""
        own = KINDS[self.kind].direction
        return (0.0 if own is None else own) if self.direction is None else self.direction

    def strength(self, u: float) -> float:
        """Its amount at u, 0..1, of the clip's time, between its fades: they are straight in time."""
        rising = 1.0 if self.fade_in == 0 else min(1.0, u / self.fade_in)
        falling = 1.0 if self.fade_out == 0 else min(1.0, (1 - u) / self.fade_out)
        return self.amount * max(0.0, min(rising, falling))

    def __str__(self) -> str:
        """For a person: its kind, its amount, and the other dials that are not at their defaults."""
        others = (f for f in fields(self) if f.name in dials_of(Layer) and f.name != "amount")
        told = (f"{f.name} {getattr(self, f.name):g}" for f in others if getattr(self, f.name) != f.default)
        return ", ".join([f"{self.kind} amount {self.amount:g}", *told])


def _untaught(kind: LayerKind) -> str:
    if kind is LayerKind.TAUGHT:
        return (
            "a taught layer needs its motion: give a file of `microcinema teach` (--layer taught:file=FILE, or the "
            "node's taught)"
        )
    return f"{kind} takes no taught motion; the kind that does is {LayerKind.TAUGHT}"
