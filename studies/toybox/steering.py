"""Whether a motion plan steers Toybox as it is: `python -m studies.toybox.steering`.

The keyframe's shape is a region with a path of its own, drawn at random; the prompt's own motion is off (`motion` 0).
A clip is right when the tracker finds the shape, in every frame, within WITHIN pixels of where the plan puts it,
counted from where it is seen in the keyframe, with its colour and shape.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind
from microcinema_core.files import written_whole
from microcinema_core.media import save_picture
from microcinema_core.media.grid import laid_out
from microcinema_core.motion.easing import Ease
from microcinema_core.motion.plan import Plan, Region
from microcinema_core.motion.scene import Motion
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.worlds.toybox.tracker import read_frame
from microcinema_core.worlds.toybox.triples import FPS, Triple, read_triples
from microcinema_core.worlds.toybox.world import EXTENT, MARGIN, Scene, mask

from ..cases import SIZE
from ..shares import Share

CLIPS, SEED = 100, 7
WITHIN = 3.0  # pixels of 128
LEAST, MOST = 0.2, 0.7  # sides that a shape goes in all
FRAMES = 9
SHOWN = 4  # clips on the sheet
Frames = NDArray[np.uint8]


def random_path(scene: Scene, rng: np.random.Generator) -> tuple[float, float] | None:
    """How far right and up a shape goes, in sides, half of it before the keyframe, and stays in view; None: nowhere."""
    room = EXTENT * scene.radius + MARGIN
    for _ in range(1000):
        across, up = rng.uniform(-MOST, MOST, 2)
        ends = [(scene.x + s * across / 2, scene.y - s * up / 2) for s in (-1, 1)]
        if math.hypot(across, up) >= LEAST and all(room <= v <= 1 - room for end in ends for v in end):
            return float(across), float(up)
    return None


def motion_of(triple: Triple, path: tuple[float, float]) -> Motion:
    region = Region(horizontal=path[0], vertical=path[1])
    drawn = torch.from_numpy(mask(triple.scene, 0.0, SIZE)).float()
    return Motion(Plan(regions=(region,), ease=Ease.LINEAR), (drawn,))


def off_path(frames: Frames, scene: Scene, path: tuple[float, float]) -> float:
    """The largest distance in pixels from the path over all frames; infinite where it is another shape, or none."""
    seen = [read_frame(frame) for frame in frames]
    if not all(one.found for one in seen):
        return math.inf
    shapes = [one.shape for one in seen]
    if max(set(shapes), key=shapes.count) != scene.shape or any(one.colour != scene.colour for one in seen):
        return math.inf
    key = seen[FRAMES // 2]
    shares = [i / (FRAMES - 1) - 0.5 for i in range(FRAMES)]
    return max(
        math.hypot(one.x - key.x - s * path[0] * SIZE, one.y - key.y + s * path[1] * SIZE)
        for one, s in zip(seen, shares, strict=True)
    )


def _line(name: str, distances: Sequence[float]) -> str:
    right = Share.of([distance <= WITHIN for distance in distances])
    middle = median(distances)
    told = f"{middle:.2f}" if math.isfinite(middle) else "another shape"
    return f"| {name} | {len(distances)} | {right} | {told} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--out", type=Path, default=Path("docs/results/toybox-steering.md"))
    options = parser.parse_args(arguments)
    pipeline = MicroCinemaPipeline.from_pretrained(embedded(Kind.VIDEO))
    triples, rng = read_triples("final"), np.random.default_rng(SEED)
    free = [(triple, path) for triple in triples if (path := random_path(triple.scene, rng)) is not None]
    chosen = [free[i * len(free) // options.clips] for i in range(options.clips)]
    led: list[float] = []
    alone: list[float] = []
    sheets: list[Frames] = []
    for seed, (triple, path) in enumerate(tqdm(chosen, desc="steering")):
        for distances, motion in ((led, motion_of(triple, path)), (alone, None)):
            clip = pipeline(triple.keyframe(SIZE), triple.prompt, ShotConfig(motion=0.0), seed=seed, motion=motion)
            distances.append(off_path(clip.frames[0], triple.scene, path))
            if motion is not None and seed < SHOWN:
                sheets.extend(clip.frames[0])
    save_picture(options.out.with_suffix(".png"), laid_out(sheets, FRAMES, 2), {"what": "clips led by a plan"})
    text = [
        "# A motion plan steers Toybox as it is",
        "",
        f"`python -m studies.toybox.steering --clips {options.clips}`: the keyframe's shape is a region with a random",
        f"path of {LEAST} to {MOST} sides; the prompt's own motion is off. Right: in every one of {FRAMES} frames,",
        f"{FPS:g} a second, within {WITHIN:g} of {SIZE} pixels of where the plan puts it, with its colour and shape.",
        "95 % intervals in brackets.",
        "",
        "| clips | n | right | furthest off the path in a clip, pixels, median |",
        "|---|---|---|---|",
        _line("led by the plan", led),
        _line("the same without a plan", alone),
        "",
        f"![Clips, one a row]({options.out.with_suffix('.png').name})",
        "",
    ]
    with written_whole(options.out) as temporary:
        temporary.write_text("\n".join(text), encoding="utf-8")
    sys.stdout.write("\n".join(text))


if __name__ == "__main__":
    main()
