"""Whether latents are those of the keyframes that AppearNet Encode was given, at the start and at each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..microcinema_core.errors import InputError
from .conditions import Encoded


def check_agreement(encoded: Encoded, noise: Tensor, downscale: int) -> None:
    """noise: of a run [N, C, h, w]. Raises InputError for another size than the keyframe's, or number of frames."""
    size = tuple(noise.shape[-2:])
    if size != encoded.size:
        raise InputError(
            f"MicroCinema: the keyframe is of {_pixels(encoded.size, downscale)} pixels (what is beyond a multiple of "
            f"{downscale} is left out), the latents are of {_pixels(size, downscale)}; scale the keyframe to their size"
        )
    if noise.shape[0] != encoded.clips * encoded.frames:
        raise InputError(
            f"MicroCinema: AppearNet Encode was asked for {encoded.clips} x {encoded.frames} frames, the latents "
            f"hold {noise.shape[0]}; set the batch_size of the latents to {encoded.clips * encoded.frames}"
        )


def check_rows(x: Tensor, options: Mapping[str, Any], encoded: Encoded, frames: int, downscale: int) -> None:
    """x: of one call [rows, C, h, w], with clips of so many frames. options: the host's transformer_options.

    Raises InputError for tiles, which would lack the keyframe's features, and for windows over the frames of several
    clips, which would mix them.
    """
    size, clips = tuple(x.shape[-2:]), encoded.clips
    if size != encoded.size:
        raise InputError(
            f"MicroCinema: another node calls the model with latents of {_pixels(size, downscale)} pixels, and the "
            f"keyframe's features are of {_pixels(encoded.size, downscale)}; take out what cuts latents into tiles "
            "(such as Tiled Diffusion) or scales them while sampling"
        )
    rows = x.shape[0] // len(options.get("cond_or_uncond", (0,)))
    if rows != clips * frames:
        cause = (
            "take out the node that splits or repeats the batch, such as one that makes tiles or trains a LoRA"
            if clips == 1
            else "context windows need a single clip: give AppearNet Encode one keyframe"
        )
        raise InputError(f"MicroCinema: {rows} latent frames at once are not {clips} clips of {frames}; {cause}")


def _pixels(size: tuple[int, ...], downscale: int) -> str:
    """Of latents, (height, width), in words."""
    height, width = (side * downscale for side in size)
    return f"{width}x{height}"
