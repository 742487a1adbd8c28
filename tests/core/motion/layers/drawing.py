"""Scenes to draw over: plain pictures, and what their frames show in linear light."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut


def plain(width: int, height: int, level: float = 0.0) -> Tensor:
    return torch.full((3, height, width), level)


def photo(width: int = 96, height: int = 64, seed: int = 0) -> Tensor:
    """Something with a bright sky, dark ground and detail in all its colours."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand((1, 3, height // 8, width // 8), generator=generator)
    detail = torch.nn.functional.interpolate(small, (height, width), mode="bicubic")[0]
    sky = torch.linspace(0.9, 0.1, height)[None, :, None]
    return (0.6 * sky + 0.4 * detail).clamp(0, 1)


def renderer(
    picture: Tensor,
    *layers: Layer,
    camera: Camera | None = None,
    masks: tuple[Tensor | None, ...] = (),
    distance: Tensor | None = None,
    frames: int = 49,
    fps: float = 24,
    loop: bool = False,
    **more: Any,
) -> Renderer:
    plan = Plan(Camera() if camera is None else camera, layers=layers, **more)
    motion = Motion(plan, layer_masks=masks, distance=distance)
    return Renderer(cut(picture, motion).filled(), Moments(plan, frames, fps, loop))


def layer(kind: str, **settings: Any) -> Layer:
    return Layer(LayerKind(kind), **settings)


def light_of(pixels: Tensor) -> Tensor:
    """sRGB by its own definition, in float64."""
    x = pixels.double()
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
