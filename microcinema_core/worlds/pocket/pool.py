"""The pictures that the world is made of: a folder of them, split before anything learns.

POOL/pictures/SPLIT/* are pictures, POOL/cut-outs/SPLIT/* pictures with alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...media.pictures import opened_picture, read_picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

PICTURES, CUT_OUTS = "pictures", "cut-outs"  # folders of a pool


class Split(StrEnum):
    """Whom a picture serves: those that learn, those that choose among what was learnt, or the last figures."""

    TRAIN = "train"
    SELECT = "select"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Pool:
    """Files, in the order of their names."""

    pictures: tuple[Path, ...]
    cut_outs: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, split: Split, least: int = 0) -> Self:
        """least: pixels of a picture's shorter side, below which it is left out.

        Raises InputError where the folder holds no such pictures of this split.
        """
        pictures, cut_outs = (_files(folder / kind / split) for kind in (PICTURES, CUT_OUTS))
        pictures = tuple(path for path in pictures if not least or _shorter(path) >= least)
        if not pictures:
            large = f" of {least} pixels or more" if least else ""
            raise InputError(f"{folder}/pictures/{split} holds no pictures{large}; put JPEG, PNG or WebP files there")
        return cls(pictures, cut_outs)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES))


def _shorter(path: Path) -> int:
    """A picture's shorter side, in pixels. Raises InputError for what is no picture."""
    with opened_picture(path) as stored:
        return min(stored.size)


def scaled_picture(path: Path, shorter: int) -> Tensor:
    """[3, H, W], pixels 0..1, its shorter side so many pixels. Raises InputError for what is no picture."""
    picture = read_picture(path)
    scale = shorter / min(picture.size)
    size = (max(shorter, round(picture.width * scale)), max(shorter, round(picture.height * scale)))
    return _pixels(np.array(picture.resize(size, reducing_gap=3.0)))


def read_cut_out(path: Path) -> Tensor:
    """[4, H, W], 0..1: colour, which does not matter where there is no alpha, and alpha. Raises InputError likewise."""
    with opened_picture(path) as stored:
        return _pixels(np.array(stored.convert("RGBA")))


def _pixels(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255
