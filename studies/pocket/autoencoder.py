"""How well an autoencoder brings pictures back: `python -m studies.pocket.autoencoder FILE POOL --beside START`.

FILE is what `microcinema train configs/pocket-autoencoder.toml` exports, POOL what `studies.pocket.pictures` wrote. Of
each picture of a split, its middle as a square of so many pixels, in decibels; a line for each file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from microcinema_core.standalone.components import load_codec
from microcinema_core.standalone.precision import default_device
from microcinema_core.training.data.pictures import fitted, read_folder

from .splits import FINAL, SPLITS

SIDE = 256  # pixels
WORKERS = 4


def decibels(file: Path, pixels: Tensor) -> Tensor:
    """Of each picture [N, 3, H, W] in 0..1, after the way there and back: [N]."""
    codec = load_codec(file)
    codec.to_(default_device(), torch.float32)
    restored = codec.decode(codec.encode(pixels.to(default_device()))).cpu()
    return -10 * torch.log10((restored - pixels).square().mean(dim=(1, 2, 3)))


def row(file: Path, found: Tensor) -> str:
    """A line of the table."""
    return f"| {file.name} | {len(found)} | {found.median():.2f} | {found.min():.2f} | {found.max():.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="other files, such as the one started from")
    parser.add_argument("--split", choices=SPLITS, default=FINAL)
    options = parser.parse_args(arguments)
    pixels = fitted(read_folder(options.pool / "pictures" / options.split, SIDE, WORKERS), SIDE) / 2 + 0.5
    lines = ["| file | pictures | dB, median | lowest | highest |", "|---|---|---|---|---|"]
    lines += [row(file, decibels(file, pixels)) for file in (*options.beside, options.file)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
