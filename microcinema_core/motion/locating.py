"""Layers and where they belong: a mask of their own, a place that was found or painted, or everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ..errors import InputError
from .layer import CALLED, Group, Layer, Place
from .scene import Motion

DISTANT = (Group.AIR, Group.PARTICLES)  # what is drawn between near and far


def lacking(motion: Motion) -> frozenset[Place]:
    """The places that layers of a motion belong to, and whose masks they have not."""
    pairs = zip(motion.plan.layers, motion.masks_of_layers, strict=True)
    places = {layer.where for layer, mask in pairs if mask is None and layer.amount > 0}
    return frozenset(place for place in places if place not in (None, Place.EVERYWHERE))


def wants_distance(motion: Motion) -> bool:
    """Whether any layer looks otherwise where it is known how far everything is, and that is not known yet."""
    drawn = any(layer.amount > 0 and layer.kind.group in DISTANT for layer in motion.plan.layers)
    return drawn and motion.depth is None and motion.distance is None


def located(motion: Motion, masks: Mapping[Place, Tensor], *, everywhere: bool = False) -> Motion:
    """The motion with each layer's mask: its own, its place's, or None for all of the picture.

    masks: of places, [1, H, W], 1 = there. everywhere: draw all over the picture what has no place.
    Raises InputError for a layer whose place is not among them, with the ways out, and for one that needs a mask.
    """
    numbered = enumerate(zip(motion.plan.layers, motion.masks_of_layers, strict=True), start=1)
    found = tuple(_mask(number, layer, mask, masks, everywhere) for number, (layer, mask) in numbered)
    return replace(motion, layer_masks=found)


def _mask(
    number: int, layer: Layer, mask: Tensor | None, masks: Mapping[Place, Tensor], everywhere: bool
) -> Tensor | None:
    place = layer.where
    if mask is not None or layer.amount == 0 or place is Place.EVERYWHERE:
        return mask
    if place is None:
        if everywhere:
            return None
        raise InputError(
            f"layer {number} ({layer.kind}) needs a mask: paint the part of the picture that it holds, "
            f"and give it as --layer {layer.kind}:mask=FILE.png or by the node's mask"
        )
    if place in masks:
        return masks[place]
    if everywhere:
        return None
    raise InputError(
        f"layer {number} ({layer.kind}) belongs to {CALLED[place]}, and none was found in this picture; paint where it "
        f"is and give that as its mask (--layer {layer.kind}:mask=FILE.png, --masks-in, or the node's mask), or draw "
        "it everywhere (--everywhere, or place=everywhere)"
    )


def with_places(motion: Motion, masks: Mapping[Place, Tensor]) -> Motion:
    """The motion with the masks [1, H, W] of places for those of its layers that lack them; others are left as is."""
    pairs = zip(motion.plan.layers, motion.masks_of_layers, strict=True)
    found = tuple(masks.get(layer.where) if mask is None and layer.where else mask for layer, mask in pairs)
    return replace(motion, layer_masks=found)
