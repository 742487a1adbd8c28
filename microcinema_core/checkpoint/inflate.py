"""From an image model's weights to a video model that starts as that image model, frame by frame (Sec. 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..errors import CheckpointError
from ..models.appearnet import AppearNet, reset_injection_
from ..models.unet import VideoUNet, reset_temporal_, temporal_parameters


def inflate_(
    unet: VideoUNet, appearnet: AppearNet | None, image: Mapping[str, Tensor], null_context: Tensor | None
) -> None:
    """Fill both networks in place.

    image: state of an image U-Net with diffusers' key names; every key is used and every spatial parameter found in it.
    null_context: the null prompt's embedding [1, L, D], which AppearNet reads instead of a prompt.
    Temporal layers, injection and gates start at zero; AppearNet starts as the image model's encoder.
    Raises CheckpointError for weights of another architecture.
    """
    reset_temporal_(unet)
    added = temporal_parameters(unet)
    _fill(unet.state_dict(), image, expected_missing=added, what="image model")
    if appearnet is None:
        return
    reset_injection_(appearnet)
    own = appearnet.state_dict()
    shared = {key: value for key, value in image.items() if key in own}
    projections = {key for key in own if key.startswith(("add.", "spade.", "concat.", "null_context"))}
    _fill(own, shared, expected_missing=projections, what="image model's encoder")
    if null_context is not None and "null_context" in own:
        own["null_context"].copy_(null_context)


def _fill(own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, expected_missing: set[str], what: str) -> None:
    missing = sorted(set(own) - set(given) - expected_missing)
    extra = sorted(set(given) - set(own))
    if missing or extra:
        raise CheckpointError(
            f"{what}: {len(missing)} tensors missing{f' (first: {missing[0]})' if missing else ''}, "
            f"{len(extra)} unexpected{f' (first: {extra[0]})' if extra else ''}; it is of another architecture"
        )
    for key, value in given.items():
        if own[key].shape != value.shape:
            raise CheckpointError(f"{what}: {key} has shape {list(value.shape)}, {list(own[key].shape)} was expected")
        own[key].copy_(value)
