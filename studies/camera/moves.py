"""How near a camera move comes to the truth, and whether a slow one jitters: `python -m studies.camera.moves FOLDER`.

FOLDER holds pictures larger than the keyframes, which are cut out of their middles. The truth of a move is the same
move of the larger part by its spectrum, with nothing lost: FINER times as fine by Fourier's series, then by a cubic.
What that gives of the keyframe alone is the best that can be had of it. Compared where the keyframe shows what the
moved frame does. Beside: `grid_sample`'s bicubic and bilinear, which read the keyframe itself.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from microcinema_core.files import written_whole
from microcinema_core.media import read_picture
from microcinema_core.motion.easing import Ease
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.resample import Matrix, shrinking
from microcinema_core.motion.scene import Motion, cut

from ..shares import quantile
from . import FOLDER

SIDE, AROUND, PICTURES = 512, 128, 40  # of a keyframe, and how much more is known of its picture on each side
FINER = 4
EDGE = 8  # pixels beside what is not known that no kernel should have to read
FRAMES, SLOW = 25, 0.3  # of the slow pan: frames, and pixels from one to the next
WHOLE = SIDE + 2 * AROUND
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


Read = Callable[[Tensor, Matrix], Tensor]


@dataclass(slots=True)
class Figures:
    """Decibels of each way, a list for each move; jitter in pixels of each way."""

    decibels: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    jitter: dict[str, list[float]] = field(default_factory=dict)


def parts(folder: Path, count: int) -> Iterator[Tensor]:
    """Middles [3, WHOLE, WHOLE] of pictures large enough, spread over the folder, at half of their size."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    large = []
    for path in files:
        with Image.open(path) as image:
            if min(image.size) >= 2 * WHOLE:
                large.append(path)
    if len(large) < count:
        sys.exit(f"{folder}: {len(large)} pictures have {2 * WHOLE} pixels a side; {count} are needed")
    for i in range(count):
        picture = torch.from_numpy(np.array(read_picture(large[i * len(large) // count]))).permute(2, 0, 1)
        top, left = ((side - 2 * WHOLE) // 2 for side in picture.shape[1:])
        middle = picture[None, :, top : top + 2 * WHOLE, left : left + 2 * WHOLE].float() / 255
        yield F.interpolate(middle, (WHOLE, WHOLE), mode="bicubic", antialias=True)[0].clamp(0, 1)


def last_frame(picture: Tensor, camera: Camera) -> tuple[Tensor, Tensor, Matrix]:
    """The end of a move from the keyframe on, what of it is unknown, and its map from the frame to the picture.

    Nothing is filled, as what is unknown is not compared.
    """
    plan = Plan(camera, ease=Ease.LINEAR, keyframe_at=0.0, duration=2.0, seed=3)
    scene = cut(picture, Motion(plan))
    renderer = Renderer(scene, Moments(plan, 2, 0.5))
    frame, place = renderer[1], scene.plates[0].where(plan, renderer.moments[1], renderer.view)
    assert place is not None
    return frame.picture, frame.unknown, place


def read_by(mode: str) -> Read:
    """grid_sample on the pixels themselves. -> a reader of [3, h, w] through a map, [3, SIDE, SIDE]."""

    def read(picture: Tensor, place: Matrix) -> Tensor:
        height, width = picture.shape[1:]
        x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
        across, down, depth = np.einsum("ij,jhw->ihw", place, np.stack([x, y, np.ones_like(x)]), optimize=True)
        grid = np.stack([across / depth * 2 / width, down / depth * 2 / height], axis=-1) - 1
        there = torch.from_numpy(grid.astype(np.float32))[None]
        return F.grid_sample(picture[None], there, mode=mode, padding_mode="border", align_corners=False)[0]

    return read


OTHERS = {"grid_sample bicubic": read_by("bicubic"), "grid_sample bilinear": read_by("bilinear")}


def finer(picture: Tensor, shrinking: float) -> Tensor:
    """[3, h, w] FINER times as fine by its Fourier series, without what a frame that shrinks it cannot show."""
    height, width = picture.shape[1:]
    spectrum = torch.fft.fftshift(torch.fft.fft2(picture), dim=(1, 2))
    for axis, side in ((1, height), (2, width)):
        rate = (torch.arange(side) - side // 2).abs() / (side / 2)
        spectrum *= (rate * max(shrinking, 1.0) < 1).view([-1 if i == axis else 1 for i in range(3)])
    pad = [((FINER - 1) * side) // 2 for side in (width, width, height, height)]
    return torch.fft.ifft2(torch.fft.ifftshift(F.pad(spectrum, pad), dim=(1, 2))).real * FINER**2


# A sample of the finer picture lies at its own whole number over FINER, counted from the first pixel's centre.
OFFSET = FINER * (AROUND - 0.5) + 0.5
TO_FINE = np.array([[FINER, 0, OFFSET], [0, FINER, OFFSET], [0, 0, 1]])


class Spectral:
    """A picture [3, WHOLE, WHOLE] around a keyframe, read by its spectrum."""

    def __init__(self, picture: Tensor) -> None:
        self.picture, self.plain = picture, finer(picture, 1.0)

    def frame(self, place: Matrix) -> Tensor:
        """What a frame shows of it, [3, SIDE, SIDE]."""
        shrunk = shrinking(place, (0, 0, SIDE, SIDE))
        fine = self.plain if shrunk <= 1 + 1e-9 else finer(self.picture, shrunk)
        return read_by("bicubic")(fine, TO_FINE @ place)


def decibels(made: Tensor, truth: Tensor, clear: Tensor) -> float:
    squared = ((made - truth).double() ** 2).mean(dim=0)[clear]
    return -10 * math.log10(max(float(squared.mean()), 1e-12))


def measure_moves(part: Tensor, figures: Figures) -> None:
    keyframe = part[:, AROUND:-AROUND, AROUND:-AROUND].contiguous()
    whole, alone = Spectral(part), Spectral(F.pad(keyframe[None], [AROUND] * 4, mode="reflect")[0])
    for name, camera in MOVES.items():
        made, unknown, place = last_frame(keyframe, camera)
        truth = whole.frame(place)
        clear = F.max_pool2d(unknown[None], 2 * EDGE + 1, 1, EDGE)[0, 0] < 0.01
        clear[:EDGE] = clear[-EDGE:] = clear[:, :EDGE] = clear[:, -EDGE:] = False
        ways = {"ours": made} | {other: read(keyframe, place) for other, read in OTHERS.items()}
        ways["best"] = alone.frame(place)
        for way, frame in ways.items():
            figures.decibels.setdefault(way, {}).setdefault(name, []).append(decibels(frame, truth, clear))


def slid(part: Tensor, shift: float) -> Tensor:
    """[3, WHOLE, WHOLE] moved left by pixels, by its spectrum -> [3, SIDE, SIDE], the keyframe's place."""
    spectrum = torch.fft.rfft(part.double())
    rate = torch.arange(spectrum.shape[-1], dtype=torch.float64) * 2 * math.pi / part.shape[-1]
    moved = torch.fft.irfft(spectrum * torch.exp(1j * rate * shift), n=part.shape[-1])
    return moved[:, AROUND:-AROUND, AROUND:-AROUND]


def _read_at(read: Read, keyframe: Tensor, places: Sequence[Matrix | None], index: int) -> Tensor:
    place = places[index]
    assert place is not None
    return read(keyframe, place)


def measure_jitter(part: Tensor, figures: Figures) -> None:
    """The largest second difference of the shift that is measured in a slow pan.

    The shift is measured against the part slid by as much as the camera says, by least squares.
    """
    keyframe = part[:, AROUND:-AROUND, AROUND:-AROUND].contiguous()
    camera = Camera(horizontal=SLOW * (FRAMES - 1) / SIDE)
    plan = Plan(camera, ease=Ease.LINEAR, keyframe_at=0.0)
    renderer = Renderer(cut(keyframe, Motion(plan)), Moments(plan, FRAMES, 30.0))
    places = [renderer.scene.plates[0].where(plan, moment, renderer.view) for moment in renderer.moments]
    ways: dict[str, Callable[[int], Tensor]] = {"ours": lambda i: renderer[i].picture}
    ways |= {other: partial(_read_at, read, keyframe, places) for other, read in OTHERS.items()}
    inside = (slice(None), slice(EDGE, -EDGE), slice(EDGE, SIDE - 2 * EDGE))
    off: dict[str, list[float]] = {way: [] for way in ways}
    for index in range(FRAMES):
        truth = slid(part, SLOW * index)
        slope = (torch.roll(truth, -1, 2) - torch.roll(truth, 1, 2))[inside] / 2
        for way, frame in ways.items():
            wrong = (frame(index).double() - truth)[inside]
            off[way].append(float((slope * wrong).sum() / (slope**2).sum()))
    for way, shifts in off.items():
        figures.jitter.setdefault(way, []).append(float(np.abs(np.diff(shifts, 2)).max()))


def page(figures: Figures, count: int, command: str) -> str:
    ours, beside = figures.decibels["ours"], ("best", *OTHERS)
    lines = [
        "# Camera moves against the truth",
        "",
        f"`{command}`: {count} keyframes of {SIDE} pixels, cut out of larger pictures; decibels against the same move",
        "of the larger picture by its spectrum, where the keyframe shows what the frame does. Best: the keyframe by",
        "its own spectrum, mirrored at its edges.",
        "",
        "| move | lowest | tenth percentile | median | " + " | ".join(f"{name}, median" for name in beside) + " |",
        "|---|---|---|---|" + "---|" * len(beside),
    ]
    for name, values in ours.items():
        others = " | ".join(f"{quantile(figures.decibels[other][name]):.1f}" for other in beside)
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
        FOLDER,
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
