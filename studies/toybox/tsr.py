"""Measures of temporal super-resolution against the renderer's truth and against blends of what is given.

A blend of the two given frames is right about everything but what moves, so the figures are those of the region that
the shape sweeps and of where the tracker finds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats
from torch import Tensor

from microcinema_core.media import to_pixels, to_uint8
from microcinema_core.shot.timing import frame_times
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.worlds.toybox.tracker import read_frame
from microcinema_core.worlds.toybox.world import Scene, mask, render

from ..cases import SIZE, Frames
from ..shares import Share, number, quantile, table
from .appearance import psnr, unit

Interpolate = Callable[[Tensor, list[int]], Tensor]  # [B, C, T, h, w], seeds -> [B, C, (T-1)*factor+1, h, w]
Masks = NDArray[np.float32]  # [T, H, W], coverage 0..1
Region = NDArray[np.bool_]

POSITION_TOLERANCE = 0.5 / 64  # sides


def swept_region(masks: Masks) -> Region:
    """[H, W]: all pixels that the shape touches at any of these times."""
    return np.asarray((masks > 0).any(axis=0))


def blend(ends: NDArray[Any], factor: int) -> NDArray[np.float64]:
    """[T, ...] -> [(T-1)*factor+1, ...], linear in time, the given ones unchanged; of frames or of latents."""
    values = ends.astype(np.float64)
    steps = np.arange((len(ends) - 1) * factor + 1)
    left = np.minimum(steps // factor, len(ends) - 2)
    share = ((steps - left * factor) / factor).reshape(-1, *(1,) * (ends.ndim - 1))
    return (1 - share) * values[left] + share * values[left + 1]


def blend_latents(latents: Tensor, factor: int) -> Tensor:
    """[B, C, T, h, w] -> [B, C, (T-1)*factor+1, h, w], linear in time."""
    blended = blend(latents.movedim(2, 0).cpu().numpy(), factor)
    return torch.from_numpy(blended).to(latents).movedim(0, 2)


def iou(seen: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Intersection over union of two coverages [H, W], each a region from one half on; 0 where neither shows any."""
    a, b = seen > 0.5, truth > 0.5
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def centre_of(cover: NDArray[np.float32]) -> tuple[float, float]:
    """Centre of mass (x, y) of a coverage [H, W], in pixels from the upper left corner."""
    y, x = ndimage.center_of_mass(cover)
    return float(x) + 0.5, float(y) + 0.5


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval (Student's t)."""

    mean: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, differences: Sequence[float]) -> Interval:
        """Of paired differences, one a clip. With fewer than two the interval has no end."""
        values = np.asarray(differences, np.float64)
        mean, n = float(values.mean()), len(values)
        if n < 2:
            return cls(mean, -math.inf, math.inf, n)
        reach = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))
        return cls(mean, mean - reach, mean + reach, n)

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    def to_dict(self) -> dict[str, Any]:
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class ClipScore:
    """One clip's new frames: those that were not given."""

    psnr: float  # dB, in the region that the shape sweeps between the two given frames around each new one
    iou: float  # of the tracker's mask with the true one, mean over frames
    off: list[float]  # distance of the tracked centre from the true one, sides; infinite where nothing is found


def score_clip(frames: Frames, truth: Frames, masks: Masks, factor: int) -> ClipScore:
    """Score a clip [T, H, W, 3] at the higher rate; frames 0, factor, 2*factor, ... were given."""
    side = min(frames.shape[1:3])
    new = [i for i in range(len(frames)) if i % factor]
    regions = np.stack([swept_region(masks[i - i % factor : i - i % factor + factor + 1]) for i in new])
    overlaps, off = [], []
    for i in new:
        seen = read_frame(frames[i])
        overlaps.append(iou(seen.mask, masks[i]))
        x, y = centre_of(masks[i])
        off.append(math.hypot(seen.x - x, seen.y - y) / side if seen.found else math.inf)
    return ClipScore(psnr(unit(frames[new]), unit(truth[new]), regions), float(np.mean(overlaps)), off)


@dataclass(frozen=True, slots=True)
class InterpolationScores:
    """Scores of every scene: of the model once for each sampling seed, of the blends once."""

    model: dict[int, list[ClipScore]]
    frame_blend: list[ClipScore]
    latent_blend: list[ClipScore]
    size: int

    def differences(self, measure: str, blend: str, seed: int | None = None) -> Interval:
        """Model minus blend ("frame_blend" or "latent_blend") of "psnr" or "iou", paired by clip.

        For one sampling seed, or of the mean over all of them.
        """
        runs = [self.model[seed]] if seed is not None else list(self.model.values())
        own = np.mean([[getattr(score, measure) for score in run] for run in runs], axis=0)
        return Interval.of(list(own - [getattr(score, measure) for score in getattr(self, blend)]))

    def rows(self) -> dict[str, list[ClipScore]]:
        named = {f"model, seed {seed}": scores for seed, scores in self.model.items()}
        return {**named, "frame_blend": self.frame_blend, "latent_blend": self.latent_blend}

    def to_dict(self) -> dict[str, Any]:
        pairs = [(measure, blend) for measure in ("psnr", "iou") for blend in ("frame_blend", "latent_blend")]
        return {
            "scores": {name: _summary(scores, self.size) for name, scores in self.rows().items()},
            "differences": {
                f"{measure} minus {blend}": {
                    "all seeds": self.differences(measure, blend).to_dict(),
                    **{f"seed {seed}": self.differences(measure, blend, seed).to_dict() for seed in self.model},
                }
                for measure, blend in pairs
            },
        }

    def to_markdown(self) -> str:
        rows = []
        for name, scores in self.rows().items():
            own = _summary(scores, self.size)
            within = Share(own["position_within"]["hits"], own["position_within"]["n"])
            rows.append([name, number(own["psnr"], 2), number(own["iou"]), str(within), number(own["position_median"])])
        header = ["", "swept region, dB", "IoU", "position within tolerance", "median position error, px"]
        seeds = [None, *self.model]
        gains = [
            [f"{measure} minus {blend}", *(str(self.differences(measure, blend, seed)) for seed in seeds)]
            for measure in ("psnr", "iou")
            for blend in ("frame_blend", "latent_blend")
        ]
        titles = ["mean per clip (95 % interval)", "all seeds", *(f"seed {seed}" for seed in self.model)]
        return table(header, rows) + "\n\n" + table(titles, gains)


def _summary(scores: Sequence[ClipScore], size: int) -> dict[str, Any]:
    off = [value for score in scores for value in score.off]
    found = [value * size for value in off if math.isfinite(value)]
    return {
        "clips": len(scores),
        "psnr": float(np.mean([score.psnr for score in scores])),
        "iou": float(np.mean([score.iou for score in scores])),
        "position_within": Share.of([value <= POSITION_TOLERANCE for value in off]).to_dict(),
        "position_median": quantile(found),
    }


def _decoded(codec: LatentCodec, latents: Tensor) -> Tensor:
    """[C, T, h, w] -> pixels [T, 3, H, W] in 0..1."""
    return codec.decode(latents.transpose(0, 1))


def score_interpolation(
    interpolate: Interpolate,
    codec: LatentCodec,
    scenes: Sequence[Scene],
    fps_in: float,
    factor: int,
    seeds: Sequence[int],
    *,
    frames: int = 9,
    size: int = SIZE,
    batch: int = 4,
) -> InterpolationScores:
    """Interpolate encoded true clips of `frames` frames at `fps_in`, and score them beside both blends.

    `interpolate` gets latents [B, C, T, h, w] and a seed for each clip, `seed * len(scenes) + index`; it returns
    [B, C, (T-1)*factor+1, h, w]. Each of `seeds` is one run over all scenes.
    """
    model: dict[int, list[ClipScore]] = {seed: [] for seed in seeds}
    blends: dict[str, list[ClipScore]] = {"frames": [], "latents": []}
    times = frame_times((frames - 1) * factor + 1, fps_in * factor, frames // 2 * factor)
    for start in range(0, len(scenes), batch):
        some = scenes[start : start + batch]
        truths = [render(scene, times, size) for scene in some]
        masks = [np.stack([mask(scene, t, size) for t in times]) for scene in some]
        given = torch.stack([_encoded(codec, truth[::factor]) for truth in truths])
        for i, latents in enumerate(given):
            ends = _decoded(codec, latents).movedim(1, -1).cpu().numpy()
            mixed = np.round(blend(ends, factor) * 255).astype(np.uint8)
            blends["frames"].append(score_clip(mixed, truths[i], masks[i], factor))
        runs = [(blends["latents"], blend_latents(given, factor))]
        runs += [
            (model[seed], interpolate(given, [seed * len(scenes) + start + i for i in range(len(some))]))
            for seed in seeds
        ]
        for scores, latents in runs:
            for i, clip in enumerate(latents):
                scores.append(score_clip(to_uint8(_decoded(codec, clip)), truths[i], masks[i], factor))
    return InterpolationScores(model, blends["frames"], blends["latents"], size)


def _encoded(codec: LatentCodec, clip: Frames) -> Tensor:
    """[T, H, W, 3] -> latents [C, T, h, w]."""
    return codec.encode(to_pixels(clip)).transpose(0, 1)
