"""A motion plan: what the camera and the regions of a picture do and what is drawn into it, as data.

Signs: a camera's dials move the camera (`horizontal` and `pan` positive: it goes or turns right, so that what it sees
goes left; `vertical` and `tilt`: up; `roll`: clockwise). A region's dials move the region (positive: right, up,
clockwise). All are totals over the plan's duration; displacement at a moment is total * (e(u) - e(u of the keyframe)),
zoom in logarithms, so the keyframe is always as given. `docs/motion-plan.md` documents the JSON.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Annotated, Any, Self

from ..config import Config
from ..errors import ConfigError, InputError
from ..shot.dials import Dial, Settings
from ..shot.settings import check_seed
from ..shot.timing import POSITIONS
from .easing import Ease, along, eased
from .layer import Layer
from .points import check_point
from .versioned import Form

MAX_REGIONS = 64
MAX_LAYERS = 32
MAX_POINTS = 1000  # of a polygon or a curve
MAX_PLAN = 1_000_000  # characters of its JSON
FORM = Form("microcinema.motion", 1, "motion plan", "write one as docs/motion-plan.md shows", MAX_PLAN)
NEAREST = 0.05  # distance that the camera keeps from every plate

EASE = Dial("How the moves start and stop.")
FOV = Dial(
    "Field of view across the longer side; it tells how pan, tilt and roll distort.", 10.0, 150.0, unit="degrees"
)
LONG = Dial("Seconds of the whole move.", 0, 100_000, above=True, unit="seconds", unset="the clip's")
KEY = Dial("When the keyframe is seen: 0 first, 0.5 centre, 1 last.", 0.0, 1.0, step=0.01)
SHAKE_SEED = Dial("Another seed shakes otherwise.", 0, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Camera(Settings):
    """The camera's moves."""

    horizontal: Annotated[
        float, Dial("Camera goes right (negative: left), in widths of the frame.", -2.0, 2.0, step=0.01)
    ] = 0.0
    vertical: Annotated[
        float, Dial("Camera goes up (negative: down), in heights of the frame.", -2.0, 2.0, step=0.01)
    ] = 0.0
    dolly: Annotated[
        float, Dial("Camera goes forward (negative: back), in distances to the keyframe's plane.", -4.0, 0.9, step=0.01)
    ] = 0.0
    pan: Annotated[float, Dial("Camera turns right (negative: left).", -60.0, 60.0, step=0.1, unit="degrees")] = 0.0
    tilt: Annotated[float, Dial("Camera turns up (negative: down).", -60.0, 60.0, step=0.1, unit="degrees")] = 0.0
    zoom: Annotated[float, Dial("The lens zooms by this factor; below 1: out.", 0.1, 10.0, step=0.01)] = 1.0
    roll: Annotated[
        float, Dial("Camera rolls clockwise (negative: counterclockwise).", -360.0, 360.0, step=0.1, unit="degrees")
    ] = 0.0
    shake: Annotated[float, Dial("A hand holds the camera: 0 steady, 1 very shaky.", 0.0, 1.0, step=0.01)] = 0.0
    fov: Annotated[float, FOV] = 50.0

    @property
    def moves(self) -> bool:
        """Whether anything but the field of view, which does nothing alone, is set."""
        return self != Camera(fov=self.fov)


@dataclass(frozen=True, slots=True)
class Region(Settings):
    """A part of the picture with a path of its own.

    polygon: its outline, (x, y) in widths and heights of the picture from the top left; None where a mask is given.
    pivot: what it grows and turns about, in the same units; None: the middle of its mask.
    """

    horizontal: Annotated[float, Dial("Goes right (negative: left), in widths of the frame.", -4.0, 4.0, step=0.01)] = (
        0.0
    )
    vertical: Annotated[float, Dial("Goes up (negative: down), in heights of the frame.", -4.0, 4.0, step=0.01)] = 0.0
    zoom: Annotated[float, Dial("Grows by this factor; below 1: shrinks.", 0.1, 10.0, step=0.01)] = 1.0
    roll: Annotated[
        float, Dial("Turns clockwise (negative: counterclockwise).", -3600.0, 3600.0, step=1.0, unit="degrees")
    ] = 0.0
    distance: Annotated[
        float | None,
        Dial(
            "How far away: 1 is the keyframe's plane, 2 twice as far.",
            0.1,
            1000.0,
            step=0.01,
            unset="read off the depth picture, or 1",
        ),
    ] = None
    order: Annotated[int, Dial("What is drawn in front: the higher, then the nearer, then the later.", -1000, 1000)] = 0
    ease: Annotated[Ease | None, Dial("How it starts and stops.", unset="the plan's")] = None
    pivot: tuple[float, ...] | None = None
    polygon: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.pivot is not None:
            check_point(self.pivot, "a pivot")
        if self.polygon is not None:
            if not 3 <= len(self.polygon) <= MAX_POINTS:
                raise InputError(f"a polygon needs 3 to {MAX_POINTS} points, got {len(self.polygon)}")
            for point in self.polygon:
                check_point(point, "a polygon's point")

    @property
    def moves(self) -> bool:
        return any(getattr(self, f.name) != f.default for f in fields(self) if f.name in PATH)


class DepthKind(StrEnum):
    """What a depth picture's brightness means."""

    DISPARITY = "disparity"  # bright is near, as Depth Anything and MiDaS give
    DISTANCE = "distance"  # bright is far


@dataclass(frozen=True, slots=True)
class Relief(Settings):
    """How a depth picture becomes planes: the nearest point is at distance 1, the farthest at `range`."""

    kind: Annotated[DepthKind, Dial("disparity: bright is near; distance: bright is far.", option="depth_kind")] = (
        DepthKind.DISPARITY
    )
    range: Annotated[
        float,
        Dial(
            "How many times as far as the nearest point the farthest is.", 1.01, 100.0, step=0.1, option="depth_range"
        ),
    ] = 4.0
    planes: Annotated[
        int, Dial("Planes that the depth is cut into; more are smoother and slower.", 2, 64, option="depth_planes")
    ] = 16


SHARES = dict(zip(POSITIONS, (0.5, 0.0, 1.0), strict=True))  # where a named place of the keyframe is in the move
PARTS = ("regions", "layers")  # fields of a plan that are lists of settings
PATH = ("horizontal", "vertical", "zoom", "roll")


@dataclass(frozen=True, slots=True)
class Plan(Settings):
    """The camera, the regions, the layers, and their time.

    duration: seconds of the whole move; None: the clip's, whatever it is. keyframe_at: when the keyframe is seen, as a
    share of the duration. curve: points (x, y) of a curve in place of `ease`, x from 0 to 1.
    """

    camera: Camera = Camera()
    regions: tuple[Region, ...] = ()
    relief: Relief = Relief()
    ease: Annotated[Ease, EASE] = Ease.EASE_IN_OUT
    curve: tuple[tuple[float, ...], ...] | None = None
    duration: Annotated[float | None, LONG] = None
    keyframe_at: Annotated[float, KEY] = 0.5
    seed: Annotated[int, SHAKE_SEED] = 0
    layers: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        check_seed(self.seed)
        if len(self.regions) > MAX_REGIONS:
            raise InputError(f"a plan has {MAX_REGIONS} regions at most, got {len(self.regions)}")
        if len(self.layers) > MAX_LAYERS:
            raise InputError(f"a plan has {MAX_LAYERS} layers at most, got {len(self.layers)}")
        if self.curve is not None:
            _check_curve(self.curve)

    @property
    def moves(self) -> bool:
        return self.camera.moves or any(region.moves for region in self.regions)

    @property
    def draws(self) -> bool:
        """Whether anything is drawn into the picture."""
        return any(layer.amount > 0 for layer in self.layers)

    def done(self, u: float, region: Region | None = None) -> float:
        """The share of the move done at u of its time: of the camera, or of a region with its own ease."""
        if region is not None and region.ease is not None:
            return eased(region.ease, u)
        return eased(self.ease, u) if self.curve is None else along(self.curve, u)

    def with_regions(self, *regions: Region) -> Self:
        return replace(self, regions=self.regions + regions)

    def with_layers(self, *layers: Layer) -> Self:
        return replace(self, layers=self.layers + layers)

    def to_json(self) -> str:
        """The plan as text, with all that is not at its default."""
        return json.dumps({**FORM.head, **_changed(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str = "the plan") -> Self:
        """Raises ConfigError for what is no plan: its text, version, keys and values are all checked."""
        data = FORM.body(text, where)
        for name, most in (("regions", MAX_REGIONS), ("layers", MAX_LAYERS)):
            parts = data.get(name, [])
            if isinstance(parts, list) and len(parts) > most:
                raise ConfigError(f"{where}: {len(parts)} {name} are too many; give {most} at most")
        return cls.from_dict(data, where)


def _changed(config: Config) -> dict[str, Any]:
    """What is not at its default, JSON's types alone."""
    told: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        if isinstance(value, Config):
            told[field.name] = _changed(value)
        elif field.name in PARTS:
            told[field.name] = [_changed(part) for part in value]
        else:
            told[field.name] = value
    return told


def _check_curve(curve: tuple[tuple[float, ...], ...]) -> None:
    if not 2 <= len(curve) <= MAX_POINTS:
        raise InputError(f"a curve needs 2 to {MAX_POINTS} points, got {len(curve)}")
    for point in curve:
        check_point(point, "a curve's point")
    xs = [x for x, _ in curve]
    if any(after <= before for before, after in itertools.pairwise(xs)):
        raise InputError(f"a curve's points must come from left to right, got x {xs[:8]}")
