"""Memory counted without an allocator, also of tensors that have no numbers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger(TorchDispatchMode):
    """Bytes of the tensors made within it: those alive now, and the most there were."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        given = {_key(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and _key(tensor) not in given and _key(tensor) not in self.sizes:
                self._enter(tensor)
        return out

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.sizes[_key(tensor)] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._leave, _key(tensor))

    def _leave(self, key: int) -> None:
        self.now -= self.sizes.pop(key)


def _key(tensor: Tensor) -> int:
    """Which storage it is, or views."""
    key: int = tensor.untyped_storage()._cdata
    return key


@torch.no_grad()
def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that the work's own tensors take at one time, its result among them."""
    with Ledger() as ledger:
        work()
    return ledger.peak
