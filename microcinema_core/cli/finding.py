"""Where sky, water, plants and people are: said to a person, written as pictures, shown in a preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..motion.layer import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ..media import Frames
    from ..places.find import Found

TINTS = {Place.SKY: (255, 0, 255), Place.WATER: (0, 255, 255), Place.PLANTS: (255, 255, 0), Place.PEOPLE: (255, 0, 0)}
TINT = 0.5  # how much of a tint covers what is found


def noted(found: Found) -> dict[str, Any]:
    """The same for a program."""
    return {
        str(place): {
            "found": place in found.places,
            "sure": round(found.sure[place], 3),
            "area": round(float(found.masks[place].mean()), 4),
        }
        for place in TINTS
    }


def save_found(folder: Path, found: Found, size: tuple[int, int], settings: dict[str, Any]) -> None:
    """All masks, as large as the picture: size is its width and height."""
    import torch.nn.functional as F

    from ..media import save_masks

    masks = {
        str(place): mask
        if tuple(mask.shape[1:]) == size[::-1]
        else F.interpolate(mask[None], size[::-1], mode="bilinear")[0]
        for place, mask in found.masks.items()
    }
    save_masks(folder, masks, settings)


def tinted(picture: Tensor, masks: Mapping[Place, Tensor]) -> Frames:
    """A picture [3, H, W], pixels 0..1, with each place's mask [1, H, W] in a colour of its own: uint8 [H, W, 3]."""
    from ..media import to_uint8

    for place, mask in masks.items():
        tint = picture.new_tensor(TINTS[place]).view(3, 1, 1) / 255
        picture = picture.lerp(tint, TINT * mask)
    return to_uint8(picture)
