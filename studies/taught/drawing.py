"""Taught motions on other pictures: where, drawn by the renderer alone, and what lies outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from microcinema_core.media import Frames, to_uint8
from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Plan
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut
from microcinema_core.motion.taught import Taught
from microcinema_core.worlds.pocket.pool import scaled_picture

from .reader import Box

SHORTER = 192  # pixels of a picture
WIDE, HIGH = (0.35, 0.6), (0.45, 0.7)  # of the picture, that a region takes
TRIED = 30  # places for it: the one with most to see is taken
FRAMES, FPS = 49, 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A picture [3, H, W] and a part of it."""

    picture: Tensor
    box: Box

    @property
    def mask(self) -> Tensor:
        """[H, W]."""
        left, top, right, bottom = map(int, self.box)
        mask = torch.zeros(self.picture.shape[1:])
        mask[top:bottom, left:right] = 1
        return mask


def place_in(path: Path, seed: int) -> Place:
    """A picture of that file, and where in it there is most texture, of places of the seed."""
    picture = scaled_picture(path, SHORTER)
    height, width = picture.shape[1:]
    grey = cv2.cvtColor(to_uint8(picture), cv2.COLOR_RGB2GRAY)
    slopes = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    rng = np.random.default_rng([seed, 11])
    best: tuple[float, Box] = (-1.0, (0, 0, 1, 1))
    for _ in range(TRIED):
        wide, high = int(rng.uniform(*WIDE) * width), int(rng.uniform(*HIGH) * height)
        left, top = int(rng.integers(2, width - wide - 1)), int(rng.integers(2, height - high - 1))
        part = cv2.GaussianBlur(slopes[top : top + high, left : left + wide], (0, 0), 6)
        best = max(best, (float(np.quantile(part, 0.1)), (left, top, left + wide, top + high)))
    return Place(picture, best[1])


def drawn(place: Place, taught: Taught | None, seed: int) -> Frames:
    """uint8 [T, H, W, 3]; None: the same clip without the file."""
    layers = () if taught is None else (Layer(LayerKind.TAUGHT, seed=seed, taught=taught),)
    plan = Plan(layers=layers)
    scene = cut(place.picture, Motion(plan, layer_masks=tuple(place.mask for _ in layers))).filled()
    renderer = Renderer(scene, Moments(plan, FRAMES if layers else 2, FPS))
    return np.stack([to_uint8(frame.picture) for frame in renderer])


def outside(frames: Frames, place: Place) -> int:
    """The most by which anything outside the region differs from the picture, of 255."""
    away = place.mask.numpy() == 0
    return int(np.abs(frames[:, away].astype(int) - to_uint8(place.picture)[away]).max())
