"""What the composer brings: `python -m studies.pocket.composer COMPOSER POOL --out FOLDER --split select`.

POOL is what `studies.pocket.pictures` wrote, at full size. Clips of each of Pocket's ten changes, on pictures that no
training saw, at one, two and four times the model's size; a perfect network is assumed: D(z) is the truth through the
autoencoder. Writes FOLDER/figures.md and figures.json:

- decibels against the truth, means of frames: the guide, which lacks the change, D(z) enlarged, the plain form, and the
  composer;
- sharpness, the mean gradient over the truth's;
- ghosts, where wind or ripples moved detail: of fine detail there, how far from the truth towards the frame in which
  nothing moved. 1: the old detail stands there, whole; 0: none of it. What is merely blurred is half-way.

With --shown, a folder of pictures, also sheet.jpg: rows of truth, guide, D(z), plain and composer; and help.jpg.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from microcinema_core.checkpoint.load import load_composer
from microcinema_core.config import ClipConfig
from microcinema_core.media import Frames, to_uint8
from microcinema_core.media.grid import laid_out
from microcinema_core.models.composer import Composer
from microcinema_core.shot.composing import compose, resized
from microcinema_core.standalone.autoencoders import LatentCodec
from microcinema_core.standalone.components import load_codec
from microcinema_core.standalone.precision import bfloat16_pays
from microcinema_core.training.composer import decibels
from microcinema_core.training.data.pocket_files import Clips, read_clips, write_clips
from microcinema_core.worlds.pocket.effects import ASKED, Asked, Effect
from microcinema_core.worlds.pocket.pool import Pool, Split
from microcinema_core.worlds.pocket.world import Clip, clip_at

from ..shares import table

SIZES: dict[int, int] = {1: 256, 2: 256, 4: 512}  # pixels of a frame, by how many times the model's size that is
LEAST = {256: 0, 512: 570}  # of a picture's shorter side
FRAMES, FPS = 3, 0.5  # two seconds before the keyframe, the keyframe, two seconds after
WAYS = ("guide", "D(z)", "plain", "composer")
MOVED = (Effect.WIND, Effect.RIPPLES)
FINE, DIFFERS = 9, 0.02  # pixels that fine detail is smaller than; how much of it, at least, should have gone
SEED = 9
START = Path(__file__).parent / "start"


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Frames [N, 3, H, W], pixels 0..1: the truth, and each of WAYS. acts: [N, 1, H, W], where the change may act."""

    truth: Tensor
    ways: dict[str, Tensor]
    acts: Tensor


@dataclass(slots=True)
class Figures:
    """Of one change at one size, a number for each frame by way."""

    db: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    sharpness: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    ghosts: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})

    def add(self, made: Made, effect: Effect) -> None:
        for way, frames in made.ways.items():
            self.db[way] += decibels(frames, made.truth).tolist()
            self.sharpness[way] += (_gradient(frames) / _gradient(made.truth)).tolist()
            if effect in MOVED:
                self.ghosts[way] += ghosts(frames, made)

    def means(self) -> dict[str, dict[str, float]]:
        """By figure and way; `lowest`: the composer less the plain form, of the frame where that is least."""
        found = {"db": self.db, "sharpness": self.sharpness, "ghosts": self.ghosts}
        means = {name: {way: fmean(of) for way, of in ways.items() if of} for name, ways in found.items()}
        least = min(ours - plain for ours, plain in zip(self.db["composer"], self.db["plain"], strict=True))
        return means | {"lowest": {"composer": least}}


def _gradient(frames: Tensor) -> Tensor:
    """[N]"""
    return frames.diff(dim=-1).abs().flatten(1).mean(dim=1)


def ghosts(frames: Tensor, made: Made) -> list[float]:
    """Of each frame in which detail should have gone."""
    truth, old, ours = (_fine(one) for one in (made.truth, made.ways["guide"], frames))
    away = old - truth
    where = (made.acts > 0.5) & (_near(away.square().mean(1, keepdim=True)).sqrt() > DIFFERS)
    found = []
    for number in range(len(frames)):
        there = where[number].expand(3, -1, -1)
        if int(there.sum()) > 3 * FINE**2:
            gone, error = away[number][there], (ours - truth)[number][there]
            found.append(float((gone * error).sum() / gone.square().sum()))
    return found


def _fine(frames: Tensor) -> Tensor:
    return frames - _near(frames)


def _near(frames: Tensor) -> Tensor:
    """Means of what is near, of the same size."""
    return F.avg_pool2d(frames, FINE, 1, FINE // 2, count_include_pad=False)


@torch.no_grad()
def made_of(clips: Clips | Clip, factor: int, codec: LatentCodec, network: Composer | None) -> Made:
    """Clips' frames in all ways, at so many times the model's size."""
    parts = (clips.truth, clips.guide, clips.known, clips.mask)
    truth, drawn, known, acts = (part.flatten(0, -4).float() / 255 for part in parts)
    side = truth.shape[-1]
    small = (side // factor, side // factor)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays(torch.device("cpu"))):
        coded, guide = (codec.decode(codec.encode(resized(frames, small))) for frames in (truth, drawn))
    ways = {
        "guide": drawn,
        "D(z)": resized(coded, (side, side)),
        "plain": compose(coded, guide, drawn, known),
        "composer": compose(coded, guide, drawn, known, network),
    }
    return Made(truth, ways, acts)


def clips_of(options: argparse.Namespace, side: int) -> Iterator[tuple[Effect, Clips]]:
    """So many of each change, drawn once and kept."""
    folder = options.out / f"clips-{options.split}-{side}"
    folder.mkdir(parents=True, exist_ok=True)
    for effect in ASKED:
        path = folder / f"{effect}-{options.clips}.safetensors"
        if not path.exists():
            seed, pool = SEED + list(Effect).index(effect), Pool.of(options.pool, options.split, LEAST[side])
            clip = ClipConfig(FRAMES, FPS, side, side)
            write_clips(
                path, [clip_at(pool, clip, seed, number, asked=Asked(effect)) for number in range(options.clips)]
            )
        yield effect, read_clips(path)


def measured(options: argparse.Namespace) -> dict[int, dict[Effect, Figures]]:
    """By times the model's size, then by change."""
    codec, network = load_codec(options.autoencoder), load_composer(options.composer)
    figures: dict[int, dict[Effect, Figures]] = {factor: {effect: Figures() for effect in ASKED} for factor in SIZES}
    for side in sorted(set(SIZES.values())):
        for effect, clips in clips_of(options, side):
            for factor in (factor for factor, of in SIZES.items() if of == side):
                figures[factor][effect].add(made_of(clips, factor, codec, network), effect)
            sys.stderr.write(f"{side} {effect}\n")
    return figures


Means = dict[int, dict[Effect, dict[str, dict[str, float]]]]


def to_markdown(found: Means) -> str:
    """The tables; each cell has x1 / x2 / x4."""
    rows = [
        [
            effect,
            *(_cell([found[factor][effect]["db"][way] for factor in SIZES], 1) for way in WAYS),
            *(_cell([found[factor][effect]["sharpness"][way] for factor in SIZES], 2) for way in ("plain", "composer")),
            _cell([found[factor][effect]["lowest"]["composer"] for factor in SIZES], 1),
        ]
        for effect in ASKED
    ]
    every = [
        "all ten",
        *(_cell([_mean(found[factor], "db", way) for factor in SIZES], 1) for way in WAYS),
        *(_cell([_mean(found[factor], "sharpness", way) for factor in SIZES], 2) for way in ("plain", "composer")),
        _cell([min(of["lowest"]["composer"] for of in found[factor].values()) for factor in SIZES], 1),
    ]
    header = ["x1 / x2 / x4", *WAYS, "sharpness, plain", "sharpness, composer", "worst frame beside plain"]
    moved = [
        [effect, *(_cell([found[factor][effect]["ghosts"].get(way, np.nan) for factor in SIZES], 2) for way in WAYS)]
        for effect in MOVED
    ]
    return f"{table(header, [*rows, every])}\n\n{table(['ghosts', *WAYS], moved)}\n"


def _cell(values: Sequence[float], digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)


def _mean(of: dict[Effect, dict[str, dict[str, float]]], name: str, way: str) -> float:
    return fmean(one[name][way] for one in of.values())


def shown(options: argparse.Namespace) -> list[Frames]:
    """Of some changes truth, guide, D(z), plain and composer, [5, H, W, 3] each; the model at half the size."""
    codec, network = load_codec(options.autoencoder), load_composer(options.composer)
    pictures = tuple(sorted(options.shown.glob("*.jpg")))
    rows = []
    for number, effect in enumerate((Effect.FOG, Effect.WIND, Effect.RIPPLES, Effect.BRIGHTER, Effect.DARKER)):
        pool = Pool((pictures[number % len(pictures)],), ())
        clip = clip_at(pool, ClipConfig(FRAMES, FPS, 256, 256), SEED, number, asked=Asked(effect))
        made = made_of(clip, 2, codec, network)
        rows.append(to_uint8(torch.cat([frames[-1:] for frames in (made.truth, *made.ways.values())])))
    return rows


def save_sheets(rows: Sequence[Frames], out: Path) -> None:
    """All of it, and of two changes the guide, D(z) and the composer."""
    few = [row[[1, 2, 4]] for row in (rows[0], rows[3])]
    for name, some in (("sheet", rows), ("help", few)):
        sheet = laid_out(np.concatenate(some), len(some[0]), 2)
        Image.fromarray(sheet).save(out / f"{name}.jpg", quality=90)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("composer", type=Path)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--autoencoder", type=Path, default=START / "pocket-autoencoder.safetensors")
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.SELECT)
    parser.add_argument("--clips", type=int, default=4, help="of each change at each size of frames")
    parser.add_argument("--shown", type=Path, help="a folder of pictures for a sheet")
    parser.add_argument("--out", type=Path, default=Path("out/pocket-composer-figures"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.shown:
        save_sheets(shown(options), options.out)
    found = {size: {effect: of.means() for effect, of in by.items()} for size, by in measured(options).items()}
    told = to_markdown(found)
    (options.out / "figures.md").write_text(told, encoding="utf-8")
    (options.out / "figures.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    sys.stdout.write(told)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
