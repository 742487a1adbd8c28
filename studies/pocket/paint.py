"""Words drawn beside the same words painted: `python -m studies.pocket.paint POOL OUT`.

POOL has pictures/SPLIT/*. Of each picture a clip by the camera alone, and for each effect that Pocket knows one with it
drawn and one with it painted, from the same words. They are kept in OUT/clips, so that a second call makes what lacks
and reads all of them anew. Writes OUT/figures.md, the share of clips in which readers (`readers.py`) see what was asked
and what was not, and what changed where nothing was asked; OUT/figures.json; and OUT/sheet.jpg: of the last picture,
a row for each effect, drawn and then painted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from microcinema_core.checkpoint.embedded import POCKET, embedded
from microcinema_core.cli.painting import painted_words
from microcinema_core.config import Kind
from microcinema_core.files import sha256_of
from microcinema_core.media import Frames, to_pixels
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.scene import Motion
from microcinema_core.motion.words import read_words
from microcinema_core.shot.settings import PAINT_SAMPLING, SamplingConfig
from microcinema_core.standalone.camera import move
from microcinema_core.standalone.framing import Timing
from microcinema_core.standalone.painting import Painter, Stroke
from microcinema_core.worlds.pocket.effects import ASKED, Effect
from microcinema_core.worlds.pocket.pool import Pool, Split

from ..journal import fingerprint
from ..shares import Share, table
from .readers import Signs, seen, signs

WORDS: Mapping[Effect, str] = MappingProxyType(
    {
        Effect.SNOW: "it snows",
        Effect.RAIN: "it rains",
        Effect.FOG: "fog drifts by",
        Effect.RIPPLES: "the water ripples",
        Effect.WIND: "the trees sway in the wind",
        Effect.BRIGHTER: "it gets brighter",
        Effect.DARKER: "it gets darker",
        Effect.WARM: "the light turns warm",
        Effect.COLD: "the light turns cold",
        Effect.FLICKER: "candlelight flickers",
    }
)
CAMERAS = (Camera(), Camera(pan=4.0), Camera(zoom=1.1))  # of one picture after the other
TIMING = Timing(17, 4.0)
LONGEST = 320  # pixels of a picture's longer side
PLACED = (Effect.RIPPLES, Effect.WIND)  # in the lower half of every picture, as an artist's mask would say
WAYS = ("drawn", "painted")
SHOWN = slice(None, None, 8)  # frames of a row
EVERY = 8  # pictures of a list, of which one is taken
SHEET = 1440  # pixels across


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of one clip. outside: share of pixels that are the camera's within 1/255, where nothing was
    asked; None where it was asked everywhere."""

    picture: str
    way: str
    effect: Effect
    signs: Signs
    outside: float | None

    @property
    def right(self) -> bool:
        return self.effect in seen(self.signs)

    @property
    def wrong(self) -> bool:
        """Whether something is seen that was not asked, but for what looks alike."""
        alike = set(PLACED) if self.effect in PLACED else {self.effect}
        return bool(seen(self.signs) - alike)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", type=Split, default=Split.SELECT)
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--model", type=Path, help="the embedded one where it is left out")
    parser.add_argument("--steps", type=int, default=PAINT_SAMPLING.steps)
    parser.add_argument("--cfg", type=float, default=PAINT_SAMPLING.cfg)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args(arguments)
    every = Pool.of(options.pool, options.split).pictures
    chosen = every[::EVERY][: options.pictures]
    model = options.model or embedded(Kind.VIDEO, POCKET)
    painter = Painter.from_pretrained(model) if "painted" in options.ways else None
    sampling, started = SamplingConfig(steps=options.steps, cfg=options.cfg), time.monotonic()
    clips = options.out / "clips" / fingerprint(sha256_of(model), sampling.to_dict(), str(options.pool.resolve()))
    clips.mkdir(parents=True, exist_ok=True)
    found: list[Read] = []
    for number, picture in enumerate(chosen):
        make_clips(picture, number, clips, painter, sampling)
        found += list(read_clips(picture.stem, clips))
        sys.stderr.write(f"{number + 1} pictures, {time.monotonic() - started:.0f} s\n")
    told = to_markdown(found)
    (options.out / "figures.md").write_text(told + "\n", encoding="utf-8")
    (options.out / "figures.json").write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    if painter is not None:
        shown = Image.fromarray(sheet(chosen[-1].stem, clips))
        shown.resize((SHEET, SHEET * shown.height // shown.width)).save(options.out / "sheet.jpg", quality=85)
    sys.stdout.write(told + "\n")


def make_clips(path: Path, number: int, folder: Path, painter: Painter | None, sampling: SamplingConfig) -> None:
    """What lacks of a picture's clips, each as one file."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((LONGEST, LONGEST))
    plan = Plan(CAMERAS[number % len(CAMERAS)], seed=number)
    take = move(picture, Motion(plan), TIMING)
    _keep(folder, path.stem, "camera", Effect.NONE, take)
    told = {effect: painted_words(WORDS[effect], read_words(WORDS[effect]))[0] for effect in ASKED}
    masks = {effect: _where(effect, picture) for effect in ASKED}
    for effect, one in told.items():
        drawn = Motion(plan).with_layer(one.layer, masks[effect])
        if not _place(folder, path.stem, "drawn", effect).exists():
            _keep(folder, path.stem, "drawn", effect, move(picture, drawn, TIMING, everywhere=True))
    lacking = [effect for effect in ASKED if not _place(folder, path.stem, "painted", effect).exists()]
    if painter is None or not lacking:
        return
    strokes = [Stroke(told[effect].told, masks[effect]) for effect in lacking]
    made = painter.paint_each(take, strokes, sampling=sampling, seed=number)
    for effect, clip in zip(lacking, made, strict=True):
        _keep(folder, path.stem, "painted", effect, clip)


def _where(effect: Effect, picture: Image.Image) -> Tensor | None:
    """The mask [1, H, W] of what has a place."""
    if effect not in PLACED:
        return None
    mask = torch.zeros(1, picture.height, picture.width)
    mask[:, picture.height // 2 :] = 1
    return mask


def _place(folder: Path, name: str, way: str, effect: Effect) -> Path:
    return folder / f"{name}-{way}-{effect}.npy"


def _keep(folder: Path, name: str, way: str, effect: Effect, frames: Iterable[Frames]) -> None:
    np.save(_place(folder, name, way, effect), np.stack(list(frames)))


def _clip(folder: Path, name: str, way: str, effect: Effect) -> NDArray[np.uint8]:
    """[T, H, W, 3]."""
    found: NDArray[np.uint8] = np.load(_place(folder, name, way, effect))
    return found


def read_clips(name: str, folder: Path) -> Iterator[Read]:
    """Every clip that there is of a picture."""
    camera = _clip(folder, name, "camera", Effect.NONE)
    before = to_pixels(camera)
    lower = torch.zeros_like(before[0, :1])
    lower[:, lower.shape[1] // 2 :] = 1
    for way in WAYS:
        for effect in ASKED:
            if not _place(folder, name, way, effect).exists():
                continue
            clip = _clip(folder, name, way, effect)
            outside = None
            if effect in PLACED:
                rows = slice(0, int(0.4 * camera.shape[1]))  # what lies above the mask in all frames
                same = np.abs(clip[:, rows].astype(int) - camera[:, rows]).max(axis=-1) <= 1
                outside = float(same.mean())
            yield Read(name, way, effect, signs(before, to_pixels(clip), lower), outside)


def to_markdown(found: Sequence[Read]) -> str:
    """A row for each effect, and all of them: for both ways, what is seen that was asked and that was not."""
    rows = []
    for effect in (*ASKED, None):
        of = {way: [one for one in found if one.way == way and effect in (None, one.effect)] for way in WAYS}
        cells = [str(Share.of([one.right for one in of[way]])) for way in WAYS]
        cells += [str(Share.of([one.wrong for one in of[way]])) for way in WAYS]
        rows.append([effect or "all", str(len(of["painted"])), *cells])
    told = [f"{what}, {way}" for what in ("seen", "seen besides") for way in WAYS]
    outside = [one.outside for one in found if one.way == "painted" and one.outside is not None]
    least = (
        f"\n\nOutside what was asked, within a level of 255: {min(outside):.4f} of pixels at least." if outside else ""
    )
    return table(["words", "clips", *told], rows) + least


def sheet(name: str, folder: Path) -> Frames:
    """A row for each effect that has been painted: frames of it drawn, then of it painted; [H, W, 3]."""
    rows = []
    for effect in ASKED:
        if _place(folder, name, "painted", effect).exists():
            clips = [_clip(folder, name, way, effect)[SHOWN] for way in WAYS]
            rows.append(np.concatenate([frame for clip in clips for frame in clip], axis=1))
    return np.concatenate(rows)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
