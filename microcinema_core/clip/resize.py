"""Which part of a picture of any size is shown at the model's size."""

from __future__ import annotations

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


def centre_crop(width: int, height: int, to_width: int, to_height: int) -> Box:
    """The largest centred part of a `width` x `height` picture with the aspect ratio of `to_width` x `to_height`."""
    scale = min(width / to_width, height / to_height)
    crop_width, crop_height = to_width * scale, to_height * scale
    # Rounding must not lead out of the picture.
    left, top = max(0.0, (width - crop_width) / 2), max(0.0, (height - crop_height) / 2)
    return left, top, min(left + crop_width, width), min(top + crop_height, height)
