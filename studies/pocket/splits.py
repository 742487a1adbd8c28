"""What is trained on, what is chosen by, and what is looked at once, at the end: by a picture's name and package."""

from __future__ import annotations

import hashlib

from ..scene.labels import FOLDER

SPLITS = TRAIN, SELECT, FINAL = "train", "select", "final"
EVERYBODY = ("opencv-doc", "python3-skimage")  # photographs that everybody knows
# Of these the file that the autoencoder starts from had seen pictures: none of them can be final.
SEEN = (
    "endless-sky-data", "gnome-backgrounds", "lomiri-wallpapers", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04",
    "mate-backgrounds", "naev-data", "plasma-workspace-wallpapers", "stellarium-data", "ukui-wallpapers",
    "wesnoth-1.16-data", "wesnoth-1.16-httt", "wesnoth-1.16-l", "wesnoth-1.16-sota", "wesnoth-1.16-trow",
    "wesnoth-1.16-tsg", "wesnoth-1.16-ttb",
)  # fmt: skip
# Examples in this repository's pages, from packages that are seen.
SHOWN = (
    "endless-sky_beach4", "endless-sky_city11", "endless-sky_earthrise", "endless-sky_fields6", "endless-sky_mountain1",
    "lomiri-wallpapers-16.04_seeding-by-clements-engelhardt",
)  # fmt: skip
FINAL_SHARE = 1 / 40  # of the pictures of other packages
CUT_OUT_SHARE = 1 / 16  # of cut-outs in each of select and final
TESTED = frozenset((FOLDER / "test.txt").read_text(encoding="utf-8").split())  # on which Scene is tested


def share_of(name: str) -> float:
    """0..1, evenly spread, the same for the same name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def split_of_picture(name: str, package: str) -> str:
    """PACKAGE or PACKAGE_VERSION, as `studies.scene.pictures` has it."""
    package = package.split("_")[0]
    if package in EVERYBODY:
        return FINAL
    if name in TESTED or name in SHOWN:
        return SELECT if package in SEEN else FINAL
    return FINAL if package not in SEEN and share_of(name) < FINAL_SHARE else TRAIN


def split_of_cut_out(name: str) -> str:
    """By its name alone."""
    return SELECT if share_of(name) < CUT_OUT_SHARE else FINAL if share_of(name) < 2 * CUT_OUT_SHARE else TRAIN
