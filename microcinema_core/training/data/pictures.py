"""A folder of pictures, decoded once and held as numbers, from which crops are cut together."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import ConfigError, InputError, shown
from ...files import reachable
from ...media import Frames, place, read_picture
from ...shot.resize import ResizePolicy
from ...worlds.pocket.pool import Split

TRAIN, SELECT = Split.TRAIN, Split.SELECT  # folders in the one that is named: to learn from, and to report on
SHRUNK_SHARE = 0.2  # of crops out of a picture at half its size: twice the detail
ON_CARD = 0.25  # of a card's free memory, at most, for pictures; else they stay on the CPU
logger = logging.getLogger("microcinema")


def read_folder(folder: Path, side: int, workers: int) -> list[Frames]:
    """The pictures of a folder in the order of their names, [H, W, 3] each; what cannot be used is told and left out.

    side: pixels that a picture has at least. workers: decoded at once. Raises ConfigError where none is left.
    """
    with reachable(folder):
        if not folder.is_dir():
            raise ConfigError(
                f"[data] pictures: {folder}: is no folder; name one that holds {TRAIN}/ to learn from and {SELECT}/ "
                "to report on"
            )
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    with ThreadPoolExecutor(workers) as pool:
        read = list(pool.map(lambda path: _read(path, side), paths))
    pictures = [one for one in read if not isinstance(one, InputError)]
    for reason in read:
        if isinstance(reason, InputError):
            logger.warning("%s; the picture is left out", shown(str(reason)))
    if not pictures:
        raise ConfigError(
            f"[data] pictures: {folder}: none of {len(paths)} files is a picture of {side} pixels or more on its "
            "shorter side; put such pictures there"
        )
    return pictures


def _read(path: Path, side: int) -> Frames | InputError:
    try:
        picture = read_picture(path)
    except InputError as error:
        return error
    if min(picture.size) < side:
        return InputError(f"{path}: is too small ({picture.width}x{picture.height}); give {side} pixels or more")
    return np.asarray(picture)


def fitted(pictures: Sequence[Frames], side: int) -> Tensor:
    """Their middles, as large as they are square, at side x side: [N, 3, side, side] in -1..1."""
    squares = [place(Image.fromarray(picture), side, side, ResizePolicy.CROP) for picture in pictures]
    return to_signed(torch.from_numpy(np.stack(squares)))


def to_signed(levels: Tensor) -> Tensor:
    """[N, H, W, 3] in 0..255 -> [N, 3, H, W] in -1..1, float32, channels last."""
    return levels.permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True, slots=True, eq=False)
class HeldPictures:
    """Pictures of any sizes as one tensor, so that crops of many are one look-up.

    pixels: uint8 [P, 3], one picture after the other; starts, widths, heights [N]. The first `whole` are pictures at
    their own size, the others some of these at half of it.
    """

    pixels: Tensor
    starts: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    whole: int

    @classmethod
    def of(cls, pictures: Sequence[Frames], crop: int, device: torch.device) -> HeldPictures:
        """Of pictures [H, W, 3] of at least crop x crop, on the device unless they take too much of a card."""
        halves = [_half(picture) for picture in pictures if min(picture.shape[:2]) >= 2 * crop]
        every = [*pictures, *halves]
        pixels = torch.from_numpy(np.concatenate([picture.reshape(-1, 3) for picture in every]))
        heights, widths = (np.array([picture.shape[i] for picture in every]) for i in (0, 1))
        starts = np.cumsum([0, *(heights * widths)[:-1]])
        if device.type != "cuda" or pixels.numel() < ON_CARD * torch.cuda.mem_get_info(device)[0]:
            pixels = pixels.to(device)
        return cls(pixels, starts, widths, heights, len(pictures))

    def drawn(self, rng: np.random.Generator, count: int, crop: int) -> Tensor:
        """Crops of pictures chosen evenly, a half of them mirrored: [count, 3, crop, crop] in -1..1."""
        chosen = rng.integers(self.whole, size=count)
        if self.whole < len(self.starts):
            shrunk = rng.integers(self.whole, len(self.starts), count)
            chosen = np.where(rng.random(count) < SHRUNK_SHARE, shrunk, chosen)
        width = self.widths[chosen]
        top, left = rng.integers(self.heights[chosen] - crop + 1), rng.integers(width - crop + 1)
        along = rng.choice((1, -1), count)  # or back, mirrored
        start = self.starts[chosen] + top * width + left + np.where(along > 0, 0, crop - 1)
        told = moved(torch.from_numpy(np.stack([start, width, along])), self.pixels.device)
        first, down, across = told[..., None, None]  # [count, 1, 1] each
        steps = torch.arange(crop, device=self.pixels.device)
        return to_signed(self.pixels[first + steps[:, None] * down + steps * across])


def _half(picture: Frames) -> Frames:
    return np.asarray(Image.fromarray(picture).reduce(2))


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor there; a card does not make the program wait for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def digest(pictures: Sequence[Frames]) -> str:
    """Tells them from others."""
    total = hashlib.sha256()
    for picture in pictures:
        total.update(str(picture.shape).encode() + picture.tobytes())
    return total.hexdigest()
