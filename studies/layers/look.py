"""How layers look on 24 pictures that they were not made for: `python -m studies.layers.look --pictures FOLDER`.

FOLDER: the pool of `python -m studies.scene.pictures`. Writes the sheets of docs/results/layers, a row for each
picture: itself, and frames of its clip; the clips themselves go to --clips. What a person saw in them is written here,
beside the words.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from microcinema_core.errors import InputError
from microcinema_core.media import save_clip

SECONDS, FPS = 4, 12
SHOWN = (0, 16, 32, 47)  # frames of a row
SIDE = 360  # pixels of a tile's width
ROWS = 6  # of a sheet
FRAME = 960  # pixels of a clip's longer side


@dataclass(frozen=True, slots=True)
class Look:
    """A picture of the pool, the words that are given with it, more options, and what a person saw."""

    picture: str
    words: str
    options: tuple[str, ...] = ()
    seen: str = ""
    broken: bool = False

    @property
    def free(self) -> bool:
        """Whether it is in the public domain or CC0, and may be shown here."""
        return self.picture in FREE


FREE = {
    *(
        f"endless-sky_{name}"
        for name in ("mountain1", "water5", "city11", "fields5", "beach4", "nasa7", "forest0", "water2")
    ),
    *(f"free_{name}" for name in ("starry-night", "astronaut", "cat")),
    "lomiri-wallpapers-16.04_seeding-by-clements-engelhardt",
}
LOOKS = (
    Look(
        "endless-sky_mountain1",
        "the lake ripples, clouds drift slowly to the left",
        seen="Right; the peak's lit cloud drifts with the sky and its mirror image does not.",
    ),
    Look(
        "endless-sky_water5", "the water ripples gently, clouds drift right, the camera slowly pushes in", seen="Right."
    ),
    Look(
        "endless-sky_city11",
        "rain falls, fog drifts between the towers, it gets dark",
        seen="Fog and rain are right; night takes nearly all of the towers, and no window lights up.",
    ),
    Look(
        "endless-sky_fields5",
        "the trees sway in the wind, night falls, stars twinkle",
        seen="Right; the clouds of the day stay in the night, and the cypresses move inside a still outline.",
    ),
    Look(
        "endless-sky_beach4",
        "waves roll in, clouds drift left",
        seen="The surf heaves and does not break or run up; the sun's star drifts a little with the sky.",
    ),
    Look(
        "endless-sky_nasa7",
        "heavy rain, lightning flashes",
        seen="Rain and flashes are right; the bolt of the photograph stands still.",
    ),
    Look(
        "endless-sky_dmottl4",
        "snow falls softly, the camera pans right",
        seen="Snow is right; the pan uncovers a strip that is filled by mirrored snow and half a spruce.",
    ),
    Look(
        "endless-sky_forest0",
        "mist rolls in over the valley, clouds drift",
        seen="Right; the mist lies as high on the slope as in the valley.",
    ),
    Look(
        "endless-sky_water2",
        "the lake ripples, the reeds sway in the wind",
        seen="Right; the grass behind the reeds sways with them.",
    ),
    Look("plasma_path", "mist drifts through the forest, fireflies glow", seen="Right; fireflies shine on nothing."),
    Look(
        "plasma_eveningglow",
        "the water ripples, clouds drift, it gets dark",
        seen="Sky and evening are right; the wet stones of the shore and two boats are taken for water and ripple.",
        broken=True,
    ),
    Look(
        "lomiri-wallpapers-16.04_seeding-by-clements-engelhardt",
        "the dandelions sway in the wind, dust floats in the light",
        seen="Right, and quiet: the sharp heads sway as much as the blurred ones.",
    ),
    Look(
        "gcompris_explore-monuments-001",
        "leaves fall, clouds drift left, golden evening light",
        seen="Leaves are right, though no tree is near; a clear sky has nothing to drift.",
    ),
    Look(
        "free_starry-night",
        "fireflies glow, mist drifts",
        seen="Fireflies are right; the mist veils brush strokes. No clouds: its sky is found in patches.",
    ),
    Look(
        "wesnoth_trow-story-02-the-fall",
        "embers rise, the fire flickers, smoke drifts",
        seen="Right; smoke hides the figure on the right for a while.",
    ),
    Look(
        "wesnoth_summer",
        "the water ripples, petals fall, clouds drift",
        seen="Right; of the painted clouds only a haze is seen to move.",
    ),
    Look(
        "wesnoth_landscape-coast",
        "waves roll in, clouds drift, the grass sways in the wind",
        seen="Sky and grass are right; wet sand is taken for water in part and ripples.",
        broken=True,
    ),
    Look("gcompris_details-054", "autumn leaves fall", seen="Right; leaves of a photograph over a painting."),
    Look(
        "free_astronaut",
        "she breathes, dust floats in the light",
        seen="Breath is hardly seen; motes before a dark suit look like stars.",
    ),
    Look("free_cat", "the cat breathes, dust floats in the light", seen="Right, and quiet."),
    Look("gcompris_erase-004", "snow falls", seen="Right; in a green wood, and it lies nowhere."),
    Look("wesnoth_httt-story7", "petals drift, she breathes", seen="Right."),
    Look("plasma_safelanding", "leaves fall, clouds drift right", seen="Right; soft leaves over a flat drawing."),
    Look(
        "plasma_autumn",
        "leaves fall, the tree sways in the wind",
        seen="Leaves are right; the crown's brush strokes slide over each other.",
    ),
)


def made(look: Look, pool: Path, clips: Path) -> list[NDArray[np.uint8]]:
    """The frames of a row, and the clip as MP4 in `clips`. Raises InputError where the program refuses it."""
    picture, out = pool / f"{look.picture}.jpg", clips / look.picture
    with Image.open(picture) as opened:
        wide, high = opened.size
    side = ("--width", str(FRAME)) if wide >= high else ("--height", str(FRAME))
    asked = ["animate", str(picture), "--prompt", look.words, *look.options, *side]
    asked += ["--duration", str(SECONDS), "--fps", str(FPS), "--json", "--out", f"{out}/"]
    done = subprocess.run([sys.executable, "-m", "microcinema_core.cli", *asked], capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{shlex.join(asked)}: {done.stderr.strip()}")
    sys.stdout.write(f"{look.picture}: {json.loads(done.stdout).get('places', {})}\n")
    frames = [np.asarray(Image.open(path)) for path in sorted(out.glob("*.png"))]
    save_clip(f"{out}.mp4", iter(frames), float(FPS), {"prompt": look.words})
    return [np.asarray(Image.open(picture).convert("RGB")), *(frames[i] for i in SHOWN)]


def tried(look: Look, pool: Path, clips: Path) -> Image.Image | None:
    """A picture's row; None for one that may not be shown here, and where the program refuses the words."""
    try:
        shown = row(look, made(look, pool, clips))
        return shown if look.free else None
    except InputError as error:
        sys.stdout.write(f"{look.picture}: refused: {error}\n")
        return None


def row(look: Look, frames: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """One picture's tiles, its words over them."""
    tiles = [Image.fromarray(frame) for frame in frames]
    height = round(SIDE * tiles[1].height / tiles[1].width)
    drawn = Image.new("RGB", (SIDE * len(tiles), height + 16), "white")
    for number, tile in enumerate(tiles):
        drawn.paste(tile.resize((SIDE, height), Image.Resampling.LANCZOS), (number * SIDE, 16))
    ImageDraw.Draw(drawn).text((4, 2), f"{look.picture}: {look.words} {' '.join(look.options)}", fill="black")
    return drawn


def sheet(rows: Sequence[Image.Image]) -> Image.Image:
    drawn = Image.new("RGB", (max(one.width for one in rows), sum(one.height for one in rows)), "white")
    top = 0
    for one in rows:
        drawn.paste(one, (0, top))
        top += one.height
    return drawn


def page(sheets: int) -> str:
    """What was seen, as Markdown."""
    good = sum(not look.broken for look in LOOKS)
    lines = [
        "# How layers look",
        "",
        "By `python -m studies.layers.look --pictures FOLDER`: the words stand over each row; the picture, and its",
        f"clip at 0, 1.3, 2.7 and 3.9 s. {good} of {len(LOOKS)} have nothing that a person would call broken; what is",
        "wrong with each was written down after looking at its frames. They are pictures of Debian packages; those in",
        "the public domain or CC0 are shown.",
        "",
        *(f"![Pictures and frames of their clips](look-{number}.jpg)" for number in range(sheets)),
        "",
        "| picture | words | what one sees |",
        "|---|---|---|",
        *(f"| {look.picture} | {look.words} | {'**broken:** ' * look.broken}{look.seen} |" for look in LOOKS),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.layers.look", description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--clips", type=Path, default=Path("out/looks"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/layers"))
    parser.add_argument("--only", nargs="*", help="pictures of the list")
    options = parser.parse_args(arguments)
    looks = [look for look in LOOKS if not options.only or look.picture in options.only]
    options.clips.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [shown for look in looks if (shown := tried(look, options.pictures, options.clips)) is not None]
    sheets = [rows[i : i + ROWS] for i in range(0, len(rows), ROWS)]
    for number, some in enumerate(sheets):
        sheet(some).save(options.out / f"look-{number}.jpg", quality=82)
    if not options.only:
        (options.out / "README.md").write_text(page(len(sheets)), encoding="utf-8")


if __name__ == "__main__":
    main()
