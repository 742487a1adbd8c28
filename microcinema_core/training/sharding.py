"""A model shared among many cards (FSDP2): each process keeps a share of every parameter, gradient and moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.torch_version import TorchVersion

from ..errors import ConfigError
from ..models.appearnet import SpadeHead
from .frozen import lower_
from .recipe import AGAIN
from .stage import Group

TOGETHER = (*AGAIN, SpadeHead)  # layers that are whole on each card while they compute; so is what is left of a network
OLDEST = "2.13"  # torch: before, FSDP2 did not look for tensors in dataclasses such as Appearance


def shard_(model: nn.Module, groups: Sequence[Group], device: torch.device, *, bf16: bool) -> list[Group]:
    """Spread a model of such layers over all processes, to each its share on its device; the groups, of shares.

    bf16: layers come together in bfloat16, and gradients are summed in float32.
    Raises ConfigError for a torch that is too old.
    """
    if TorchVersion(torch.__version__) < OLDEST:
        raise ConfigError(f"[recipe] shard = true needs torch {OLDEST} or newer, this is {torch.__version__}")
    names = {parameter: name for name, parameter in model.named_parameters()}
    mesh = init_device_mesh(device.type, (PartialState().num_processes,))
    lower = torch.bfloat16 if bf16 else None
    policy = MixedPrecisionPolicy(param_dtype=lower, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for network in model.children():  # each by itself, as reports call them one by one
        for module in (*_layers(network), network):
            # The network's own too, or they would stay whole after a report.
            shared = fully_shard(module, mesh=mesh, reshard_after_forward=True, mp_policy=policy)
            if device.type == "cpu":  # where processes can sum, not average
                shared.set_force_sum_reduction_for_comms(True)
    if bf16:
        lower_(model)
    shares = dict(model.named_parameters())
    return [Group([shares[names[p]] for p in group.parameters], group.scale) for group in groups]


def as_shared_(model: nn.Module, cards: int, *, bf16: bool) -> int:
    """The same of a model without numbers, for the Ledger: a card keeps its share of a gradient once that is whole.

    Returns the bytes of layers that are whole at one time: of two, as the next comes while one computes, and of the
    sum of one's gradients.
    """
    layers = [layer for network in model.children() for layer in _layers(network)]
    largest = max(sum(p.numel() for p in layer.parameters()) for layer in layers)
    kept: dict[nn.Parameter, Tensor] = {}
    for parameter in model.parameters():
        if bf16:
            parameter.data = parameter.data.bfloat16()
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(partial(_keep_share, kept, cards))
    return largest * (2 * (2 if bf16 else 4) + 4)


def _keep_share(kept: dict[nn.Parameter, Tensor], cards: int, parameter: nn.Parameter) -> None:
    if parameter not in kept:
        kept[parameter] = torch.empty(-(-parameter.numel() // cards), device=parameter.device)
    parameter.grad = None


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    return (module for module in network.modules() if isinstance(module, TOGETHER))
