"""Reads a Toybox clip without knowing what was asked for: what moves, in which colour and shape, how and how fast.

It shares nothing with the renderer but the names of what there is to see, so that an error in one shows in the other.
Lengths are in sides, the shorter side of the picture; x, y run right and down from the upper left corner, in pixels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import InputError

Floats = NDArray[np.float64]

STILL, UNCLEAR = "still", "unclear"  # beside the eight motions: stays as it is; does something else, or is not there

# Segmentation, in 8-bit levels of colour difference.
MIN_CONTRAST = 38.0  # a shape's colour differs at least so much from the background's
MIN_AREA, MAX_AREA = 0.004, 0.45  # of a square side
HUES = (("red", 14), ("orange", 40), ("yellow", 75), ("green", 175), ("blue", 252), ("purple", 325), ("red", 360))

# Shapes: unit-area silhouettes on a grid.
GRID, REACH = 36, 1.25  # cells a side; half its width in square roots of the area
TEMPLATE_BLUR = 0.07  # in square roots of the area: about 1 px at 64 px

# Motions. A quarter to a third of the slow speed is the least that counts as moving.
MIN_TRAVEL_RATE, MIN_TRAVEL = 0.018, 0.03  # sides per second; sides
MIN_ANGLE_RATE, MIN_ANGLE = math.radians(8), math.radians(12)  # per second; in all
MIN_GROWTH_RATE, MIN_GROWTH = 0.04, 0.06  # logarithm of the radius per second; in all
FAST_LINEAR, FAST_ANGULAR, FAST_GROWTH = 0.083, math.radians(38), 0.165  # slow below, fast above, per second
MIN_EXPLAINED = 0.7  # share of the variance that a motion must explain
AXIS_TOLERANCE = math.radians(30)  # a straight path further from every axis has no name
MIN_SEEN = 0.6  # share of frames that must show the shape
ORBIT_GAIN = 0.75  # an orbit is believed if its residual is smaller than a straight path's by this factor
CENTRE_PRIOR = 0.3  # how firmly an orbit's centre is held in the picture's middle; 0 is free
ANGULAR_GRID = np.radians(np.concatenate([np.arange(-110, -4, 2), np.arange(5, 111, 2)]))  # per second
ANGULAR_STEPS = np.radians(np.linspace(-2, 2, 9))  # around the best of the grid


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one frame shows. Without a shape (`found` false) the numbers are nan and the names empty."""

    found: bool
    x: float  # centre of mass, pixels
    y: float
    radius: float  # of the circle of the same area, pixels
    colour: str
    shape: str
    shape_scores: dict[str, float]  # overlap with each silhouette, 0..1
    mask: NDArray[np.float32]  # [H, W], coverage 0..1


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one kind of motion explains a track."""

    motion: str  # one of the eight, or unclear
    rate: float  # sides, radians or log radius per second
    strength: float  # how far it moved, in units of the least that counts
    explained: float  # share of the variance, up to 1
    residual: float  # root mean square, sides (log radius for growth)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clip of T frames shows."""

    motion: str  # one of the eight, "still" or "unclear"
    speed: str  # "slow", "fast", or empty when nothing moves
    rate: float  # sides, radians or log radius per second; 0 when nothing moves
    shape: str  # over all frames; empty when nothing is found
    colour: str
    x: Floats  # [T], pixels; nan where not found
    y: Floats
    radius: Floats
    found: NDArray[np.bool_]  # [T]
    masks: NDArray[np.float32]  # [T, H, W], coverage 0..1
    fits: dict[str, Fit]  # "linear", "orbit", "growth"


def read_clip(frames: NDArray[np.uint8], times: Sequence[float] | None = None, *, fps: float | None = None) -> Reading:
    """Read a clip: frames [T, H, W, 3] RGB, with the seconds of each frame or a frame rate.

    Raises InputError for anything but 8-bit RGB frames with one time each.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise InputError(f"frames must be uint8 [T, H, W, 3], not {frames.dtype} {list(frames.shape)}")
    if (times is None) == (fps is None):
        raise InputError("give either times or fps")
    seconds = np.arange(len(frames)) / fps if fps is not None else np.asarray(times, np.float64)
    if len(seconds) != len(frames):
        raise InputError(f"{len(frames)} frames but {len(seconds)} times")
    return _summarise([read_frame(frame) for frame in frames], seconds, frames.shape[1:3])


def _summarise(sightings: Sequence[Sighting], seconds: Floats, size: tuple[int, ...]) -> Reading:
    track = np.array([(s.x, s.y, s.radius) for s in sightings], np.float64)
    found = np.array([s.found for s in sightings])
    motion, rate, fits = read_motion(track, seconds, size)
    shape, colour = _clip_shape(sightings), _most_common([s.colour for s in sightings if s.found])
    return Reading(
        motion=motion,
        speed=speed_class(motion, rate),
        rate=rate,
        shape=shape,
        colour=colour,
        x=track[:, 0],
        y=track[:, 1],
        radius=track[:, 2],
        found=found,
        masks=np.stack([s.mask for s in sightings]),
        fits=fits,
    )


def _most_common(names: Sequence[str]) -> str:
    return Counter(names).most_common(1)[0][0] if names else ""


def _clip_shape(sightings: Sequence[Sighting]) -> str:
    """The silhouette with the largest overlap over all frames together: a blurred frame weighs little."""
    scores = [s.shape_scores for s in sightings if s.found]
    return max(scores[0], key=lambda name: sum(s[name] for s in scores)) if scores else ""


# One frame: the shape stands out by colour, so brightness (stripes, tiles, gradients) is left aside.


def read_frame(frame: NDArray[np.uint8]) -> Sighting:
    """What the tracker sees in a picture [H, W, 3], RGB 0..255."""
    picture = frame.astype(np.float64)
    mask = find_mask(picture)
    if mask is None:
        nan = math.nan
        return Sighting(False, nan, nan, nan, "", "", {}, np.zeros(frame.shape[:2], np.float32))
    area = mask.sum()
    y, x = (float((mask * index).sum() / area) + 0.5 for index in np.indices(mask.shape))
    red, green, blue = (float(v) for v in np.median(picture[mask > 0.9 * mask.max()], axis=0))
    scores = silhouette_scores(mask)
    return Sighting(
        True, x, y, math.sqrt(area / math.pi), colour_name(red, green, blue),
        max(scores, key=scores.__getitem__), scores, mask.astype(np.float32),
    )  # fmt: skip


def find_mask(picture: Floats) -> Floats | None:
    """Coverage [H, W] of the most colourful connected thing in a picture [H, W, 3], or None if there is none."""
    opponent = np.stack([picture[..., 0] - picture[..., 1], picture[..., 2] - picture[..., :2].mean(-1)], axis=-1)
    side = min(picture.shape[:2])
    contrast = opponent - _smooth_background(opponent)
    distance = np.linalg.norm(contrast, axis=-1)
    seed = _largest(distance > MIN_CONTRAST)
    if seed is None or not MIN_AREA <= seed.sum() / side**2 <= MAX_AREA:
        return None
    core = seed & (distance >= 0.8 * np.percentile(distance[seed], 90))
    colour = np.median(contrast[core], axis=0)
    coverage = np.clip(contrast @ colour / (colour @ colour), 0, 1)
    body = _largest(coverage > 0.5)
    if body is None or not MIN_AREA <= body.sum() / side**2 <= MAX_AREA:
        return None
    near = ndimage.binary_dilation(body, iterations=max(2, side // 48))
    return np.where(near & (coverage > 0.08), coverage, 0.0)


def _largest(region: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    labels, count = ndimage.label(region)
    if count == 0:
        return None
    found: NDArray[np.bool_] = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return found


@cache
def _quadratics(height: int, width: int) -> Floats:
    """The six polynomials up to degree 2 at each pixel: [H*W, 6]."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)


def _smooth_background(values: Floats) -> Floats:
    """A quadratic surface through the background of [H, W, C], by least squares that drops what stands out."""
    height, width, channels = values.shape
    basis, flat = _quadratics(height, width), values.reshape(-1, channels)
    step = max(1, min(height, width) // 32)
    sparse = np.zeros((height, width), bool)
    sparse[step // 2 :: step, step // 2 :: step] = True
    basis_in, flat_in = basis[sparse.ravel()], flat[sparse.ravel()]
    surface = np.tile(np.median(flat_in, axis=0), (len(flat_in), 1))
    for tolerance in (60.0, 40.0, 25.0, 25.0):
        keep = np.linalg.norm(flat_in - surface, axis=-1) < tolerance
        if keep.sum() < 24:
            break
        coefficients = np.linalg.lstsq(basis_in[keep], flat_in[keep], rcond=None)[0]
        surface = basis_in @ coefficients
    else:
        return (basis @ coefficients).reshape(values.shape)
    return np.broadcast_to(np.median(flat, axis=0), values.shape)


def colour_name(red: float, green: float, blue: float) -> str:
    """The name of a saturated colour, by hue."""
    high, low = max(red, green, blue), min(red, green, blue)
    spread = max(high - low, 1e-6)
    if high == red:
        hue = 60 * ((green - blue) / spread % 6)
    elif high == green:
        hue = 60 * ((blue - red) / spread + 2)
    else:
        hue = 60 * ((red - green) / spread + 4)
    return next(name for name, limit in HUES if hue <= limit)


@cache
def _silhouettes() -> dict[str, Floats]:
    """Each shape with area 1 around its centre of mass, blurred: [GRID, GRID] each."""
    axis = np.linspace(-REACH, REACH, 4 * GRID, endpoint=False) + REACH / (4 * GRID)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    raw = {
        "circle": np.hypot(x, y) < math.sqrt(1 / math.pi),
        "square": np.maximum(abs(x), abs(y)) < 0.5,
        "triangle": _wedges(x, y, 3, 1.0) < math.sqrt(4 / (3 * math.sqrt(3))),
        "star": _wedges(x, y, 5, 0.45) < math.sqrt(1 / (5 * 0.45 * math.sin(math.pi / 5))),
        "cross": np.maximum(np.minimum(abs(x), abs(y)) / 0.36, np.maximum(abs(x), abs(y))) < 1 / math.sqrt(2.36),
    }
    blur = TEMPLATE_BLUR * 4 * GRID / (2 * REACH)
    return {name: _pool(ndimage.gaussian_filter(inside.astype(np.float64), blur)) for name, inside in raw.items()}


def _wedges(x: Floats, y: Floats, points: int, notch: float) -> Floats:
    """How large the upright star with these points must be to reach (x, y); notch 1 is the regular polygon."""
    wedge = math.pi / points
    angle = np.abs((np.arctan2(x, -y) + wedge) % (2 * wedge) - wedge)  # 0 towards a point, `wedge` towards a notch
    inner = notch * (math.cos(wedge) if notch == 1.0 else 1.0)
    along, across = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    corner_x, corner_y = inner * math.cos(wedge), inner * math.sin(wedge)
    return along + across * (1 - corner_x) / corner_y  # the edge from (1, 0) to the corner


def _pool(values: Floats) -> Floats:
    return values.reshape(GRID, 4, GRID, 4).mean((1, 3))


def silhouette_scores(mask: Floats) -> dict[str, float]:
    """Overlap (soft intersection over union) of a mask [H, W], brought to area 1, with each silhouette."""
    area = mask.sum()
    unit = math.sqrt(area)
    cells = (np.arange(GRID) + 0.5) / GRID * 2 * REACH - REACH
    rows, columns = (float((mask * index).sum() / area) + cells * unit for index in np.indices(mask.shape))
    patch = ndimage.map_coordinates(mask, np.meshgrid(rows, columns, indexing="ij"), order=1)
    return {name: float(np.minimum(patch, s).sum() / np.maximum(patch, s).sum()) for name, s in _silhouettes().items()}


# A clip: each kind of motion is fitted to the track, without regard to what was asked for.


def read_motion(track: Floats, seconds: Floats, size: tuple[int, ...]) -> tuple[str, float, dict[str, Fit]]:
    """Motion, its rate and all fits of a track x, y, radius [T, 3] in pixels, nan where unseen; `size` is (H, W)."""
    seen = ~np.isnan(track[:, 0])
    if seen.sum() < max(3, MIN_SEEN * len(track)):
        return UNCLEAR, 0.0, {}
    height, width = size
    side, t = min(height, width), seconds[seen]
    place = (track[seen, :2] - (width / 2, height / 2)) / side  # from the picture's middle
    fits = {"linear": fit_linear(place, t), "orbit": fit_orbit(place, t), "growth": fit_growth(track[seen, 2], t)}
    motion, rate = _choose(fits)
    return motion, rate, fits


def _choose(fits: dict[str, Fit]) -> tuple[str, float]:
    """The plainest motion: along the better of the two paths, or in size."""
    linear, orbit, growth = fits["linear"], fits["orbit"], fits["growth"]
    path = orbit if orbit.residual < ORBIT_GAIN * linear.residual and orbit.strength >= 1 else linear
    best = max(path, growth, key=lambda fit: fit.strength * max(fit.explained, 0.0))
    if max(path.strength, growth.strength) < 1:
        return STILL, 0.0
    if best.strength < 1 or best.explained < MIN_EXPLAINED or best.motion == UNCLEAR:
        return UNCLEAR, 0.0
    return best.motion, best.rate


def _explained(values: Floats, residuals: Floats) -> float:
    total = float(((values - values.mean(0)) ** 2).sum())
    return 1 - float((residuals**2).sum()) / total if total > 0 else 0.0


def _rms(residuals: Floats) -> float:
    """Root mean square over time of [T] or the length of [T, 2]."""
    return math.sqrt(float((residuals**2).sum()) / len(residuals))


def _line(values: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Slope and residuals of [T, C] by least squares, fitted again without the few frames that fall out of line."""
    basis = np.stack([np.ones_like(t), t], axis=-1)
    keep = np.ones(len(t), bool)
    for _ in range(2):
        coefficients = np.linalg.lstsq(basis[keep], values[keep], rcond=None)[0]
        off = np.linalg.norm(values - basis @ coefficients, axis=-1)
        keep = _in_line(off)
    return coefficients[1], (values - basis @ coefficients)[keep]


def _in_line(off: Floats) -> NDArray[np.bool_]:
    """Which frames to keep, given their distances from a fit: all but far ones, which may be a fifth at most."""
    limit = max(4 * float(np.median(off)), float(np.quantile(off, 0.8)))
    return off <= limit


def fit_linear(place: Floats, t: Floats) -> Fit:
    """Uniform straight motion of [T, 2] in sides."""
    velocity, residuals = _line(place, t)
    speed, duration = float(np.hypot(*velocity)), float(np.ptp(t))
    angle = math.atan2(velocity[1], velocity[0])
    quarter = round(angle / (math.pi / 2))
    named = abs(angle - quarter * math.pi / 2) <= AXIS_TOLERANCE
    motion = ("right", "down", "left", "up")[quarter % 4] if named else UNCLEAR
    strength = speed * duration / max(MIN_TRAVEL_RATE * duration, MIN_TRAVEL)
    return Fit(motion, speed, strength, _explained(place, residuals), _rms(residuals))


def fit_orbit(place: Floats, t: Floats) -> Fit:
    """Uniform rotation of [T, 2], given from the picture's middle, around a centre near that middle.

    With the rate fixed, p(t) = c + a (cos, sin) + b (-sin, cos) is linear in c, a, b; the rate is searched on a grid.
    """
    duration = float(np.ptp(t))
    coarse, _, _ = _best_rotation(place, t, ANGULAR_GRID)
    rate, residuals, arm = _best_rotation(place, t, coarse + ANGULAR_STEPS)
    angle = abs(rate) * duration
    travelled = angle * arm / max(MIN_TRAVEL_RATE * duration, MIN_TRAVEL)
    strength = min(travelled, angle / max(MIN_ANGLE_RATE * duration, MIN_ANGLE))
    motion = "clockwise" if rate > 0 else "counterclockwise"  # y points down
    return Fit(motion, float(abs(rate)), strength, _explained(place, residuals), _rms(residuals))


def _best_rotation(place: Floats, t: Floats, rates: Floats) -> tuple[float, Floats, float]:
    """The best of N rates (radians per second), the residuals [T, 2] at it, and the orbit's radius."""
    cos, sin = np.cos(rates[:, None] * t), np.sin(rates[:, None] * t)  # [N, T]
    one, zero = np.ones_like(cos), np.zeros_like(cos)
    rows_x = np.stack([one, zero, cos, -sin], axis=-1)
    rows_y = np.stack([zero, one, sin, cos], axis=-1)
    basis = np.concatenate([rows_x, rows_y], axis=1)  # [N, 2T, 4]
    values = np.concatenate([place[:, 0], place[:, 1]])
    hold = CENTRE_PRIOR * len(t) * np.diag([1.0, 1.0, 0.0, 0.0])
    normal = basis.swapaxes(1, 2) @ basis + hold + 1e-9 * np.eye(4)
    solutions = np.linalg.solve(normal, (values @ basis)[..., None])[..., 0]  # [N, 4]
    off = values - (basis @ solutions[..., None])[..., 0]
    best = int(np.argmin((off**2).sum(1) + ((solutions @ hold) * solutions).sum(1)))
    return float(rates[best]), np.stack(np.split(off[best], 2), axis=-1), float(np.hypot(*solutions[best, 2:]))


def fit_growth(radius: Floats, t: Floats) -> Fit:
    """Exponential growth of radii [T]."""
    logs = np.log(radius)[:, None]
    slope, residuals = _line(logs, t)
    rate, duration = float(slope[0]), float(np.ptp(t))
    strength = abs(rate) * duration / max(MIN_GROWTH_RATE * duration, MIN_GROWTH)
    return Fit("grow" if rate > 0 else "shrink", abs(rate), strength, _explained(logs, residuals), _rms(residuals))


def speed_class(motion: str, rate: float) -> str:
    """ "slow" or "fast"; empty for what does not move."""
    if motion in (STILL, UNCLEAR):
        return ""
    if motion in ("clockwise", "counterclockwise"):
        return "fast" if rate > FAST_ANGULAR else "slow"
    return "fast" if rate > (FAST_GROWTH if motion in ("grow", "shrink") else FAST_LINEAR) else "slow"
