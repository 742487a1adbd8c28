"""How right the network is on pictures it was never taught: `python -m studies.scene.evaluate POOL`.

POOL is what `studies.scene.pictures` and `studies.scene.labels` wrote. With --checked on those that its settings were
chosen by, instead, and nothing but the table is printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from tqdm import tqdm

from microcinema_core.files import written_whole
from microcinema_core.motion.layer import Place
from microcinema_core.places.find import find
from microcinema_core.places.network import PLACES, Network
from microcinema_core.places.stored import FILE, load

from ..shares import Share, number, quantile, table
from .examples import checked
from .labels import TAUGHT, TESTED, Label, read_labels, read_picture
from .measure import APART, THERE, Measured, asked, measure, pixels, within
from .pictures import sources
from .sheets import contact_sheet, distances, found_over, labelled

OUT = Path("docs/results/scene.md")
PAIRS = 300
ABSENT = 0.02  # share of a picture that may be seen where nothing is
WANTED = {
    Place.SKY: "0.95, 0.85 at the tenth percentile",
    Place.WATER: "0.8",
    Place.PLANTS: "0.75",
    Place.PEOPLE: "0.7",
}
SHEETS = {"worst": 12, "typical": 12}  # pictures
LONG = 1024  # pixels of the longer side of a picture that is timed
SHOWN = {Place.PEOPLE: "people and animals"}


def overlaps(measured: Sequence[Measured], place: Place) -> list[float]:
    return [one.overlap[place] for one in measured if place in one.overlap]


def main_table(measured: Sequence[Measured]) -> str:
    rows = []
    for place in PLACES:
        values, false = overlaps(measured, place), [one.false[place] for one in measured if place in one.false]
        spread = [number(quantile(values, q)) for q in (0.5, 0.1)]
        clean = number(within(false, ABSENT)) if false else "-"
        rows.append([SHOWN.get(place, place), str(len(values)), *spread, WANTED[place], str(len(false)), clean])
    header = ["", "pictures with it", "median IoU", "tenth percentile", "wanted"]
    return table([*header, "pictures without", f"of these at most {ABSENT:.0%} of the area (wanted 0.95)"], rows)


def package_table(measured: Sequence[Measured], packages: Mapping[str, str]) -> str:
    rows = []
    for package in sorted({packages[one.name] for one in measured}):
        some = [one for one in measured if packages[one.name] == package]
        cells = []
        for place in PLACES:
            values = overlaps(some, place)
            cells.append(f"{number(quantile(values), 2)} ({len(values)})" if values else "-")
        pairs = [pair.right for one in some for pair in one.pairs]
        rows.append([package, str(len(some)), *cells, f"{np.mean(pairs):.2f} ({len(pairs)})" if pairs else "-"])
    return table(["package", "pictures", *(SHOWN.get(place, place) for place in PLACES), "pairs in order"], rows)


def words(measured: Sequence[Measured]) -> list[str]:
    pairs = asked(measured, PAIRS)
    told = [one for one in measured if one.landscape]
    others = [one for one in measured if not one.landscape]
    seen = Share.of([one.found.distance is not None for one in told])
    wrongly = Share.of([one.found.distance is not None for one in others])
    answered = {one.name for one in told if one.found.distance is not None}
    right = Share.of([pair.right for pair in pairs])
    among = Share.of([pair.right for pair in pairs if pair.picture in answered])
    return [
        f"Rough distance: of {len(pairs)} pairs of points in {len(told)} landscapes, whose labelled distances differ",
        f"by a factor of {APART} or more, {right} are in the right order (wanted 0.85); a landscape that is",
        f"taken for none counts as wrong. {seen.hits} of {seen.n} landscapes are taken for one; among their pairs",
        f"it is {among}. Of {wrongly.n} other pictures {wrongly.hits} are given a distance, too.",
    ]


def seconds(pool: Path, names: Sequence[str], network: Network) -> list[float]:
    """Of finding everything in each picture, once it is LONG pixels long."""
    spent = []
    for name in names:
        picture = pixels(read_picture(pool / "pics" / f"{name}.jpg"))
        scale = LONG / max(picture.shape[1:])
        large = F.interpolate(picture[None], scale_factor=scale, mode="bilinear", align_corners=False)[0].contiguous()
        start = time.perf_counter()
        find(large, network)
        spent.append(time.perf_counter() - start)
    return spent


def taught(path: Path) -> str:
    """How the file came to be, in a sentence or two."""
    with safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["provenance"])
        count = sum(file.get_tensor(name).numel() for name in file.keys())
    return (
        f"The network has {count:,} weights in {path.stat().st_size:,} bytes. It was taught by `{told['command']}` "
        f"on {told['data']}, {told['machine']}. It began {told['began']}."
    )


BEFORE = """`python -m studies.scene.evaluate POOL --checked`, 82 other pictures that were kept back, by which the
network is calibrated too: median IoU by how many pictures it was taught. The first row is the file of
9eb5cb7, given by `--network`; the second the file that is there.

| taught | sky | water | plants | people and animals | pairs in order |
| --- | --- | --- | --- | --- | --- |
| 545 | 0.978 | 0.614 | 0.534 | 0.437 | 0.823 |
| 1,382 | 0.966 | 0.758 | 0.671 | 0.543 | 0.853 |"""


def page(measured: Sequence[Measured], packages: Mapping[str, str], notes: Sequence[str]) -> str:
    paragraphs = [
        "# Where places are",
        "`python -m studies.scene.evaluate POOL`, on pictures that were set apart before training began "
        f"(`studies/scene/labels/test.txt`; {len(measured)} with a label). A class counts as there from {THERE:.0%} of "
        "a picture, and as absent where there is none of it; IoU is of masks above 0.5, at the label's size.",
        main_table(measured),
        "\n".join(words(measured)),
        "By package, median IoU and, in brackets, how many pictures have it:",
        package_table(measured, packages),
        *notes,
        BEFORE,
        f"The command also writes sheets of the worst and of typical pictures ({SHEETS['worst']} of each) into a "
        "folder; they are not shipped, as the pictures belong to their authors. A row is a picture: as labelled (what "
        "nobody could decide is dark), as found, and its distance, near is bright (black: none was given). Sky is "
        "magenta, water cyan, plants yellow, people and animals red.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def timing(spent: Sequence[float]) -> str:
    median, worst = quantile(spent), quantile(spent, 0.95)
    return (
        f"Time for a picture {LONG} pixels long, the network and the guided filter together: "
        f"{number(median)} s, {number(worst)} s at the 95th percentile, on {torch.get_num_threads()} threads of "
        f"{platform.machine()} (wanted 0.1)."
    )


def write_sheets(pool: Path, measured: Sequence[Measured], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    order = sorted((one for one in measured if one.overlap), key=lambda one: min(one.overlap.values()))
    middle = len(order) // 2 - SHEETS["typical"] // 2
    chosen = {"worst": order[: SHEETS["worst"]], "typical": order[middle : middle + SHEETS["typical"]]}
    for name, some in chosen.items():
        sheet = contact_sheet([row(pool, one) for one in some], [title(one) for one in some])
        with written_whole(folder / f"{name}.jpg") as temporary:
            cv2.imwrite(str(temporary), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def row(pool: Path, one: Measured) -> list[np.ndarray]:
    picture = read_picture(pool / "pics" / f"{one.name}.jpg")
    mask = cv2.imread(str(pool / "masks" / f"{one.name}.png"), cv2.IMREAD_GRAYSCALE)
    return [labelled(picture, mask), found_over(picture, one.found), distances(one.found)]


def title(one: Measured) -> str:
    parts = [f"{place} {value:.2f} (sure {one.found.sure[place]:.2f})" for place, value in one.overlap.items()]
    return f"{one.name}: {', '.join(parts)}"


def chosen_labels(check: bool) -> dict[str, Label]:
    if check:
        return {name: label for name, label in read_labels([TAUGHT]).items() if checked(name)}
    return read_labels([TESTED])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--network", type=Path, default=FILE)
    parser.add_argument("--checked", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--sheets", type=Path, default=Path("out/scene"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    network = load(options.network)
    packages = {source.name: source.package for source in sources()}
    labels = tqdm(chosen_labels(options.checked).items(), desc="pictures")
    measured = [measure(options.pool, name, label, network) for name, label in labels]
    sys.stdout.write("\n".join([main_table(measured), *words(measured)]) + "\n")
    if not options.checked:
        spent = seconds(options.pool, [one.name for one in measured], network)
        write_sheets(options.pool, measured, options.sheets)
        with written_whole(options.out) as temporary:
            temporary.write_text(page(measured, packages, [timing(spent), taught(options.network)]), encoding="utf-8")


if __name__ == "__main__":
    main()
