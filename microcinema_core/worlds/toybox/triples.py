"""The fixed lists that Toybox models are scored on: (scene, prompt, seed) triples and still prompts.

`final` is for the acceptance of a trained model, `select` for choosing checkpoints and sampler settings. They are
files, so that a figure can be repeated; `python -m microcinema_core.worlds.toybox.triples` writes them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...shot.timing import frame_times
from .captions import caption, still_caption
from .world import Colour, Motion, Scene, Shape, Speed, combinations, render, sample_scene

ASSETS = Path(__file__).parents[3] / "assets" / "toybox"
EVALUATION_STREAM = 0x70B0  # first word of every seed here: training's streams never start with it
FRAMES, FPS, KEYFRAME = 9, 2.0, 4
TIMES = frame_times(FRAMES, FPS, KEYFRAME)
LISTS = {"final": (1, 200), "select": (2, 48)}  # name -> (its seed, triples per group)
STILL_SEED, STILL_PROMPTS = 3, 200


@dataclass(frozen=True, slots=True)
class Triple:
    """One clip to generate: the keyframe shows `scene` at time 0, the prompt tells its motion."""

    scene: Scene
    prompt: str
    seed: int
    held_out: bool

    def keyframe(self, size: int) -> NDArray[np.uint8]:
        """[size, size, 3], RGB 0..255."""
        return render(self.scene, [0.0], size)[0]

    def to_dict(self) -> dict[str, Any]:
        return {"scene": self.scene.to_dict(), "prompt": self.prompt, "seed": self.seed, "held_out": self.held_out}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Triple:
        return cls(Scene.from_dict(data["scene"]), data["prompt"], data["seed"], data["held_out"])


@dataclass(frozen=True, slots=True)
class StillPrompt:
    """A sentence about one picture, with what the picture has to show."""

    prompt: str
    shape: Shape
    colour: Colour
    seed: int

    def to_dict(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "shape": str(self.shape), "colour": str(self.colour), "seed": self.seed}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StillPrompt:
        return cls(data["prompt"], Shape(data["shape"]), Colour(data["colour"]), data["seed"])


def _stream(list_seed: int, *index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([EVALUATION_STREAM, list_seed, *index]))


def _even_order(rng: np.random.Generator, held_out: bool) -> list[tuple[Shape, Colour, Motion]]:
    """The group's combinations with the motions taking turns: every multiple of 8 of them has all motions equally."""
    pool = list(combinations(held_out))
    by_motion = [[c for c in pool if c[2] is motion] for motion in Motion]
    shuffled = [[group[i] for i in rng.permutation(len(group))] for group in by_motion]
    return list(chain.from_iterable(zip(*shuffled, strict=True)))


def _draw(rng: np.random.Generator, combination: tuple[Shape, Colour, Motion], speed: Speed) -> Scene:
    """A scene of this combination and speed, rounded as its JSON form is. Shape and colour do not bear on the place."""
    shape, colour, motion = combination
    while True:
        drawn = sample_scene(rng, TIMES, held_out=None)
        if (drawn.motion, drawn.speed) == (motion, speed):
            scene = Scene.from_dict(replace(drawn, shape=shape, colour=colour).to_dict())
            if scene.in_view(TIMES):
                return scene


def make_triples(name_seed: int, per_group: int) -> list[Triple]:
    """`per_group` clips of trained combinations, then as many of held-out ones.

    Each is 9 frames at 2 frames per second with the keyframe in the middle; motions and speeds are drawn evenly.
    """
    triples = []
    for group, held_out in enumerate((False, True)):
        order = _even_order(_stream(name_seed, group), held_out)
        for i in range(per_group):
            rng = _stream(name_seed, group, i)
            speed = list(Speed)[(i + i // len(Motion)) % 2]
            scene = _draw(rng, order[i % len(order)], speed)
            triples.append(Triple(scene, caption(scene, rng, complete=True), int(rng.integers(2**31)), held_out))
    return triples


def make_prompts(name_seed: int, count: int) -> list[StillPrompt]:
    """Still prompts that go through all pairs of shape and colour in turn."""
    pairs = list(product(Shape, Colour))
    prompts = []
    for i in range(count):
        rng = _stream(name_seed, i)
        shape, colour = pairs[i % len(pairs)]
        scene = replace(sample_scene(rng, [0.0], held_out=None), shape=shape, colour=colour)
        prompts.append(StillPrompt(still_caption(scene, rng), shape, colour, int(rng.integers(2**31))))
    return prompts


def write_json(path: Path, items: Sequence[Triple | StillPrompt], *, force: bool = False) -> None:
    """One item a line. Raises InputError if the file is there and `force` is not set."""
    if path.exists() and not force:
        raise InputError(f"{path} exists; figures refer to it. Add --force to replace it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(item.to_dict()) for item in items)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_triples(name: str, folder: Path = ASSETS) -> list[Triple]:
    """The list called `name`, "final" or "select". Raises InputError where its file is missing."""
    path = folder / f"triples-{name}.json"
    if not path.exists():
        raise InputError(
            f"{path} is missing; the lists are {', '.join(LISTS)}: python -m microcinema_core.worlds.toybox.triples"
        )
    return [Triple.from_dict(item) for item in json.loads(path.read_text(encoding="utf-8"))]


def read_prompts() -> list[StillPrompt]:
    """The 200 still prompts. Raises InputError where their file is missing."""
    path = ASSETS / "prompts.json"
    if not path.exists():
        raise InputError(f"{path} is missing; write it: python -m microcinema_core.worlds.toybox.triples")
    return [StillPrompt.from_dict(item) for item in json.loads(path.read_text(encoding="utf-8"))]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the fixed evaluation lists of the Toybox world.")
    parser.add_argument("--folder", type=Path, default=ASSETS)
    parser.add_argument("--force", action="store_true", help="replace lists that are there")
    options = parser.parse_args(arguments)
    for name, (seed, per_group) in LISTS.items():
        write_json(options.folder / f"triples-{name}.json", make_triples(seed, per_group), force=options.force)
    write_json(options.folder / "prompts.json", make_prompts(STILL_SEED, STILL_PROMPTS), force=options.force)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(str(error)) from error
