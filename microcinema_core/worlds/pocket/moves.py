"""What the camera and a cut-out do in a clip: amounts about those that words such as "pan left" mean."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from ...motion.easing import Ease
from ...motion.plan import Camera, Region
from ...motion.words.vocabulary import MEDIUM

MOVES, PASTED, MOVES_ITSELF = 0.65, 0.6, 2 / 3  # share of clips with a move, with a cut-out; of these, that goes
LEAST, MOST = 0.4, 2.0  # of a medium move
OFTEN = {"pan": 3, "tilt": 2, "zoom": 3, "roll": 1, "horizontal": 2, "vertical": 1, "dolly": 2, "shake": 1}
TOGETHER = (0.5, 0.35, 0.15)  # share of moves of one dial, of two and of three
PATH, GROWS, SPINS = 0.22, 1.35, 25.0  # widths that a cut-out goes, its factor and its degrees, at most
EASES = (Ease.LINEAR, Ease.EASE_IN_OUT)


def drawn_camera(rng: np.random.Generator) -> Camera:
    """At rest in a share of clips."""
    if rng.random() >= MOVES:
        return Camera()
    names, weights = list(OFTEN), np.array(list(OFTEN.values())) / sum(OFTEN.values())
    count = 1 + int(rng.choice(len(TOGETHER), p=TOGETHER))
    chosen = [names[i] for i in rng.choice(len(names), count, replace=False, p=weights)]
    return replace(Camera(), **{name: _amount(name, rng) for name in chosen})


def _amount(name: str, rng: np.random.Generator) -> float:
    """Of a camera's dial, either way."""
    share, way = float(rng.uniform(LEAST, MOST)), float(rng.choice([-1, 1]))
    if name == "zoom":
        return float(MEDIUM[name] ** (share * way))
    return MEDIUM[name] * share * (1.0 if name == "shake" else way)


def weaker(camera: Camera, share: float) -> Camera:
    """The same move, so much smaller."""
    dials = {f.name: getattr(camera, f.name) * share for f in fields(camera) if f.name not in ("zoom", "fov")}
    return replace(camera, zoom=camera.zoom**share, **dials)


def drawn_region(rng: np.random.Generator) -> Region:
    """A path, growth and spin, of which each may be none."""
    across, down, grows, spins = (float(rng.uniform(-1, 1)) * float(rng.random() < p) for p in (0.9, 0.7, 0.5, 0.4))
    return Region(
        horizontal=2 * PATH * across,
        vertical=PATH * down,
        zoom=float(GROWS**grows),
        roll=SPINS * spins,
        ease=EASES[int(rng.integers(len(EASES)))],
    )
