"""What of a diffusion model learns, and how a step is made to fit a card: the configuration's `[recipe]`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import ConfigError
from ..models.blocks import Resample, ResBlock
from ..models.modelscope import TemporalAttentions, TemporalConvs
from ..models.spatial import SpatialTransformer
from ..models.temporal import TemporalTransformer
from ..models.unet import temporal_parameters
from .config import Learns, TrainConfig
from .lora import add_lora_
from .stage import Group
from .trainee import APPEARNET_PART, GATES, UNET_PART, DiffusionNetworks

# The layers whose activations are computed again: between them lie sums and concatenations alone.
AGAIN = (ResBlock, Resample, SpatialTransformer, TemporalTransformer, TemporalConvs, TemporalAttentions)


def learning_groups(networks: DiffusionNetworks, config: TrainConfig) -> list[Group]:
    """Parameters by their rates; those in none of the groups no longer take gradients. A LoRA's are added here.

    What the image model does not have learns at the scheduled rate, the rest, where it learns, at a share of that.
    Raises ConfigError for an AppearNet that is to learn where there is none.
    """
    learns = config.recipe.learns
    if learns is Learns.LORA:
        networks.requires_grad_(False)
        return [Group(add_lora_(networks.unet, config.recipe.lora))]
    if networks.appearnet is None and learns is Learns.APPEARNET:
        raise ConfigError('[recipe] learns = "appearnet": this model has no AppearNet; leave it out')
    new = {f"{UNET_PART}{name}" for name in temporal_parameters(networks.unet)}
    fresh: list[nn.Parameter] = []
    spatial: list[nn.Parameter] = []
    for name, parameter in networks.named_parameters():
        injected = name.startswith((APPEARNET_PART, GATES))
        if injected or (name in new and learns is not Learns.APPEARNET):
            fresh.append(parameter)
        elif learns is Learns.ALL:
            spatial.append(parameter)
        else:
            parameter.requires_grad_(False)
    groups = [Group(fresh), Group(spatial, config.optimiser.spatial_lr_scale)]
    return [group for group in groups if group.parameters]


def checkpoint_activations_(model: nn.Module) -> None:
    """Every layer of AGAIN keeps its inputs for the way back, and computes all else a second time."""
    for module in model.modules():
        if isinstance(module, AGAIN):
            module.forward = partial(_again, module.forward)  # type: ignore[method-assign]


def _again(forward: Callable[..., Tensor], *args: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return forward(*args)
    # No layer draws anything, so there is no generator to be read from the device and set back.
    out: Tensor = checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False)
    return out
