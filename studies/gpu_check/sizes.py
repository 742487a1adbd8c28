"""The networks whose speed is measured, and the smallest ones that have every part of them."""

from __future__ import annotations

from typing import Any

import torch

from microcinema_core.config import SD21_BASE, UNetConfig

from ..speed.contest import SD_AUTOENCODER
from ..speed.given import Place
from .part import Task

TINY = UNetConfig(
    block_out_channels=(32, 32, 64, 64),
    layers_per_block=1,
    attention_heads=(2, 2, 4, 4),
    cross_attention_dim=32,
    temporal_head_dim=16,
    spade_hidden=8,
)
TINY_AUTOENCODER = {**SD_AUTOENCODER, "block_out_channels": (32,) * 4}


def network(task: Task) -> UNetConfig:
    """Stable Diffusion 2.1's size, or a few thousand parameters."""
    return TINY if task.tiny else SD21_BASE.unet


def autoencoder(task: Task) -> dict[str, Any]:
    """What diffusers' class is asked for."""
    return TINY_AUTOENCODER if task.tiny else SD_AUTOENCODER


def place(task: Task) -> Place:
    """The device, in the precision that the product takes there."""
    return Place(torch.device(task.device), torch.float16 if task.cuda else torch.float32)


def peak_mib(task: Task) -> float:
    """The most that torch had given out on the GPU; 0 where there is none."""
    return torch.cuda.max_memory_allocated() / 2**20 if task.cuda else 0.0
