"""Pictures that say how much of something is where: masks and depth, as one number for each pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from .pictures import opened_picture, upright


def read_mask(path: Path) -> Tensor:
    """A mask [H, W] in 0..1, 1 = selected: the picture's opacity where any of it is transparent, else its brightness.

    Raises InputError for whatever cannot be read as a picture.
    """
    with opened_picture(path) as image:
        turned = upright(image)
        if turned.has_transparency_data:
            opacity = np.asarray(turned.convert("RGBA"))[..., 3]
            if opacity.min() < 255:
                return torch.from_numpy(opacity / np.float32(255))
        return _brightness(turned, path)


def read_depth(path: Path) -> Tensor:
    """A depth picture [1, H, W] in 0..1: its brightness, of all its 8 or 16 bits. Raises InputError as `read_mask`."""
    with opened_picture(path) as image:
        return _brightness(upright(image), path)[None]


def _brightness(image: Image.Image, path: Path) -> Tensor:
    """[H, W] in 0..1."""
    if image.mode == "F":
        raise InputError(f"{path}: the picture has floating-point pixels; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        return torch.from_numpy(np.clip(np.asarray(image), 0, 65535).astype(np.float32) / 65535)
    return torch.from_numpy(np.asarray(image.convert("L")) / np.float32(255))
