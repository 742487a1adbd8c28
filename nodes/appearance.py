"""AppearNet as a model of its own in the host: loaded when it encodes, and free to be evicted while sampling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from torch import Tensor

from ..microcinema_core.backend import Backend
from ..microcinema_core.checkpoint.format import APPEARNET, Header, expect_fit
from ..microcinema_core.checkpoint.load import appearnet_outline, null_length
from ..microcinema_core.checkpoint.sections import Section, find_section
from ..microcinema_core.config import Injection, UNetConfig
from ..microcinema_core.models.appearnet import AppearNet
from ..microcinema_core.models.guide import Guide
from ..microcinema_core.models.injection import Appearance
from ..microcinema_core.shot.hold import appearance_at
from .files import read_file
from .network import HostAttention

WORKING_SET = 32  # of the first level's activations, what all that is alive at once amounts to; 25 at SD 2.1's size


@dataclass(frozen=True, slots=True)
class HostAppearNet:
    """What the APPEARNET socket carries."""

    header: Header
    patcher: Any
    dtype: torch.dtype  # in which it computes

    @property
    def unet(self) -> UNetConfig:
        return self.header.config.unet

    def encode(self, guide: Guide, strength: float = 1.0) -> Appearance | None:
        """What AppearNet says of latents [N, C, T, h, w], where the host keeps results; not loaded at strength 0."""
        return appearance_at(strength, lambda: self._read(guide))

    def _read(self, guide: Guide) -> Appearance:
        management = comfy.model_management
        management.load_models_gpu([self.patcher], memory_required=memory_of(self.unet, guide.latents, self.dtype))
        made: Appearance = self.patcher.model(guide.to(self.patcher.load_device, self.dtype))
        return made.to(management.intermediate_device(), self.dtype)

    def null_prompt(self) -> Tensor | None:
        """The null prompt's embedding [1, L, D], for a model used without a prompt; mode `concat` stores none."""
        if self.unet.injection is Injection.CONCAT:
            return None
        context: Tensor = self.patcher.model.null_context
        return context.float().to(comfy.model_management.intermediate_device())


def memory_of(unet: UNetConfig, z_c: Tensor, dtype: torch.dtype) -> int:
    """Bytes to encode latents [N, C, T, h, w], the features included."""
    first = unet.block_out_channels[0] * comfy.model_management.dtype_size(dtype)
    return z_c[:, 0].numel() * first * WORKING_SET


def make_appearnet(section: Section, disable_dynamic: bool = False) -> HostAppearNet:
    """AppearNet of a file as a model of the host's.

    Raises CheckpointError where the tensors are not those that the file describes.
    """
    unet, what = section.header.config.unet, f"{section.path.name}: {APPEARNET}"
    expect_fit(appearnet_outline(unet, section.state, what), section.state, what)

    management = comfy.model_management
    load_device, offload_device = management.get_torch_device(), management.unet_offload_device()
    dtype = management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(section.state),
        weight_dtype=comfy.utils.weight_dtype(section.state),
    )
    compute = management.unet_manual_cast(dtype, load_device)
    operations = comfy.ops.pick_operations(dtype, compute)
    backend = Backend(operations, HostAttention(), dtype, offload_device)
    network = AppearNet(unet, backend, text_length=null_length(unet, section.state, what)).requires_grad_(False).eval()
    patcher_class = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(network, load_device=load_device, offload_device=offload_device)
    network.load_state_dict(section.state, assign=patcher.is_dynamic())
    patcher.cached_patcher_init = (load_appearnet_patcher, (section.path,))
    return HostAppearNet(section.header, patcher, compute or dtype)


def load_appearnet_patcher(path: Path, disable_dynamic: bool = False) -> Any:
    return make_appearnet(find_section(APPEARNET, path, read_file(path)), disable_dynamic).patcher
