"""Part `appearance`: centre frame, flicker and colour, each beside what the autoencoder alone does.

Pixels are 0..1 here. The autoencoder's own figures come from its round trip of the true clip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from microcinema_core.worlds.toybox.tracker import Reading, read_clip
from microcinema_core.worlds.toybox.triples import KEYFRAME, Triple
from microcinema_core.worlds.toybox.world import Scene, mask, render

from ..cases import Case, Frames, Outcome, Part, Record
from ..shares import number, quantile, table

RoundTrip = Callable[[Frames], Frames]  # encode and decode
Region = NDArray[np.bool_]
Floats = NDArray[np.float64]

FLICKER_FLOOR, COLOUR_ALLOWANCE = 1 / 255, 2 / 255
INSIDE = 0.99  # coverage of a pixel that shows nothing but the shape


def psnr(a: Floats, b: Floats, region: Region | None = None) -> float:
    """dB of pixels 0..1, over all of them or those of a region that broadcasts to [..., H, W]; [..., H, W, 3] each."""
    error = ((a - b) ** 2).mean(axis=-1)
    chosen = error if region is None else error[np.broadcast_to(region, error.shape)]
    mean = float(chosen.mean()) if chosen.size else math.nan
    return math.inf if mean == 0 else -10 * math.log10(mean)


def unit(frames: Frames) -> Floats:
    """Levels 0..255 [...] as numbers 0..1."""
    return frames.astype(np.float64) / 255


def never_covered(scene: Scene, times: Sequence[float], seen: NDArray[np.float32]) -> Region:
    """[H, W]: pixels that neither the true shape nor, where the tracker saw it ([T, H, W]), the drawn one reaches.

    Both are widened by a 32nd of the side: what a blurred edge reaches is no background.
    """
    size = seen.shape[-1]
    covered = (seen > 0).any(axis=0)
    for t in times:
        covered |= mask(scene, t, size) > 0
    square = np.ones((3, 3), bool)
    return ~np.asarray(ndimage.binary_dilation(covered, square, iterations=max(2, size // 32)))


def flicker(frames: Floats, region: Region) -> float:
    """Mean absolute change from frame to frame of [T, H, W, 3] inside a region; nan where that is empty."""
    return float(np.abs(np.diff(frames, axis=0))[:, region].mean()) if region.any() else math.nan


def inner(cover: NDArray[np.float32]) -> Region:
    """The shape's inside [H, W], a 64th of the side away from its edge, or all of it where that leaves nothing."""
    whole = cover > INSIDE
    eroded = np.asarray(ndimage.binary_erosion(whole, iterations=max(1, cover.shape[0] // 64)))
    return eroded if eroded.any() else whole


def colour_error(frame: Floats, scene: Scene) -> float:
    """Mean absolute RGB difference from the true picture of a scene at time 0, inside the shape. frame: [H, W, 3]."""
    size = frame.shape[0]
    true, inside = unit(render(scene, [0.0], size)[0]), inner(mask(scene, 0.0, size))
    return float(np.abs(frame - true)[inside].mean()) if inside.any() else math.nan


def tracked_colour_error(frames: Frames, reading: Reading, scene: Scene) -> float:
    """Mean `colour_error` of a clip [T, H, W, 3], the true shape drawn where and as large as the tracker saw it.

    NaN where it never saw one.
    """
    size = frames.shape[1]
    own = read_clip(render(scene, [0.0], size), [0.0])  # the centre of mass is not where the scene says x, y is
    errors = []
    for frame, x, y, radius in zip(unit(frames), reading.x, reading.y, reading.radius, strict=True):
        scale = radius / own.radius[0]
        if math.isnan(scale):
            continue
        place = {
            "x": (x - (own.x[0] - scene.x * size) * scale) / size,
            "y": (y - (own.y[0] - scene.y * size) * scale) / size,
        }
        errors.append(colour_error(frame, replace(scene, **place, radius=scene.radius * scale)))
    return float(np.nanmean(errors)) if errors else math.nan


def measure_appearance(case: Case, frames: Frames, round_trip: RoundTrip) -> Record:
    """All figures of one clip [T, H, W, 3] with the keyframe in its centre, and the autoencoder's.

    None where there is nothing to measure.
    """
    truth = case.truth(frames.shape[1])
    alone = round_trip(truth)
    reading, reading_alone = read_clip(frames, case.times), read_clip(alone, case.times)
    background = never_covered(case.scene, case.times, np.maximum(reading.masks, reading_alone.masks))
    figures = {
        "psnr": min(psnr(unit(frames[KEYFRAME]), unit(alone[KEYFRAME])), 99.0),
        "flicker": flicker(unit(frames), background),
        "flicker_vae": flicker(unit(alone), background),
        "colour": colour_error(unit(frames[KEYFRAME]), case.scene),
        "colour_vae": colour_error(unit(alone[KEYFRAME]), case.scene),
        "colour_tracked": tracked_colour_error(frames, reading, case.scene),
        "colour_tracked_vae": tracked_colour_error(alone, reading_alone, case.scene),
    }
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def appearance_part(triples: Sequence[Triple], round_trip: RoundTrip) -> Part:
    """The clips of part `clips`, measured against their pixels."""
    cases = [Case.of(triple) for triple in triples]
    return Part(cases, lambda case, frames: measure_appearance(case, frames, round_trip), summarise_appearance)


def summarise_appearance(cases: list[Case], records: list[Record]) -> Outcome:
    """Medians over clips, with what the autoencoder's own figures allow."""

    def values(name: str) -> list[float]:
        return [record[name] for record in records if record[name] is not None]

    decibels = values("psnr")
    centre = {"median": quantile(decibels), "quantile_05": quantile(decibels, 0.05), "lowest": quantile(decibels, 0)}
    middle = {name: quantile(values(name)) for name in records[0] if name != "psnr"} if records else {}
    allowed = {
        "flicker": _allowed(middle.get("flicker_vae"), 2, 0, FLICKER_FLOOR),
        "colour": _allowed(middle.get("colour_vae"), 1.5, COLOUR_ALLOWANCE, 0),
        "colour_tracked": _allowed(middle.get("colour_tracked_vae"), 1.5, COLOUR_ALLOWANCE, 0),
    }
    rows = [
        [what, number(middle.get(name), 5), number(middle.get(f"{name}_vae"), 5), number(allowed[name], 5)]
        for name, what in (
            ("flicker", "flicker of the background"),
            ("colour", "colour error, centre frame"),
            ("colour_tracked", "colour error, all frames"),
        )
    ]
    figures = {"n": len(cases), "centre_psnr": centre, "medians": middle, "allowed": allowed}
    shown = ", ".join(f"{name.replace('_05', ' 0.05')} {number(value, 2)}" for name, value in centre.items())
    note = f"Centre frame against the autoencoder's round trip of the keyframe, dB: {shown} (n = {len(cases)})."
    return Outcome(figures, note + "\n\n" + table(["median, pixels 0..1", "model", "autoencoder", "allowed"], rows))


def _allowed(alone: float | None, factor: float, plus: float, floor: float) -> float | None:
    return None if alone is None else max(factor * alone + plus, floor)
