"""From an image model's weights to a video model that starts as that image model, frame by frame (Sec. 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..models.appearnet import AppearNet
from ..models.unet import VideoUNet, temporal_parameters
from ..models.zero_start import zero_start_
from .format import expect_tensors


def inflate_(
    unet: VideoUNet, appearnet: AppearNet | None, image: Mapping[str, Tensor], null_context: Tensor | None
) -> None:
    """Fill both networks in place.

    image: state of an image U-Net with diffusers' key names; every key is used and every spatial parameter found in it.
    null_context: the null prompt's embedding [1, L, D], which AppearNet reads instead of a prompt.
    Temporal layers, injection and gates start at zero; AppearNet starts as the image model's encoder.
    Raises CheckpointError for weights of another architecture, and where any is NaN or infinite.
    """
    spatial, added = unet.state_dict(), temporal_parameters(unet)
    expect_tensors(spatial, image, "image model", "it", optional=added)
    zero_start_(unet)
    _copy(image, spatial)
    if appearnet is None:
        return
    own = appearnet.state_dict()
    shared = {key: value for key, value in image.items() if key in own}
    if null_context is not None and "null_context" in own:
        shared["null_context"] = null_context
    beyond_image = set(own) - (set(spatial) - added)  # the null prompt and what projects features
    expect_tensors(own, shared, "image model's encoder", "it", optional=beyond_image)
    zero_start_(appearnet)
    _copy(shared, own)


def _copy(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for key, value in given.items():
        own[key].copy_(value)
