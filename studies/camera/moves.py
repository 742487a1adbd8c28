"""How near a camera move comes to the truth, and whether a slow one jitters: `python -m studies.camera.moves FOLDER`.

FOLDER holds pictures larger than the keyframes that are cut out of them. A keyframe is a part of a picture, FINER times
as large, made smaller; the truth of a move is the same move of that part, made smaller afterwards. Compared where the
keyframe shows what the moved frame does. Beside: `grid_sample`'s bicubic and bilinear, which read the keyframe itself.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from microcinema_core.files import written_whole
from microcinema_core.media import read_picture
from microcinema_core.motion.easing import Ease
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut

from ..shares import quantile

SIDE, FINER, PICTURES = 512, 2, 40
ROWS = 4  # every so manieth row measures a shift
EDGE = 8  # pixels beside what is not known that no kernel should have to read
FRAMES, SLOW = 25, 0.3  # of the slow pan: frames, and pixels from one to the next
STEPS = 6  # of Newton's method for a shift: by the fourth nothing changes
MOVES = {
    "truck right": Camera(horizontal=0.11),
    "truck left and up": Camera(horizontal=-0.07, vertical=0.05),
    "pedestal down": Camera(vertical=-0.09),
    "dolly in": Camera(dolly=0.3),
    "dolly out": Camera(dolly=-0.1),
    "pan": Camera(pan=11.0),
    "tilt": Camera(tilt=-8.0),
    "zoom in": Camera(zoom=1.35),
    "zoom out": Camera(zoom=0.93),
    "roll": Camera(roll=13.0),
    "hand-held": Camera(shake=0.6),
    "all of it": Camera(horizontal=0.05, vertical=0.03, dolly=0.15, pan=-4, tilt=3, zoom=1.1, roll=-6, shake=0.2),
}


@dataclass(slots=True)
class Figures:
    """Decibels of each way, a list for each move; jitter in pixels of each way."""

    decibels: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    jitter: dict[str, list[float]] = field(default_factory=dict)


def parts(folder: Path, count: int) -> Iterator[Tensor]:
    """Middles [3, FINER * SIDE, FINER * SIDE] of pictures large enough, spread over the folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    large = []
    for path in files:
        with Image.open(path) as image:
            if min(image.size) >= FINER * SIDE:
                large.append(path)
    if len(large) < count:
        sys.exit(f"{folder}: {len(large)} pictures have {FINER * SIDE} pixels a side; {count} are needed")
    for i in range(count):
        picture = torch.from_numpy(np.array(read_picture(large[i * len(large) // count]))).permute(2, 0, 1)
        top, left = ((side - FINER * SIDE) // 2 for side in picture.shape[1:])
        yield picture[:, top : top + FINER * SIDE, left : left + FINER * SIDE].float() / 255


def smaller(part: Tensor) -> Tensor:
    """[3, FINER * h, FINER * w] -> [3, h, w], by a kernel that lets nothing beyond the smaller one's detail through."""
    size = [side // FINER for side in part.shape[1:]]
    return F.interpolate(part[None], size, mode="bicubic", antialias=True)[0]


def last_frame(picture: Tensor, camera: Camera) -> tuple[Tensor, Tensor, NDArray[np.float64]]:
    """The end of a move from the keyframe on, what of it is unknown, and its map from the frame to the picture.

    Nothing is filled, as what is unknown is not compared.
    """
    plan = Plan(camera, ease=Ease.LINEAR, keyframe_at=0.0, duration=2.0, seed=3)
    scene = cut(picture, Motion(plan))
    renderer = Renderer(scene, Moments(plan, 2, 0.5))
    frame, place = renderer[1], scene.plates[0].where(plan, renderer.moments[1], renderer.view)
    assert place is not None
    return frame.picture, frame.unknown, place


def read_by(mode: str) -> Callable[[Tensor, NDArray[np.float64]], Tensor]:
    """grid_sample on the keyframe itself."""

    def read(picture: Tensor, place: NDArray[np.float64]) -> Tensor:
        x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
        across, down, depth = np.einsum("ij,jhw->ihw", place, np.stack([x, y, np.ones_like(x)]))
        grid = np.stack([across / depth, down / depth], axis=-1) * 2 / SIDE - 1
        there = torch.from_numpy(grid.astype(np.float32))[None]
        return F.grid_sample(picture[None], there, mode=mode, padding_mode="border", align_corners=False)[0].clamp(0, 1)

    return read


OTHERS = {"grid_sample bicubic": read_by("bicubic"), "grid_sample bilinear": read_by("bilinear")}


def decibels(made: Tensor, truth: Tensor, clear: Tensor) -> float:
    squared = ((made - truth).double() ** 2).mean(dim=0)[clear]
    return -10 * math.log10(max(float(squared.mean()), 1e-12))


def measure_moves(part: Tensor, figures: Figures) -> None:
    keyframe = smaller(part).clamp(0, 1)
    for name, camera in MOVES.items():
        truth = smaller(last_frame(part, camera)[0])
        made, unknown, place = last_frame(keyframe, camera)
        clear = F.max_pool2d(unknown[None], 2 * EDGE + 1, 1, EDGE)[0, 0] < 0.01
        clear[:EDGE] = clear[-EDGE:] = clear[:, :EDGE] = clear[:, -EDGE:] = False
        ways = {"ours": made} | {other: read(keyframe, place) for other, read in OTHERS.items()}
        for way, frame in ways.items():
            figures.decibels.setdefault(way, {}).setdefault(name, []).append(decibels(frame, truth, clear))


def shift_of(frame: Tensor, keyframe: Tensor) -> float:
    """How far left a frame has gone, in pixels: the least squares shift of the keyframe, moved by its spectrum."""
    window = torch.hann_window(frame.shape[-1], periodic=False, dtype=torch.float64)
    first, second = (torch.fft.rfft(t.double().mean(dim=0) * window) for t in (keyframe, frame))
    rate = torch.arange(first.shape[-1], dtype=torch.float64) * 2 * math.pi / frame.shape[-1]
    weight = rate < math.pi / 2
    shift = 0.0
    for _ in range(STEPS):
        moved = first * torch.exp(1j * rate * shift)
        slope = 1j * rate * moved
        step = ((slope.conj() * (second - moved)).real[:, weight]).sum() / (slope.abs() ** 2)[:, weight].sum()
        shift += float(step)
    return shift


def measure_jitter(part: Tensor, figures: Figures) -> None:
    """The largest second difference of the shift that is measured in a slow pan."""
    keyframe = smaller(part).clamp(0, 1)
    camera = Camera(horizontal=SLOW * (FRAMES - 1) / SIDE)
    plan = Plan(camera, ease=Ease.LINEAR, keyframe_at=0.0)
    renderer = Renderer(cut(keyframe, Motion(plan)), Moments(plan, FRAMES, 30.0))
    clips: dict[str, list[Tensor]] = {"ours": [frame.picture for frame in renderer]}
    places = [renderer.scene.plates[0].where(plan, moment, renderer.view) for moment in renderer.moments]
    for other, read in OTHERS.items():
        clips[other] = [read(keyframe, place) for place in places if place is not None]
    for way, frames in clips.items():
        inside = (slice(None), slice(0, SIDE, ROWS), slice(EDGE, SIDE - 2 * EDGE))
        shifts = [shift_of(frame[inside], keyframe[inside]) for frame in frames]
        figures.jitter.setdefault(way, []).append(float(np.abs(np.diff(shifts, 2)).max()))


def page(figures: Figures, count: int, command: str) -> str:
    ours = figures.decibels["ours"]
    lines = [
        "# Camera moves against the truth",
        "",
        f"`{command}`: {count} keyframes of {SIDE} pixels, cut out of larger pictures; decibels against the same move",
        f"of the larger picture, {FINER} times as fine, where the keyframe shows what the frame does.",
        "",
        "| move | lowest | tenth percentile | median | " + " | ".join(f"{name}, median" for name in OTHERS) + " |",
        "|---|---|---|---|" + "---|" * len(OTHERS),
    ]
    for name, values in ours.items():
        others = " | ".join(f"{quantile(figures.decibels[other][name]):.1f}" for other in OTHERS)
        lines.append(
            f"| {name} | {min(values):.1f} | {quantile(values, 0.1):.1f} | {quantile(values):.1f} | {others} |"
        )
    lines += [
        "",
        f"A slow pan of {SLOW} pixels a frame: the largest second difference of the shift measured in it, pixels.",
        "",
        "| way | median picture | worst picture |",
        "|---|---|---|",
        *(f"| {way} | {quantile(values):.4f} | {max(values):.4f} |" for way, values in figures.jitter.items()),
        "",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--out", type=Path, default=Path("docs/results/camera-moves.md"))
    options = parser.parse_args(arguments)
    figures = Figures()
    for part in tqdm(parts(options.folder, options.pictures), total=options.pictures, desc="moves"):
        measure_moves(part, figures)
        measure_jitter(part, figures)
    text = page(figures, options.pictures, f"python -m studies.camera.moves FOLDER --pictures {options.pictures}")
    with written_whole(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
