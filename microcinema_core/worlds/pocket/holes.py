"""What is missing of a picture under a camera: strips beyond its edges, and what stands or stood before something else.

Masks are as `motion/scene.py` makes them of a plate: 1 where the keyframe shows it, 0 where it is to be filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...motion.plates import grown
from .pool import read_cut_out, scaled_picture

STREAM = 1 << 44  # of crops and holes
STRIPS, BOTH = 0.55, 0.15  # shares of holes: beyond edges alone, and behind something too
SIDES = (0.45, 0.3, 0.1, 0.15)  # of strips: at one side, at two, three, four
STRIP = (0.04, 0.42)  # of the side, that a strip is wide; together no more than its end on either axis
CUT_OUT = (0.2, 0.6)  # of the side, that what stands before it is long
LEFT = 0.4  # of silhouettes: what one that has moved, or that is nearer, leaves free
MOVED = (0.04, 0.2)  # of the side, by so much
SHOWN = (0.6, 1.0)  # of a picture's shorter side, that a crop shows


def drawn_crop(path: Path, side: int, rng: np.random.Generator) -> Tensor:
    """A part of a picture, [3, side, side] in 0..1, perhaps mirrored. Raises InputError for what is no picture."""
    picture = scaled_picture(path, round(side / float(rng.uniform(*SHOWN))))
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[1:])
    crop = picture[:, top : top + side, left : left + side]
    return crop.flip(2) if rng.random() < 0.5 else crop


def drawn_hole(cut_outs: Sequence[Path], side: int, rng: np.random.Generator) -> Tensor:
    """What is known of a picture, [1, side, side] of 0 and 1; without cut-outs, strips alone are missing."""
    kind = rng.random() if cut_outs else 0.0
    known = torch.ones(1, side, side)
    if kind < STRIPS + BOTH:
        known = known * _within(side, rng)
    if kind >= STRIPS:
        known = known * (1 - silhouette(cut_outs[int(rng.integers(len(cut_outs)))], side, rng))
    return known


def _within(side: int, rng: np.random.Generator) -> Tensor:
    """Strips are missing at some sides, [1, side, side]."""
    count = 1 + int(rng.choice(len(SIDES), p=SIDES))
    low, high = STRIP
    known = torch.ones(1, side, side)
    for edge in rng.permutation(4)[:count]:
        shared = 1 if count == 1 else 2  # the other end of its axis may be missing too
        width = round(side * float(rng.uniform(low, high / shared)))
        along, start = 1 + int(edge) // 2, int(edge) % 2 * (side - width)
        known.narrow(along, start, width).zero_()
    return known


def silhouette(path: Path, side: int, rng: np.random.Generator) -> Tensor:
    """The silhouette of something, or what of it is no longer covered when it has moved: [1, side, side] of 0 and 1."""
    alpha = read_cut_out(path)[3:]
    scale = side * float(rng.uniform(*CUT_OUT)) / max(alpha.shape[1:])
    size = [max(2, round(length * scale)) for length in alpha.shape[1:]]
    small = F.interpolate(alpha[None], size, mode="bilinear", antialias=True)[0]
    left, top = (round(side * float(rng.uniform(0.1, 0.9)) - length / 2) for length in (size[1], size[0]))
    mask = _at(small, left, top, side)
    if rng.random() >= LEFT:
        return grown(mask)
    far, angle = side * float(rng.uniform(*MOVED)), float(rng.uniform(0, 2 * np.pi))
    still = _at(small, left + round(far * np.cos(angle)), top + round(far * np.sin(angle)), side)
    return grown(mask) * (1 - grown(still))


def _at(mask: Tensor, left: int, top: int, side: int) -> Tensor:
    """A mask [1, h, w] with its corner there, [1, side, side]; none of it may be within."""
    canvas = mask.new_zeros(1, side, side)
    within = mask[:, max(0, -top) : max(0, side - top), max(0, -left) : max(0, side - left)]
    y, x = max(0, top), max(0, left)
    canvas[:, y : y + within.shape[1], x : x + within.shape[2]] = within
    return canvas
