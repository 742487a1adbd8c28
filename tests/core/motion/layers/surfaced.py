"""Pictures and clips for the layers that lie on the picture's own surface."""

import torch
from torch import Tensor

from microcinema_core.motion.layer import Layer
from microcinema_core.motion.layers.noise import sampled, tile
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut

SIZE = (160, 96)
STILL = Camera()


def smooth(size: tuple[int, int] = SIZE) -> Tensor:
    """A picture [3, H, W] without edges, the same at every size."""
    width, height = size
    x = ((torch.arange(width) + 0.5) / height).expand(height, width)
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    return torch.stack([0.5 + 0.12 * sampled(tile(seed, octaves=2), x / 2, y / 2) for seed in range(3)]).clamp(0, 1)


def below(row: int, size: tuple[int, int] = SIZE) -> Tensor:
    """A mask [H, W] of all rows from one on."""
    mask = torch.zeros(size[1], size[0])
    mask[row:] = 1
    return mask


def motion_of(
    *layers: tuple[Layer, Tensor | None], camera: Camera | None = None, region: Tensor | None = None
) -> Motion:
    motion = Motion(Plan(camera=Camera() if camera is None else camera))
    if region is not None:
        motion = motion.with_region(Region(horizontal=0.2), region)
    for layer, mask in layers:
        motion = motion.with_layer(layer, mask)
    return motion


def rendered(picture: Tensor, motion: Motion, frames: int = 49, fps: float = 24, *, loop: bool = False) -> Renderer:
    return Renderer(cut(picture, motion).filled(), Moments(motion.plan, frames, fps, loop))
