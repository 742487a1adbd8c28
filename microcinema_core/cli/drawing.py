"""What is drawn into a picture: the layers of options, of words and of a plan's file, and where they belong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..motion.layer import CALLED, Layer, Place
from .layers import ToldLayer

if TYPE_CHECKING:
    from torch import Tensor

    from ..motion.scene import Motion

ReadMask = Callable[[Path], "Tensor"]


def spoken(layers: Iterable[Layer], told: Sequence[ToldLayer], seed: int | None) -> list[Layer]:
    """The layers that words ask for and no option does. seed: of all of them, where one is given."""
    named = {one.layer.kind for one in told if one.layer is not None}
    return [layer if seed is None else replace(layer, seed=seed) for layer in layers if layer.kind not in named]


def with_layers(
    motion: Motion,
    told: Sequence[ToldLayer],
    words: Sequence[Layer],
    read: ReadMask,
    painted: Sequence[tuple[Layer, Tensor | None]] = (),
) -> Motion:
    """The motion with what options and words draw. read: a file's mask [H, W]. painted: layers and their masks.

    Raises InputError for the mask of a layer that the plan does not have.
    """
    motion = replace(motion, layer_masks=_masks(motion, told, read))
    for layer in words:
        motion = motion.with_layer(layer)
    for layer, mask in painted:
        motion = motion.with_layer(layer, mask)
    for one in told:
        if one.layer is not None:
            motion = motion.with_layer(one.layer, None if one.mask is None else read(one.mask))
    return motion


def _masks(motion: Motion, told: Sequence[ToldLayer], read: ReadMask) -> tuple[Tensor | None, ...]:
    """Masks of the plan's own layers, which options give by number."""
    masks = list(motion.masks_of_layers)
    for one in told:
        if one.number is None or one.mask is None:
            continue
        if one.number > len(masks):
            raise InputError(f"--layer {one.number}:mask={one.mask}: the plan has {len(masks)} layers; count from 1")
        masks[one.number - 1] = read(one.mask)
    return tuple(masks)


def read_places(folder: Path, picture: tuple[int, int] | None) -> dict[Place, Tensor]:
    """The masks [1, H, W] of places that a folder holds; an empty one says that it is not there.

    picture: its width and height, where they are known.
    Raises InputError for files that cannot be used.
    """
    from ..media import read_masks
    from ..motion.plates import sized_mask

    found = read_masks(folder, list(map(str, CALLED)))
    if picture is not None:
        found = {name: sized_mask(mask, picture, f"{folder / name}.png: the mask") for name, mask in found.items()}
    return {Place(name): mask.reshape(1, *mask.shape[-2:]) for name, mask in found.items()}
