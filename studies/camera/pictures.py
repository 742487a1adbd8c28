"""Pictures that move, for the README and for a page of their own: `python -m studies.camera.pictures`.

Each is what one command of the program makes, which stands beside it; no model takes part. Written as animated WebP.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from microcinema_core import cli
from microcinema_core.cli.console import DONE
from microcinema_core.errors import InputError

from ..gallery.drawing import HOLD, write_webp

ASSETS = Path("assets/pictures")
FPS = 6
# Brush strokes that move take ten times as many bytes.
WIDTHS = {"earthrise.jpg": 360, "starry-night.jpg": 220, "astronaut.jpg": 240, "cat.jpg": 300}
WIDTH = 320  # of all others
QUALITY = 55
LIMIT = 1.5  # MB of all pictures


@dataclass(frozen=True, slots=True)
class Moving:
    """One clip: its name, the words of its command after the picture, and what it shows."""

    name: str
    picture: str
    words: tuple[str, ...]
    caption: str

    @property
    def command(self) -> str:
        words = [str(ASSETS / self.picture), *self.words, "--out", f"{self.name}.mp4"]
        return shlex.join(["microcinema", "animate", *words])

    @property
    def run(self) -> list[str]:
        """The same, as small as the page shows it."""
        small = ["--width", str(WIDTHS.get(self.picture, WIDTH)), "--fps", str(FPS)]
        return ["animate", str(ASSETS / self.picture), *self.words, *small]


def planned(name: str, caption: str, *words: str) -> Moving:
    """A picture with the plan that lies beside it."""
    return Moving(name, f"{name}.jpg", ("--plan", str(ASSETS / f"{name}.json"), *words), caption)


README = (
    planned("earthrise", "A photo of 1968: Earth and the Moon are two regions of a plan, the camera goes in."),
    planned("starry-night", "A painting: the cypress is a region that is nearer than the rest."),
)
PAGE = (
    Moving("push-in", "earthrise.jpg", ("--duration", "3"), "Nothing asked: a slow push-in."),
    Moving(
        "words", "starry-night.jpg", ("--prompt", "the camera pans right and zooms in", "--duration", "3"),
        "Words of a prompt.",
    ),
    Moving(
        "roll", "starry-night.jpg", ("--roll", "12", "--zoom", "1.3", "--loop", "ping-pong", "--duration", "4"),
        "A roll there and back; repeated it has no seam.",
    ),
    Moving(
        "hand", "earthrise.jpg", ("--shake", "0.6", "--zoom", "1.15", "--duration", "3"), "A hand holds the camera.",
    ),
)  # fmt: skip
FAILURES = (
    Moving(
        "beyond", "starry-night.jpg", ("--horizontal", "0.7", "--duration", "3"),
        "Far over the edge: what the painting does not show is made up of what lies beside it, and one sees that.",
    ),
    Moving(
        "waving", "astronaut.jpg", ("--prompt", "She waves and walks away, slow zoom out", "--duration", "3"),
        "A person should wave and walk: only the camera moves.",
    ),
    Moving(
        "standing", "earthrise.jpg", ("--prompt", "Earth spins, a slow pan left", "--duration", "3"),
        "Earth should spin, and does not: the camera moves, nothing in the picture lives. A note says so.",
    ),
)  # fmt: skip


def make(moving: Moving, folder: Path) -> Path:
    """The clip as animated WebP. Raises InputError where the program refuses it."""
    with tempfile.TemporaryDirectory() as work:
        frames = f"{work}/frames/"
        if cli.run([*moving.run, "--out", frames]) != DONE:
            raise InputError(f"{moving.name}: {moving.command}: was refused; mend the command")
        pictures = [np.asarray(Image.open(path)) for path in sorted(Path(frames).glob("*.png"))]
    loops = "--loop" in moving.words
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{moving.name}.webp"
    write_webp(path, np.stack(pictures), FPS, 0 if loops else HOLD, QUALITY)
    return path


@dataclass(frozen=True, slots=True)
class Page:
    """Moving pictures and their page. module: what makes it. front: those of the README. file: below `out`."""

    title: str
    module: str
    front: Sequence[Moving]
    good: Sequence[Moving]
    bad: Sequence[Moving]
    out: Path
    file: str

    @property
    def text(self) -> str:
        lines = [
            f"# {self.title}",
            "",
            f"Made by `python -m {self.module}`, each by the command under it, here smaller and at",
            f"{FPS} frames a second. [assets/SOURCES.md](../../../assets/SOURCES.md) says whose the pictures are.",
        ]
        for heading, clips in (("What works", self.good), ("What does not", self.bad)):
            lines += ["", f"## {heading}"]
            for moving in clips:
                shown = f"![{moving.caption}]({moving.name}.webp)"
                lines += ["", shown, "", f"{moving.caption}", "", f"    {moving.command}"]
        return "\n".join(lines) + "\n"


def publish(page: Page, told: str | None, arguments: Sequence[str] | None = None) -> None:
    """Make all of a page, by a program whose help is `told`. Raises SystemExit for more bytes than a page may have."""
    parser = argparse.ArgumentParser(prog=f"python -m {page.module}", description=told)
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    parser.add_argument("--out", type=Path, default=page.out)
    options = parser.parse_args(arguments)
    made = [make(moving, options.images) for moving in page.front]
    made += [make(moving, options.out) for moving in (*page.good, *page.bad)]
    (options.out / page.file).write_text(page.text, encoding="utf-8")
    size = sum(path.stat().st_size for path in made) / 1e6
    if size > LIMIT:
        raise SystemExit(f"{size:.1f} MB are more than {LIMIT}; make the clips shorter or smaller")


CAMERA = Page(
    "Pictures that move without a model",
    "studies.camera.pictures",
    README,
    PAGE,
    FAILURES,
    Path("docs/results/camera"),
    "README.md",
)

if __name__ == "__main__":
    publish(CAMERA, __doc__)
