"""Where things are in a picture, as a folder of grey pictures: `sky.png`, `water.png` and so on, white = there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import InputError
from ..files import disk_errors, reachable
from .clips import write_png
from .folders import check_own_folder
from .frames import Settings, to_uint8
from .masks import read_mask
from .settings import is_ours

SUFFIX = ".png"


def check_masks_folder(path: Path, names: list[str]) -> None:
    """Raises InputError where masks of these names could not be written without loss of other files."""
    check_own_folder(path, "masks", lambda item: item.suffix == SUFFIX and item.stem in names, is_ours)


def save_masks(path: Path, masks: Mapping[str, Tensor], settings: Settings) -> None:
    """Masks [1, H, W], 0..1, each as NAME.png, renamed when all are there. Raises OSError where the disk refuses."""
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path, prefix=".masks-") as name:
            new = Path(name)
            for called, mask in masks.items():
                write_png(new / (called + SUFFIX), to_uint8(mask.expand(3, -1, -1)), {**settings, "mask": called})
            for item in list(new.iterdir()):
                item.replace(path / item.name)


def read_masks(path: Path, names: list[str]) -> dict[str, Tensor]:
    """Those of these masks [H, W], 0..1, that a folder has. Raises InputError where it has none, or no pictures."""
    with reachable(path):
        if not path.is_dir():
            raise InputError(f"{path}: is no folder; give the one that --masks-out wrote, its masks corrected")
        there = [name for name in names if (path / (name + SUFFIX)).exists()]
    if not there:
        listed = ", ".join(name + SUFFIX for name in names)
        raise InputError(f"{path}: holds none of {listed}; give the folder that --masks-out wrote")
    return {name: read_mask(path / (name + SUFFIX)) for name in there}
