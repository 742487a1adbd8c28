"""Long work in slices, where a CPU computes without gradients.

A tensor above some 32 MiB is mapped afresh each time it is made, at a page fault for every 4 KiB, and leaves the caches
before it is read. A GPU is better served with everything at once, as are autograd and torch.compile.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LARGEST = 16 * 2**20  # bytes of the widest tensor that one slice makes


def rows_at_once(x: Tensor, row: int) -> int:
    """How many rows of the work on x to do at once, each of which makes `row` numbers at the widest; at least one."""
    if x.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return max(1, x.numel())
    return max(1, LARGEST // (row * x.element_size()))


def in_slices(work: Callable[[Tensor], Tensor], x: Tensor, into: Tensor, rows: int) -> None:
    """into[i] = work(x)[i] for x [N, ...], so many rows at a time."""
    for part, written in zip(x.split(rows), into.split(rows), strict=True):
        written.copy_(work(part))
