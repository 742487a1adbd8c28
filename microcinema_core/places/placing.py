"""A motion's layers brought to where they belong in a picture, by what is found there."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from torch import Tensor

from ..motion.locating import lacking, located, wants_distance
from ..motion.scene import Motion
from .find import Found, find
from .network import PLACES


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """motion: its layers with their masks. found: what was looked for in the picture; None: nothing had to be."""

    motion: Motion
    found: Found | None


def told(found: Found) -> str:
    """What was found, how much of the picture it is and how sure that is, for a person."""
    parts = (
        f"{place} {100 * float(found.masks[place].mean()):.0f} % (sure: {found.sure[place]:.2f})"
        for place in PLACES
        if place in found.places
    )
    return f"found: {', '.join(parts) or 'no sky, water, plants, people or animals'}"


def placed(
    picture: Tensor,
    motion: Motion,
    *,
    everywhere: bool = False,
    look: bool = False,
    undrawn: Container[int] = (),
) -> Placed:
    """Find in a picture [3, H, W], pixels 0..1, what the layers of a motion lack.

    everywhere: draw all over the picture what has no place in it. look: look for all places in any case. undrawn: the
    numbers of layers of which only their places are wanted.
    Raises InputError for a layer whose place is not in the picture, and for one that needs a mask.
    """
    needed, far = lacking(motion), wants_distance(motion.without_layers(undrawn))
    if not (needed or look or far):
        return Placed(located(motion, {}, everywhere=everywhere), None)
    found = find(picture, asked=needed)
    if far:
        motion = replace(motion, distance=found.distance)
    masks = {place: found.masks[place] for place in found.places}
    return Placed(located(motion, masks, everywhere=everywhere), found)
