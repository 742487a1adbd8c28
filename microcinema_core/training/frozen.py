"""Parameters that do not learn: in bfloat16 they take a third of the room that float32 and an average of them would."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakSet

import torch
from torch import nn

_lowered: WeakSet[nn.Module] = WeakSet()


def frozen(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters that do not learn, by name."""
    return ((name, p) for name, p in model.named_parameters() if not p.requires_grad)


def halve_frozen_(model: nn.Module) -> None:
    """Matrices and kernels that do not learn go on in bfloat16, in which autocast reads them anyway.

    Norms and biases stay: they are read in float32 on a GPU, and are few.
    """
    for _, parameter in frozen(model):
        if parameter.ndim > 1:
            parameter.data = parameter.data.bfloat16()


def lower_(model: nn.Module) -> None:
    """Its parameters, learning or not, are used in bfloat16, whatever they are kept in."""
    _lowered.add(model)


def is_halved(model: nn.Module) -> bool:
    """Whether it computes under autocast alone."""
    return model in _lowered or any(parameter.dtype == torch.bfloat16 for _, parameter in frozen(model))


def checksum(model: nn.Module) -> int:
    """Of the parameters that do not learn: the sum of their bits, the same on every device and in both precisions."""
    total = 0
    for number, (_, parameter) in enumerate(frozen(model), start=1):
        value = parameter.detach()
        bits = value.bfloat16().view(torch.int16) if parameter.ndim > 1 else value.view(torch.int32)
        total += number * int(bits.sum(dtype=torch.int64))
    return total
