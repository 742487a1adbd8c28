"""Which size a clip is made at, and which part of a picture of any size is shown there."""

from __future__ import annotations

import math
from enum import StrEnum

from ..errors import InputError
from .dials import Dial

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels
Size = tuple[int, int]  # width, height, in pixels

MIN_SIDE, MAX_SIDE = 64, 4096  # of a size that is asked for
SIDE = Dial("Pixels, a multiple of 8.", MIN_SIDE, MAX_SIDE, unset="the model's")
MAX_ASPECT = 4  # beyond it, no size near the model's number of pixels shows the whole picture in a useful way


class ResizePolicy(StrEnum):
    """What happens to a picture whose aspect ratio is not the model's."""

    CROP = "crop"  # the working size is filled, and what stands out on two sides is cut off
    FIT = "fit"  # the working size takes the picture's aspect ratio
    PAD = "pad"  # the whole picture is shown, and what it leaves of the working size is filled


def working_size(
    picture_size: Size,
    model_size: Size,
    policy: ResizePolicy,
    width: int | None = None,
    height: int | None = None,
    multiple: int = 8,
) -> Size:
    """The size at which to make a clip of a picture.

    Without `width` and `height` it is the model's; for `fit`, about the model's number of pixels in the picture's
    aspect ratio, each side a multiple of `multiple`. Where one of them is given, the other follows from the picture's
    aspect ratio for `fit`, from the model's for `crop` and `pad`; where both are given, they are taken.

    Raises InputError for sides that are no multiple of `multiple` or not in 64..4096, and for `fit` of a picture that
    is longer than 4:1.
    """
    for name, side in (("width", width), ("height", height)):
        check_side(name, side, multiple)
    if width is not None and height is not None:
        return width, height
    across, down = picture_size if policy == ResizePolicy.FIT else model_size
    aspect = across / down
    if policy == ResizePolicy.FIT and max(aspect, 1 / aspect) > MAX_ASPECT:
        raise InputError(
            f"a picture of {across}x{down} cannot be fitted (longer than {MAX_ASPECT}:1); "
            "resize it by crop or pad, or give width and height"
        )
    if width is not None:
        return width, _follow("height", width / aspect, multiple)
    if height is not None:
        return _follow("width", height * aspect, multiple), height
    if policy == ResizePolicy.FIT:
        pixels = math.prod(model_size)
        return _nearest(math.sqrt(pixels * aspect), multiple), _nearest(math.sqrt(pixels / aspect), multiple)
    return model_size


def inner_size(size: Size, pixels: int, multiple: int = 8) -> Size:
    """Width and height near a size's shape, each a multiple of `multiple`, of at most so many pixels in all."""
    share = math.sqrt(pixels / math.prod(size))
    across, down = (max(multiple, math.floor(side * share / multiple + 1e-9) * multiple) for side in size)
    return min(across, pixels // multiple), min(down, pixels // multiple)


def _nearest(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def check_side(name: str, side: int | None, multiple: int = 8) -> None:
    """Raises InputError for a width or height, as `name` says, that cannot be asked for."""
    SIDE.check(name, side)
    if side is not None and side % multiple:
        below = side - side % multiple
        near = [str(value) for value in (below, below + multiple) if MIN_SIDE <= value <= MAX_SIDE]
        raise InputError(f"{name} must be a multiple of {multiple}, got {side}; the nearest: {', '.join(near)}")


def _follow(name: str, side: float, multiple: int) -> int:
    """The side that nobody gave."""
    nearest = _nearest(side, multiple)
    if not MIN_SIDE <= nearest <= MAX_SIDE:
        raise InputError(f"the {name} that follows would be {nearest}, not {MIN_SIDE} to {MAX_SIDE}; give both sides")
    return nearest


def centre_crop(width: int, height: int, to_width: int, to_height: int) -> Box:
    """The largest centred part of a `width` x `height` picture with the aspect ratio of `to_width` x `to_height`."""
    scale = min(width / to_width, height / to_height)
    crop_width, crop_height = to_width * scale, to_height * scale
    # Rounding must not lead out of the picture.
    left, top = max(0.0, (width - crop_width) / 2), max(0.0, (height - crop_height) / 2)
    return left, top, min(left + crop_width, width), min(top + crop_height, height)


def centred_inside(width: int, height: int, to_width: int, to_height: int) -> tuple[int, int, int, int]:
    """Where a whole `width` x `height` picture lies, as large as it can be, in `to_width` x `to_height`.

    -> left, top, right, bottom, in whole pixels and at least one pixel wide and high.
    """
    scale = min(to_width / width, to_height / height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (to_width - inner_width) // 2, (to_height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height
