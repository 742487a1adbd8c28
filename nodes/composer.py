"""The composer as a model of its own in the host, which may put it aside for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import torch

from ..microcinema_core.backend import Backend
from ..microcinema_core.checkpoint.format import COMPOSER, Checkpoint
from ..microcinema_core.checkpoint.load import composer_of
from ..microcinema_core.models.composer import Composer
from .files import read_file

MEMORY = 600 * 2**20  # bytes that a tile takes: `compose`


def make_composer(path: Path, checkpoint: Checkpoint, disable_dynamic: bool = False) -> Any:
    """The host's patcher of a composer file's network, which computes in float32: what it adds is seen as noise.

    Raises CheckpointError where the file is of another kind or does not fill the network.
    """
    composer_of(checkpoint, path)  # strict, which the host's own loading is not
    config = checkpoint.header.config.composer
    assert config is not None
    management, state = comfy.model_management, checkpoint.sections[COMPOSER]
    load_device, offload_device = management.get_torch_device(), management.unet_offload_device()
    network = Composer(config, Backend(comfy.ops.manual_cast, dtype=torch.float32, device=offload_device))
    patcher_class = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(
        network.requires_grad_(False).eval(), load_device=load_device, offload_device=offload_device
    )
    network.load_state_dict(state, assign=patcher.is_dynamic())
    patcher.cached_patcher_init = (load_composer_patcher, (path,))
    return patcher


def load_composer_patcher(path: Path, disable_dynamic: bool = False) -> Any:
    return make_composer(path, read_file(path), disable_dynamic)


def loaded(patcher: Any) -> Composer:
    """The network where the host computes, with room for a tile."""
    comfy.model_management.load_models_gpu([patcher], memory_required=MEMORY)
    network: Composer = patcher.model
    return network
