"""Layers that start at zero, so that what a network has beyond the image model adds nothing until it is trained.

Each is marked where it is made. Whoever resets a network, or asks whether somebody has trained it, goes by the marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import torch
from torch import nn

MARK = "starts_at_zero"  # the attribute of a layer


class Adds(StrEnum):
    """What comes through a layer once it is trained."""

    MOTION = "motion"  # the other frames: the last layer of a branch over time
    APPEARANCE = "appearance"  # the keyframe: the last layer of an injected term
    FILLING = "filling"  # what is learnt beyond a guess from what is known: the last layer of a model that fills
    TIME = "time"  # a frame's distance from the keyframe, and gates that follow the noise level
    DETAIL = "detail"  # the composer: what of a camera's detail is not as it was


def starts_at_zero(layer: nn.Module, adds: Adds) -> nn.Module:
    """The layer itself, marked. Its numbers stay as they are: `zero_start_` sets them."""
    setattr(layer, MARK, adds)
    return layer


def zero_layers(network: nn.Module, adds: Adds | None = None) -> Iterator[tuple[str, nn.Module]]:
    """Name and layer of all that starts at zero in a network, which may be on the meta device, or of one kind alone."""
    for name, module in network.named_modules():
        mark = getattr(module, MARK, None)
        if mark is not None and adds in (None, mark):
            yield name, module


def zero_tensors(network: nn.Module, adds: Adds | None = None) -> set[str]:
    """Names, as in the network's state, of the weights and biases of its layers that start at zero."""
    return {f"{name}.{key}" for name, layer in zero_layers(network, adds) for key, _ in layer.named_parameters()}


@torch.no_grad()
def zero_start_(network: nn.Module) -> None:
    """Zero these layers: VideoUNet is then the image U-Net, frame by frame, AppearNet changes nothing in it, and the
    composer adds nothing to the gain that it reads off."""
    for _, layer in zero_layers(network):
        for parameter in layer.parameters():
            parameter.zero_()
