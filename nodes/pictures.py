"""IMAGEs and MASKs of the host as the core's pictures, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management
from torch import Tensor

from ..microcinema_core.errors import InputError
from .finite import is_finite

MANY = "take one with Get Image from Batch"


def one_picture(image: Tensor, place: str) -> Tensor:
    """IMAGE [1, H, W, 3 or 4] -> [3, H, W], pixels 0..1, float32. place: `node: input`, for messages.

    Raises InputError for several pictures, for none, and for NaN.
    """
    check_pictures(image, place)
    if len(image) != 1:
        raise InputError(f"{place} holds {len(image)} pictures, and one is wanted; {MANY}")
    return image[0, ..., :3].float().movedim(-1, 0)


def check_pictures(image: Tensor, place: str) -> None:
    """Raises InputError for what is no batch of pictures [N, H, W, 3 or 4] of finite numbers."""
    if image.ndim != 4 or 0 in image.shape or image.shape[3] not in (3, 4):
        raise InputError(f"{place} has shape {list(image.shape)}; connect a picture in colour that is not empty")
    if not is_finite(image):
        raise InputError(f"{place} holds NaN or infinity; look for the node it comes from")


@contextmanager
def said_by(title: str) -> Iterator[None]:
    """Puts a node's name before what the core says of its inputs."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{title}: {error}") from error


def as_image(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] -> IMAGE [N, H, W, 3], where the host keeps results."""
    return pictures.movedim(1, -1).contiguous().to(comfy.model_management.intermediate_device())
