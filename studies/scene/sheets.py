"""Pictures to look at: a grid to label by, and masks over the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from microcinema_core.motion.layer import Place
from microcinema_core.places.find import Found
from microcinema_core.places.network import PLACES

from .labels import IGNORED, Levels

COLOURS: Mapping[Place, tuple[int, int, int]] = {
    Place.SKY: (255, 0, 255),
    Place.WATER: (0, 255, 255),
    Place.PLANTS: (255, 255, 0),
    Place.PEOPLE: (255, 0, 0),
}
TILE = (400, 300)  # pixels, width and height
EDGE, LINE = 20, 10  # pixels about a grid, and percent between its lines


def grid(picture: Levels, name: str) -> Levels:
    """A picture under a grid in percent, as labels are read off it, with its name. [H, W, 3]."""
    height, width = picture.shape[:2]
    sheet = np.full((height + 2 * EDGE, width + 2 * EDGE, 3), 30, np.uint8)
    sheet[EDGE : EDGE + height, EDGE : EDGE + width] = picture
    for percent in range(0, 101, LINE):
        x, y = EDGE + width * percent // 100, EDGE + height * percent // 100
        sheet[EDGE : EDGE + height : 6, min(x, EDGE + width - 1)] = 255
        sheet[min(y, EDGE + height - 1), EDGE : EDGE + width : 6] = 255
        _write(sheet, str(percent), (x - 6, EDGE - 6))
        _write(sheet, str(percent), (0, y + 4))
    _write(sheet, name, (EDGE, height + 2 * EDGE - 6))
    return sheet


def labelled(picture: Levels, mask: Levels) -> Levels:
    """A picture [H, W, 3] with its label's mask over it."""
    near = cv2.resize(mask, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    shares = {place: (near == value).astype(np.float32) for value, place in enumerate(PLACES, 1)}
    return _painted(np.where(near[..., None] == IGNORED, picture // 2, picture), shares)


def found_over(picture: Levels, found: Found) -> Levels:
    """A picture [H, W, 3] with what was found over it."""
    return _painted(picture, {place: mask[0].numpy() for place, mask in found.masks.items()})


def _painted(picture: Levels, shares: Mapping[Place, np.ndarray]) -> Levels:
    made = picture.astype(np.float32)
    for place, share in shares.items():
        made += (np.array(COLOURS[place], np.float32) - made) * (0.45 * share[..., None])
    return made.round().clip(0, 255).astype(np.uint8)


def distances(found: Found) -> Levels:
    """Near is bright, the sky black; all black where there is no distance."""
    if found.distance is None:
        return np.zeros((*next(iter(found.masks.values())).shape[1:], 3), np.uint8)
    share = 1 - np.log(found.distance[0].numpy()) / np.log(1000)
    return np.repeat((255 * share.clip(0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def contact_sheet(rows: Sequence[Sequence[Levels]], titles: Sequence[str]) -> Levels:
    """Rows of pictures of any size as one, each row with its title. [H, W, 3]."""
    made = []
    for row, title in zip(rows, titles, strict=True):
        strip = np.concatenate([_tile(picture) for picture in row], axis=1)
        _write(strip, title, (4, 12))
        made.append(strip)
    return np.concatenate(made)


def _tile(picture: Levels) -> Levels:
    scale = min(TILE[0] / picture.shape[1], (TILE[1] - 16) / picture.shape[0])
    size = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
    tile = np.full((TILE[1], TILE[0], 3), 30, np.uint8)
    tile[16 : 16 + size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return tile


def _write(sheet: Levels, text: str, at: tuple[int, int]) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
