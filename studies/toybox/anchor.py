"""Part `anchor`: what binds a clip to its keyframe where AppearNet does not.

Each row asks the same model for the same clips with other means: the noise prior, the keyframe's latent held at its
frame, its attention shared with all frames. AppearNet is off, but for the rows that the others are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from microcinema_core.worlds.toybox.tracker import Reading, read_clip
from microcinema_core.worlds.toybox.triples import KEYFRAME, Triple
from microcinema_core.worlds.toybox.world import mask

from ..cases import SIZE, Animate, Case, Frames, Outcome, Part, Record, Seen
from ..shares import Share, number, pick, quantile, table
from .appearance import RoundTrip, never_covered, psnr, unit
from .chains import SEAM_LIMIT, changes
from .tsr import Interval, centre_of

CLIPS = 100
EQUAL = 99.0  # dB that stand for equality
STILL = 1e-5  # the least usual change: that of a clip that stands still
GAMMA = 0.5  # of 0, 0.1, 0.3, 0.6 and 1, on three clips of `select`: below it shapes jump, at 1 motion wanes
BESIDE = (KEYFRAME - 1, KEYFRAME + 1)
PLACE_TOLERANCE = 0.1  # sides
SHEET_CLIPS = (0, 1, 2)
LABEL_WIDTH = 120  # pixels left of each strip


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds a clip to its keyframe. prior_lambda, prior_gamma: None is the checkpoint's."""

    strength: float = 1.0
    exact_keyframe: bool = False
    share_attention: bool = False
    prior_lambda: float | None = None
    prior_gamma: float | None = None

    @property
    def prior(self) -> str:
        if self.prior_lambda is None:
            return "as trained"
        return f"gamma {self.prior_gamma:g} alone" if self.prior_gamma else "none"

    @property
    def label(self) -> str:
        parts = {"AppearNet": self.strength > 0, "held": self.exact_keyframe, "shared": self.share_attention}
        return ", ".join(name for name, on in parts.items() if on) or "neither"


AS_TRAINED = Binding()
BINDINGS = (
    AS_TRAINED,
    *(Binding(0.0, held, shared) for shared in (False, True) for held in (False, True)),
    Binding(0.0, prior_lambda=0.0, prior_gamma=0.0),
    *(Binding(0.0, *way, 0.0, GAMMA) for way in ((False, False), (True, False), (True, True))),
)


def anchor_part(triples: Sequence[Triple], round_trip: RoundTrip) -> Part:
    """100 clips of the list, a fixed choice, keyframe in the middle; asked of each binding in turn."""
    cases = [Case.of(triple) for triple in pick(triples, CLIPS)]
    return Part(
        cases,
        lambda case, frames: measure_anchor(case, frames, round_trip),
        lambda asked, records: summarise_anchor(asked, {AS_TRAINED: records}),
    )


def measure_anchor(case: Case, frames: Frames, round_trip: RoundTrip) -> Record:
    """Of a clip [T, H, W, 3] the keyframe, its two neighbours, the change beside it over the usual one; what is seen.

    keyframe, beside: PSNR against the keyframe's round trip through the autoencoder; `beside` on pixels that no shape
    reaches, None where there are none. off: how far the neighbours' shape is from its true place at most, sides; None
    where one shows none.
    """
    size = frames.shape[1]
    (alone,) = unit(round_trip(case.truth(size)[KEYFRAME : KEYFRAME + 1]))
    reading, pixels = read_clip(frames, case.times), unit(frames)
    background = never_covered(case.scene, case.times, reading.masks)
    steps = changes(frames)
    usual = float(np.median(np.delete(steps, [KEYFRAME - 1, KEYFRAME])))
    off = max(_off(case, reading, i, size) for i in BESIDE)
    return {
        **asdict(Seen.of(reading)),
        "keyframe": min(psnr(pixels[KEYFRAME], alone), EQUAL),
        "beside": min(psnr(pixels[list(BESIDE)], alone[None], background), EQUAL) if background.any() else None,
        "off": off if math.isfinite(off) else None,
        "jump": float(max(steps[KEYFRAME - 1], steps[KEYFRAME])) / max(usual, STILL),
    }


def _off(case: Case, reading: Reading, frame: int, size: int) -> float:
    """Distance of the tracked centre of mass from the true one, sides; infinite where nothing is found."""
    x, y = centre_of(mask(case.scene, case.times[frame], size))
    return math.hypot(reading.x[frame] - x, reading.y[frame] - y) / size if reading.found[frame] else math.inf


def summarise_anchor(cases: Sequence[Case], records: Mapping[Binding, Sequence[Record]]) -> Outcome:
    """A row for each binding, in the order given."""
    figures, rows = [], []
    for binding, given in records.items():
        seen = [Seen.from_record(record) for record in given]
        keyframe = Interval.of([record["keyframe"] for record in given])
        beside = Interval.of([record["beside"] for record in given if record["beside"] is not None])
        jumps = [record["jump"] for record in given]
        place = Share.of([record["off"] is not None and record["off"] <= PLACE_TOLERANCE for record in given])
        smooth = Share.of([jump <= SEAM_LIMIT for jump in jumps])
        motion = Share.of([s.motion == case.scene.motion for s, case in zip(seen, cases, strict=True)])
        right = Share.of([s.right(case.scene) for s, case in zip(seen, cases, strict=True)])
        figures.append(
            {
                **asdict(binding),
                "keyframe_psnr": keyframe.to_dict(),
                "beside_psnr": beside.to_dict(),
                "place": place.to_dict(),
                "jump_median": quantile(jumps),
                "smooth": smooth.to_dict(),
                "motion": motion.to_dict(),
                "right": right.to_dict(),
            }
        )
        rows.append(
            [
                binding.prior,
                "on" if binding.strength else "off",
                "yes" if binding.exact_keyframe else "",
                "yes" if binding.share_attention else "",
                _decibels(keyframe),
                _decibels(beside),
                str(place),
                number(quantile(jumps), 2),
                *(str(share) for share in (smooth, motion, right)),
            ]
        )
    header = ["noise prior", "AppearNet", "latent held", "attention shared", "keyframe, dB", "background beside it, dB"]
    header += ["shape beside it in place", "jump, median", "no jump", "motion", "motion, shape and colour"]
    return Outcome({"n": len(cases), "rows": figures}, f"n = {len(cases)}.\n\n" + table(header, rows))


def _decibels(values: Interval) -> str:
    return f"{values.mean:.1f} ({values.low:.1f}-{values.high:.1f})"


def anchor_sheet(cases: Sequence[Case], animate: Callable[[Binding], Animate], size: int = SIZE) -> NDArray[np.uint8]:
    """[H, W, 3]: for a few cases the true clip at half size, and under it a labelled strip for each binding."""
    strips = []
    for case in (cases[i] for i in SHEET_CLIPS if i < len(cases)):
        clips = {binding: animate(binding)([case.shot(size)])[0] for binding in BINDINGS}
        strips.append(_labelled("truth", case.truth(clips[BINDINGS[0]].shape[1])))
        strips += [_labelled(f"{binding.label}\nprior: {binding.prior}", clip) for binding, clip in clips.items()]
    return np.concatenate(strips)


def _labelled(label: str, frames: Frames) -> NDArray[np.uint8]:
    strip = np.concatenate(list(frames[:, ::2, ::2]), axis=1)
    picture = Image.new("RGB", (strip.shape[1] + LABEL_WIDTH, strip.shape[0] + 2), "white")
    ImageDraw.Draw(picture).text((2, 2), label, fill="black")
    picture.paste(Image.fromarray(strip), (LABEL_WIDTH, 0))
    return np.asarray(picture)
