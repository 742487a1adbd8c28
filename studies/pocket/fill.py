"""How pictures are filled that no training saw: `python -m studies.pocket.fill FILE POOL --split select`.

FILE is a fill model, POOL what `studies.pocket.pictures` wrote. Of each picture its middle as a square of 256 pixels:
a strip is taken away beyond one edge, each edge in turn, and, another time, what a cut-out stands before, or where
it has moved away. Prints a table of means with 95 % intervals: decibels; how far gradients and the contrast of patches
are distributed otherwise than the truth's; and the gradient across the border as a share of that beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from tqdm import tqdm

from microcinema_core.files import written_whole
from microcinema_core.media import to_uint8
from microcinema_core.motion.fill import fill
from microcinema_core.standalone.filling import Filler
from microcinema_core.training.data.pictures import fitted, read_folder
from microcinema_core.worlds.pocket.holes import STREAM, silhouette
from microcinema_core.worlds.pocket.pool import Pool, Split

from ..camera.fill import Way, decibels, interval, seam, telea
from ..shares import table

SIDE, STRIP = 256, 32  # pixels
SAMPLES = 8
PATCH = 8  # pixels of a side, whose contrast is compared
SHOWN = 6  # holes on the sheet
WORKERS = 2
DRAWN, BEHIND = "strip beyond an edge", "behind a cut-out"
SAMPLE, MEAN, ONCE = "Pocket, one sample", f"Pocket, mean of {SAMPLES}", "Pocket in one step"


@dataclass(frozen=True, slots=True)
class Hole:
    """picture: [3, S, S], 0..1; known: [1, S, S]."""

    kind: str
    picture: Tensor
    known: Tensor


def holes(pool: Pool, pictures: Tensor) -> Iterator[Hole]:
    """Two of each picture [N, 3, S, S]."""
    for number, picture in enumerate(pictures):
        strip = torch.ones(1, SIDE, SIDE)
        strip.narrow(1 + number // 2 % 2, number % 2 * (SIDE - STRIP), STRIP).zero_()
        yield Hole(DRAWN, picture, strip)
        rng = np.random.default_rng([STREAM + 2, number])
        before = torch.zeros(1, SIDE, SIDE)
        while not before.any():
            before = silhouette(pool.cut_outs[int(rng.integers(len(pool.cut_outs)))], SIDE, rng)
        yield Hole(BEHIND, picture, 1 - before)


def _nearest(known: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel of [1, H, W], row and column of the known one that is nearest."""
    _, places = distance_transform_edt(known[0].numpy() < 1, return_indices=True)
    return places[0], places[1]


def replicated(picture: Tensor, known: Tensor) -> Tensor:
    """Each pixel as the known one nearest to it."""
    rows, columns = _nearest(known)
    return picture[:, rows, columns]


def mirrored(picture: Tensor, known: Tensor) -> Tensor:
    """Each pixel as the known one as far beyond the border; where that is none, as the border."""
    rows, columns = _nearest(known)
    height, width = known.shape[1:]
    y, x = np.mgrid[:height, :width]
    there = np.clip(2 * rows - y, 0, height - 1), np.clip(2 * columns - x, 0, width - 1)
    good = known[0].numpy()[there] == 1
    return picture[:, np.where(good, there[0], rows), np.where(good, there[1], columns)]


def ways() -> dict[str, Way]:
    """By name, without a model."""
    given: dict[str, Way] = {"replication": replicated, "mirror": mirrored}
    given |= {"Telea": telea} if find_spec("cv2") else {}
    return given | {"push-pull": fill, "push-pull without detail": partial(fill, texture=0.0)}


def gradients(picture: Tensor, known: Tensor) -> Tensor:
    """Sizes of all gradients where nothing is known, sorted."""
    missing = known[0] == 0
    across, down = (F.pad(picture.diff(dim=dim), pad) for dim, pad in ((2, (0, 1)), (1, (0, 0, 0, 1))))
    return (across.square() + down.square()).mean(0).sqrt()[missing].sort().values


def contrasts(picture: Tensor, known: Tensor) -> Tensor:
    """Deviations within patches of which most is unknown, sorted."""
    grey = picture.mean(0)[None, None]
    patches = F.unfold(grey, PATCH, stride=PATCH // 2)[0].std(0)
    share = F.unfold(1 - known[None], PATCH, stride=PATCH // 2)[0].mean(0)
    return patches[share >= min(0.5, float(share.max()))].sort().values


def distance(made: Tensor, truth: Tensor) -> float:
    """Of two sorted lists: how far on average one has to be moved to be the other, in levels of 255."""
    return 255 * float((made - truth).abs().mean())


Measure = Callable[[Tensor, Hole], float]
MEASURES: dict[str, Measure] = {
    "dB": lambda made, hole: decibels(made, hole.picture, hole.known),
    "gradients": lambda made, hole: distance(*(gradients(one, hole.known) for one in (made, hole.picture))),
    "patches": lambda made, hole: distance(*(contrasts(one, hole.known) for one in (made, hole.picture))),
    "border": lambda made, hole: seam(made, hole.known),
}


def samples(filler: Filler, hole: Hole, count: int) -> Tensor:
    """What the program would show for each of so many seeds, [N, 3, S, S]."""
    given = hole.picture * hole.known
    with torch.autocast("cpu", torch.bfloat16):
        broad = filler.samples(given, hole.known, range(count)).float()
    made = [fill(given, hole.known, filler.texture, broad=one).clamp(0, 1) for one in broad]
    return torch.stack(made)


@dataclass(slots=True)
class Figures:
    """By kind of hole, way and measure: one for each hole. A sample's are the means over all samples."""

    found: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    rows: list[Tensor] = field(default_factory=list)

    def take(self, hole: Hole, filler: Filler) -> None:
        given = hole.picture * hole.known
        made = {name: way(given, hole.known).clamp(0, 1) for name, way in ways().items()}
        drawn = samples(filler, hole, SAMPLES)
        of_kind = self.found.setdefault(hole.kind, {})
        made[ONCE] = samples(replace(filler, steps=1), hole, 1)[0]
        for name, one in (*made.items(), (MEAN, drawn.mean(0))):
            self._note(of_kind, name, {title: measure(one, hole) for title, measure in MEASURES.items()})
        each = {title: [measure(one, hole) for one in drawn] for title, measure in MEASURES.items()}
        self._note(of_kind, SAMPLE, {title: float(np.mean(values)) for title, values in each.items()})
        if len(self.rows) < SHOWN:
            shown = (hole.picture, given, *made.values(), drawn.mean(0), *drawn[:2])
            self.rows.append(torch.cat(shown, dim=2))

    def _note(self, of_kind: dict[str, dict[str, list[float]]], name: str, values: dict[str, float]) -> None:
        for title, value in values.items():
            of_kind.setdefault(name, {}).setdefault(title, []).append(value)

    def table(self) -> str:
        """Means, and by how much a sample is nearer in gradients and patches than each other way, with intervals."""
        rows = []
        for kind, by_way in self.found.items():
            for name, by_measure in by_way.items():
                row = [kind, name, *(interval(by_measure[title]) for title in MEASURES)]
                row += [_gain(by_way, name, title) for title in ("gradients", "patches")]
                rows.append(row)
        nearer = ["a sample is nearer: gradients", "patches"]
        return table(["what is filled", "by", *MEASURES, *nearer], rows)


def _gain(by_way: dict[str, dict[str, list[float]]], name: str, title: str) -> str:
    pairs = zip(by_way[name][title], by_way[SAMPLE][title], strict=True)
    return "" if name == SAMPLE else interval([other - mine for other, mine in pairs])


def save_sheet(path: Path, rows: Sequence[Tensor]) -> None:
    """Rows of pictures [3, S, n * S]."""
    from PIL import Image

    (levels,) = to_uint8(torch.cat(list(rows), dim=1)[None])
    with written_whole(path) as temporary:
        Image.fromarray(levels).save(temporary, "JPEG", quality=85)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.SELECT)
    parser.add_argument("--count", type=int, help="of pictures; all, if not given")
    parser.add_argument("--texture", type=float, help="of the mirrored detail, 0..1")
    parser.add_argument("--sheet", type=Path, help="where rows of the first holes go: truth, known, each way, samples")
    options = parser.parse_args(arguments)
    pool, filler = Pool.of(options.pool, options.split), Filler.load(options.file)
    if options.texture is not None:
        filler = replace(filler, texture=options.texture)
    pictures = fitted(read_folder(options.pool / "pictures" / options.split, SIDE, WORKERS), SIDE) / 2 + 0.5
    figures = Figures()
    for hole in tqdm(list(holes(pool, pictures[: options.count])), desc="holes"):
        figures.take(hole, filler)
    if options.sheet is not None:
        save_sheet(options.sheet, figures.rows)
    sys.stdout.write(figures.table() + "\n")


if __name__ == "__main__":
    main()
