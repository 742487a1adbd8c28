"""Pocket's pictures, out of free packages: `python -m studies.pocket.pictures PACKAGES OUT`.

PACKAGES is what `studies.scene.pictures` reads, with its packages of cut-outs. Written are OUT/pictures/SPLIT/NAME.jpg,
OUT/cut-outs/SPLIT/NAME.webp (RGBA) and OUT/lists/SPLIT.tsv, which says of each where it is from, under which licence,
and its content's hash; SPLIT is train, select or final. Nothing is enlarged. The small form, for a machine to which
little can be carried: `--longest 512 --quality 80 --megabytes 24`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..scene.cut_outs import cut_out, found
from ..scene.pictures import LONGEST, QUALITY, opened, sources
from .splits import SPLITS, share_of, split_of_cut_out, split_of_picture

PICTURES, CUT_OUTS = "pictures", "cut-outs"
UNFREE = ("Unsplash", "Pexels")  # what some files of a package may be under: none of it is taken
SHORTEST = 256  # pixels of a picture's shorter side, of which training cuts squares
FLAT = 3.5  # levels: the mean difference of neighbours, down and across; a drawn background has less
ALIKE = 0.75  # correlation of two pictures' details: one scene with another light, one picture in two packages
FLAT_LONGEST = 512  # pixels, at which that is measured
SIDE, BLUR = 24, 2.5  # pixels of the small picture of which details are compared, and of what is no detail there
CUT_OUTS_SHARE = 0.18  # of the bytes
CUT_OUT_LICENCES = {"tuxpaint-stamps-default": "GPL-2+"}  # else that of the package's pictures


@dataclass(frozen=True, slots=True)
class Form:
    """How large what is written is. megabytes: of pictures and cut-outs together, at most."""

    longest: int = LONGEST
    quality: int = QUALITY
    megabytes: float | None = None

    def bytes_of(self, kind: str) -> float:
        share = CUT_OUTS_SHARE if kind == CUT_OUTS else 1 - CUT_OUTS_SHARE
        return float("inf") if self.megabytes is None else self.megabytes * 1e6 * share


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be written. details [SIDE * SIDE]: of norm 1."""

    kind: str
    name: str
    package: str
    licence: str
    stored: bytes
    details: NDArray[np.float32]

    @property
    def split(self) -> str:
        return split_of_cut_out(self.name) if self.kind == CUT_OUTS else split_of_picture(self.name, self.package)

    @property
    def file(self) -> str:
        """Below OUT."""
        return f"{self.kind}/{self.split}/{self.name}.{'webp' if self.kind == CUT_OUTS else 'jpg'}"

    @property
    def line(self) -> str:
        digest = hashlib.sha256(self.stored).hexdigest()
        return "\t".join((self.kind, self.name, self.package, self.licence, digest))


def picture_candidates(packages: Path, form: Form) -> Iterator[Candidate]:
    """Pictures under a free licence that are neither small nor flat."""
    for source in sources():
        if any(word in source.licence for word in UNFREE):
            continue
        picture = opened(packages, source)
        picture.thumbnail((form.longest, form.longest), Image.Resampling.LANCZOS)
        if min(picture.size) >= SHORTEST and not is_flat(picture):
            stored = io.BytesIO()
            picture.save(stored, "JPEG", quality=form.quality, optimize=True, progressive=True)
            details = details_of(picture)
            yield Candidate(PICTURES, source.name, source.package, source.licence, stored.getvalue(), details)


def cut_out_candidates(packages: Path, form: Form) -> Iterator[Candidate]:
    """Cut-outs, half as long as pictures."""
    licences = {source.package: source.licence for source in sources()} | CUT_OUT_LICENCES
    for path, _ in found(packages):
        levels = cut_out(path, form.longest // 2)
        if levels is None:
            continue
        picture, stored = Image.fromarray(levels), io.BytesIO()
        picture.save(stored, "WEBP", quality=form.quality)
        package, name = cut_out_name(path.relative_to(packages))
        grey = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        details = details_of(Image.alpha_composite(grey, picture).convert("RGB"))
        yield Candidate(CUT_OUTS, name, package, licences[package], stored.getvalue(), details)


def cut_out_name(path: Path) -> tuple[str, str]:
    """Its package, and a name that no other has: of its path below PACKAGES."""
    package, parts = path.parts[0], path.with_suffix("").parts
    start = max(parts.index(word) for word in ("stamps", "portraits") if word in parts)
    words = "-".join(parts[start + 1 :]).lower()
    return package, f"{package}_{''.join(c if c.isalnum() else '-' for c in words)}"


def is_flat(picture: Image.Image) -> bool:
    """Whether next to nothing is on it, in whichever form."""
    grey = picture.convert("L")
    grey.thumbnail((FLAT_LONGEST, FLAT_LONGEST), Image.Resampling.LANCZOS)
    levels = np.asarray(grey, np.float32)
    return bool(np.abs(np.diff(levels, axis=0)).mean() + np.abs(np.diff(levels, axis=1)).mean() < FLAT)


def details_of(picture: Image.Image) -> NDArray[np.float32]:
    """[SIDE * SIDE] of norm 1: a small picture without its slow changes, which all landscapes share."""
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32).mean(-1)
    sharp = (small - cv2.GaussianBlur(small, (0, 0), BLUR)).reshape(-1)
    sharp -= sharp.mean()
    made: NDArray[np.float32] = sharp / (np.linalg.norm(sharp) + 1e-3)
    return made


def chosen(candidates: Iterable[Candidate], most: float) -> Iterator[Candidate]:
    """Of one kind: none like another, at most so many bytes; held-out ones first, then by the hash of their name.

    So whatever is like a held-out one is not trained on, and what a small form has is no package's more than another's.
    """
    taken: list[NDArray[np.float32]] = []
    spent = 0
    for one in sorted(candidates, key=lambda one: (-SPLITS.index(one.split), share_of(one.name))):
        if taken and (np.stack(taken) @ one.details).max() > ALIKE:
            continue
        spent += len(one.stored)
        if spent > most:
            return
        taken.append(one.details)
        yield one


def write(out: Path, made: Sequence[Candidate]) -> None:
    """Files and lists."""
    for one in made:
        path = out / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.stored)
    (out / "lists").mkdir(exist_ok=True)
    for split in SPLITS:
        lines = sorted(one.line for one in made if one.split == split)
        text = "\n".join(["kind\tname\tpackage\tlicence\tsha256", *lines]) + "\n"
        (out / "lists" / f"{split}.tsv").write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--longest", type=int, default=LONGEST, help="pixels of a picture, twice a cut-out's")
    parser.add_argument("--quality", type=int, default=QUALITY, help="of JPEG and WebP")
    parser.add_argument("--megabytes", type=float, help="of all together, at most; else everything is written")
    options = parser.parse_args(arguments)
    form = Form(options.longest, options.quality, options.megabytes)
    made = [
        *chosen(picture_candidates(options.packages, form), form.bytes_of(PICTURES)),
        *chosen(cut_out_candidates(options.packages, form), form.bytes_of(CUT_OUTS)),
    ]
    write(options.out, made)
    for (kind, split), count in sorted(Counter((one.kind, one.split) for one in made).items()):
        sys.stdout.write(f"{kind} {split}: {count}\n")
    sys.stdout.write(f"{sum(len(one.stored) for one in made) / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
