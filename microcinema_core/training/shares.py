"""Tensors that are spread over the processes of a run, each of which has a share; any other is taken as it is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from accelerate import PartialState
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def own(value: Tensor) -> Tensor:
    """This process's share, [n, ...] of [N, ...], in the same memory."""
    share: Tensor = value.to_local() if isinstance(value, DTensor) else value
    return share


def share_of(value: Tensor, like: Tensor) -> Tensor:
    """What every process has whole, spread as another tensor of its shape."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def from_own(share: Tensor, like: Tensor) -> Tensor:
    """The tensor of which each process has such a share [n, ...], spread as, and on the device of, another [N, ...]."""
    if not isinstance(like, DTensor):
        return share
    mesh, placements = like.device_mesh, like.placements
    there = share.to(like.device)
    return DTensor.from_local(there, mesh, placements, run_check=False, shape=like.shape, stride=like.stride())


def whole(value: Tensor) -> Tensor:
    """All of it, [N, ...], on every process; they meet here."""
    full: Tensor = value.full_tensor() if isinstance(value, DTensor) else value
    return full


def gathered(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Whole tensors by name; of those that are spread, on the CPU of the main process alone, where all meet.

    No card ever holds more than one of them.
    """
    main, held = PartialState().is_main_process, {}
    for name, value in tensors:
        full = whole(value.detach())
        if main:
            held[name] = full.cpu() if isinstance(value, DTensor) else full
    return held


@torch.no_grad()
def fill_(tensor: Tensor, value: Tensor) -> None:
    """Copy what every process has whole into a tensor of its shape [N, ...], or into each process's share of it."""
    own(tensor).copy_(own(share_of(value, tensor)))
