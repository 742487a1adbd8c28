"""Plates as files: pictures to be filled anywhere, and the same pictures filled.

A folder of its own: `plate-0.png` the farthest, `fill-0.png` where it is to be filled (white), and so on; `plan.json`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import disk_errors, parse_json, reachable, read_text
from .clips import write_png
from .folders import check_own_folder
from .frames import Frames, Settings
from .pictures import read_picture
from .settings import is_ours

PLATE, FILL, PLAN = "plate-%d.png", "fill-%d.png", "plan.json"
NUMBERED = r"plate-(0|[1-9]\d{0,3})\.png"
MAX_PLAN = 1_000_000  # bytes


def check_plates_folder(path: Path) -> None:
    """Raises InputError where plates could not be written, or would be written over somebody else's files."""
    check_own_folder(
        path,
        "plates",
        lambda item: _is_plate(item) or item.name == PLAN,
        lambda item: _is_plan(item) if item.name == PLAN else is_ours(item),
    )


def save_plates(path: Path, plates: Frames, fills: Frames, plan: str, settings: Settings) -> None:
    """Plates [P, h, w, 3], where they lack something [P, h, w, 3], and the plan's text, renamed when all are there.

    Earlier plates that are not replaced go. Raises OSError where the disk refuses.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path, prefix=".plates-") as name:
            new = Path(name)
            for pattern, pictures in ((PLATE, plates), (FILL, fills)):
                for number, picture in enumerate(pictures):
                    write_png(new / (pattern % number), picture, {**settings, "plate": number})
            (new / PLAN).write_text(plan + "\n", encoding="utf-8")
            made = {item.replace(path / item.name) for item in new.iterdir()}
        for older in path.iterdir():
            if _is_plate(older) and older not in made:
                older.unlink()


def check_plates(path: Path) -> list[Path]:
    """The filled plates in a folder, `plate-0.png` and on. Raises InputError where one is missing."""
    with reachable(path):
        if not path.is_dir():
            raise InputError(f"{path}: is no folder; give the one that --plates-out wrote, its plates filled")
        numbers = sorted(int(found[1]) for item in path.iterdir() if (found := re.fullmatch(NUMBERED, item.name)))
    if numbers != list(range(len(numbers))) or not numbers:
        missing = next(number for number in range(len(numbers) + 1) if number not in numbers)
        raise InputError(f"{path / (PLATE % missing)}: does not exist; give the plates that --plates-out wrote, filled")
    return [path / (PLATE % number) for number in numbers]


def read_plates(path: Path, size: tuple[int, int]) -> Sequence[Frames]:
    """The filled plates [h, w, 3] in a folder. size: width, height of all of them.

    Raises InputError where one is missing, or is no picture of that size.
    """
    return [_read_plate(plate, size) for plate in check_plates(path)]


def _read_plate(path: Path, size: tuple[int, int]) -> Frames:
    picture = read_picture(path)
    if picture.size != size:
        (width, height), (across, down) = size, picture.size
        raise InputError(
            f"{path}: is {across}x{down}, this motion and picture need {width}x{height}; fill the plates of the same "
            "motion and picture, and keep their size"
        )
    return np.asarray(picture)


def _is_plate(path: Path) -> bool:
    return re.fullmatch(r"(plate|fill)-\d{1,4}\.png", path.name) is not None


def _is_plan(path: Path) -> bool:
    try:
        found = parse_json(read_text(path, "a plan", MAX_PLAN), "the plan")
    except (InputError, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("format", "")).startswith("microcinema.")
