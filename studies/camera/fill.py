"""How near a filling comes to what was there, and whether its border shows: `python -m studies.camera.fill`.

Squares are cut out of larger pictures and made smaller. From each, a strip at the right edge is taken away and, another
time, a hole of uneven outline in the middle. Beside: the border's colour drawn out, and, where OpenCV is installed, its
inpainting after Telea.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from microcinema_core.files import written_whole
from microcinema_core.media.pictures import read_picture
from microcinema_core.motion.fill import fill

from ..shares import pick, table
from . import FOLDER

SIDE, PICTURES, LEAST = 512, 40, 1024  # pixels of a square, squares, and the shorter side of a picture they come from
STRIP, HOLE = 64, 72  # pixels: a strip's width, a hole's mean radius
BESIDE = 8  # pixels beside a border: the inside that its gradient is compared with
RADIUS = 5  # of Telea's method
SHOWN, SHEET_SIDE = 5, 256  # of the contact sheet: pictures, and pixels a side

Way = Callable[[Tensor, Tensor], Tensor]  # picture [3, H, W], known [1, H, W] -> [3, H, W]


def strip(number: int) -> Tensor:
    """The same for every picture; 1 where it is known, [1, SIDE, SIDE]."""
    known = torch.ones(1, SIDE, SIDE)
    known[..., SIDE - STRIP :] = 0
    return known


def hole(number: int) -> Tensor:
    """Another outline for each picture: waves round a circle; 1 where it is known, [1, SIDE, SIDE]."""
    draw = np.random.default_rng(number)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    outline = np.full_like(radius, HOLE)
    for wave in range(2, 7):
        strength, turn = draw.random(2)
        outline += 0.35 * HOLE * strength / math.sqrt(wave) * np.sin(wave * angle + 2 * math.pi * turn)
    return torch.from_numpy(radius > outline).float()[None]


MASKS = {"strip beyond the edge": strip, "hole behind a region": hole}


def replicated(picture: Tensor, known: Tensor) -> Tensor:
    """Each pixel as the known one before it in its row, or after it, whichever is nearer."""
    (columns,) = torch.nonzero(torch.ones(SIDE), as_tuple=True)
    there = known[0] == 1
    before = torch.where(there, columns, -SIDE).cummax(1).values
    after = torch.where(there, columns, 2 * SIDE).flip(1).cummin(1).values.flip(1)
    nearest = torch.where(columns - before <= after - columns, before, after)
    return picture.gather(2, nearest.expand_as(picture))


def telea(picture: Tensor, known: Tensor) -> Tensor:
    import cv2

    levels = (picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    made = cv2.inpaint(levels, (known[0].numpy() < 1).astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    return torch.from_numpy(made).permute(2, 0, 1).float() / 255


def ways() -> dict[str, Way]:
    given: dict[str, Way] = {"ours": fill, "ours without detail": partial(fill, texture=0.0), "replication": replicated}
    return given | ({"Telea": telea} if find_spec("cv2") else {})


def squares(folder: Path, count: int = PICTURES) -> Iterator[Tensor]:
    """Middles [3, SIDE, SIDE] of pictures that are large enough, 0..1."""
    large = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
            with Image.open(path) as image:
                if min(image.size) >= LEAST:
                    large.append(path)
    for path in pick(large, count):
        yield square(path, SIDE)


def square(path: Path, side: int) -> Tensor:
    """The middle of a picture, made smaller, [3, side, side]."""
    picture = torch.from_numpy(np.array(read_picture(path))).permute(2, 0, 1).float() / 255
    least = min(picture.shape[1:])
    top, left = ((length - least) // 2 for length in picture.shape[1:])
    middle = picture[None, :, top : top + least, left : left + least]
    return F.interpolate(middle, (side, side), mode="bicubic", antialias=True)[0].clamp(0, 1)


def decibels(made: Tensor, truth: Tensor, known: Tensor) -> float:
    """Of what was unknown."""
    squared = ((made - truth) ** 2).mean(0)[known[0] == 0]
    return -10 * math.log10(max(float(squared.mean()), 1e-12))


def seam(made: Tensor, known: Tensor) -> float:
    """Mean absolute gradient across the border, over that of the known pixels beside it in the same directions."""
    near = F.max_pool2d(1 - known[None], 2 * BESIDE + 1, 1, BESIDE)[0, 0] > 0
    across, inside = [], []
    for dim in (1, 2):
        steps = made.diff(dim=dim).abs().mean(0)
        there = known[0] == 1
        ends = [part.narrow(dim - 1, start, part.shape[dim - 1] - 1) for part in (there, near) for start in (0, 1)]
        border, both = ends[0] ^ ends[1], ends[0] & ends[1] & ends[2] & ends[3]
        if border.any():
            across.append(steps[border])
            inside.append(steps[both])
    return float(torch.cat(across).mean() / torch.cat(inside).mean().clamp_min(1 / 255 / 16))


@dataclass(slots=True)
class Figures:
    """Decibels and seams by mask and way, a list of pictures each."""

    decibels: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    seams: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def take(self, picture: Tensor, number: int) -> None:
        for mask, draw in MASKS.items():
            known = draw(number)
            for name, way in ways().items():
                made = way(picture * known, known)
                self.decibels.setdefault(mask, {}).setdefault(name, []).append(decibels(made, picture, known))
                self.seams.setdefault(mask, {}).setdefault(name, []).append(seam(made, known))


def interval(values: Sequence[float], digits: int = 2) -> str:
    """A mean with its 95 % interval."""
    reach = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    mean = float(np.mean(values))
    return f"{mean:.{digits}f} ({mean - reach:.{digits}f}-{mean + reach:.{digits}f})"


def page(figures: Figures, sheet: str, shown: Path | None) -> str:
    rows = []
    for mask, by_way in figures.decibels.items():
        for name, values in by_way.items():
            gain = [mine - other for mine, other in zip(by_way["ours"], values, strict=True)]
            seams = figures.seams[mask][name]
            row = [mask, name, interval(values), "" if name == "ours" else interval(gain)]
            rows.append([*row, interval(seams), f"{max(seams):.2f}"])
    count = len(next(iter(figures.decibels.values()))["ours"])
    header = ["what is filled", "by", "dB", "ours is better by, dB", "gradient across the border", "worst picture"]
    lines = [
        "# Filling against the truth",
        "",
        f"`python -m studies.camera.fill --pictures FOLDER`: {count} squares of {SIDE} pixels out of larger pictures,",
        f"a strip of {STRIP} pixels beyond the right edge and a hole about {2 * HOLE} pixels across; means with 95 %",
        "intervals. The gradient across the border is a share of that inside the known side next to it.",
        "",
        table(header, rows),
        "",
        "A smooth filling is nearer to the truth in dB and is seen as a smear; ours mirrors fine detail, at the cost",
        "that the table shows.",
        "",
        FOLDER,
    ]
    if sheet:
        lines += [
            "",
            f"![The truth, what is known, and each filling]({sheet})",
            "",
            f"Made with `--shown {shown}`. Left to right: the truth, what is",
        ]
        lines[-1] += f" known, {', '.join(ways())}."
    return "\n".join(lines) + "\n"


def contact_sheet(pictures: Sequence[Tensor]) -> Tensor:
    """A row for each picture: truth, what is known of it, each filling; [3, H, W]."""
    rows = []
    for number, picture in enumerate(pictures):
        known = strip(number) * hole(number)
        grey = torch.lerp(torch.full_like(picture, 0.5), picture, known)
        row = torch.cat([picture, grey, *(way(picture * known, known) for way in ways().values())], dim=2)
        rows.append(F.interpolate(row[None], scale_factor=SHEET_SIDE / SIDE, mode="bilinear", antialias=True)[0])
    return torch.cat(rows, dim=1).clamp(0, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.camera.fill", description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help=f"a folder of pictures of {LEAST} pixels or more")
    parser.add_argument("--shown", type=Path, help="a folder of pictures for the contact sheet, of any size")
    parser.add_argument("--count", type=int, default=PICTURES)
    parser.add_argument("--out", type=Path, default=Path("docs/results/camera-fill.md"))
    options = parser.parse_args(arguments)
    figures, sheet = Figures(), ""
    for number, picture in enumerate(tqdm(list(squares(options.pictures, options.count)), desc="pictures")):
        figures.take(picture, number)
    if options.shown:
        chosen = [square(path, SIDE) for path in pick(sorted(options.shown.glob("*.jpg")), SHOWN)]
        with written_whole(options.out.with_suffix(".jpg")) as temporary:
            levels = (contact_sheet(chosen).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
            Image.fromarray(levels).save(temporary, "JPEG", quality=85)
        sheet = options.out.with_suffix(".jpg").name
    with written_whole(options.out) as temporary:
        temporary.write_text(page(figures, sheet, options.shown), encoding="utf-8")
    sys.stdout.write(f"{options.out}\n")


if __name__ == "__main__":
    main()
