"""A second device that is none: its tensors claim to lie there and compute on the CPU, with real values.

torch's backend for devices written in Python, PrivateUse1, under the name `pretend`. As on CUDA, tensors of two devices
do not meet: what mixes them raises, where the CPU alone would not notice. Two things are stricter than there: nothing
is drawn at random on the device, since a seed gives the same numbers everywhere only where these come from the CPU, and
every wait for the device is counted. Autocast is accepted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grad
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyPrivateUse1Hook,
    _setup_privateuseone_for_python_backend,
)

from microcinema_core import backend

NAME = "pretend"
MOVES = {"aten::copy_", "aten::_to_copy", "aten::_foreach_copy_", "aten::set_"}
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
# Elementwise, but not marked as such by torch: a number on the CPU may be given to them.
TAKE_NUMBERS = {"aten::fill", "aten::fill_", "aten::masked_fill", "aten::masked_fill_"}
FACTORIES = ("empty.memory_format", "empty_strided", "arange", "arange.start", "arange.start_step", "linspace",
             "logspace", "eye", "eye.m", "scalar_tensor", "full", "zeros", "ones")  # fmt: skip
libraries: list[torch.library.Library] = []  # hold the kernels as long as the process lives
waits: list[str] = []  # the operations for which the program waited for the device


class DevicesMixError(RuntimeError):
    """Tensors of two devices in one operation, or random numbers drawn on the device."""


class OnDevice(Tensor):
    """A tensor on the device. value: what it holds, on the CPU; views share it as they do anywhere."""

    value: Tensor

    @staticmethod
    def __new__(cls, value: Tensor) -> OnDevice:
        made = Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=DEVICE,
        )
        made.value = value.detach()
        return made

    def __repr__(self, **_: Any) -> str:
        return f"OnDevice({self.value})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Backend(_DummyBackendModule):
    """What torch asks of a device's module. It is there only while a test has it: `present`."""

    present = False

    def is_available(self) -> bool:
        return self.present

    def device_count(self) -> int:
        return int(self.present)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


BACKEND = Backend()


class Hook(_DummyPrivateUse1Hook):
    """What torch's own accelerator interface asks."""

    def is_available(self) -> bool:
        return BACKEND.present


def _copied(source: Tensor, target: OnDevice, non_blocking: bool = False) -> Tensor:
    """What `torch.tensor` calls, below all else, to fill a tensor on the device."""
    target.value.copy_(_value(source))
    waits.append("aten::_copy_from")
    return target


def _made(func: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A tensor that is made on the device."""
    return OnDevice(func(*args, **{**kwargs, "device": "cpu", "pin_memory": False}))


def compute(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The operation on the CPU, its result on the device that it would have there.

    Raises DevicesMixError.
    """
    _check(func, args, kwargs)
    asked, name = kwargs.get("device"), func._schema.name
    if asked is not None:
        kwargs = {**kwargs, "device": "cpu"}
    result = func(*tree_map(_value, args), **tree_map(_value, kwargs))
    if name == "aten::_local_scalar_dense" or (name in MOVES and _blocks(args, kwargs, asked)):
        waits.append(name)
    if func._schema.is_mutable:
        return _written(func, args, kwargs, result)
    if asked is not None and asked.type == "cpu":
        return result
    return tree_map(lambda one: OnDevice(one) if isinstance(one, Tensor) else one, result)


def _blocks(args: Sequence[Any], kwargs: dict[str, Any], asked: torch.device | None) -> bool:
    """Whether a move is one between devices that the program waits for."""
    if asked is not None:
        return asked.type == "cpu"
    waits_not = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    here = [isinstance(one, OnDevice) for one in args[:2]]
    return here == [False, True] or (here == [True, False] and not waits_not)


def _value(one: Any) -> Any:
    return one.value if isinstance(one, OnDevice) else one


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Any:
    """Of an operation in place: the tensors that it was given to write to."""
    if torch.Tag.inplace_view in func.tags:  # squeeze_ and its like
        return return_and_correct_aliasing(func, args, kwargs, OnDevice(result))
    if not func._schema.returns:
        return None
    given = [kwargs[argument.name] if argument.name in kwargs else args[i] for i, argument in _targets(func)]
    for one in given:
        assert not isinstance(one, OnDevice) or one.shape == one.value.shape, f"{func} changes the shape in place"
    return given[0] if len(given) == 1 else tuple(given)


@cache
def _targets(func: Any) -> list[tuple[int, Any]]:
    """Number and name of what an operation writes to."""
    arguments = enumerate(func._schema.arguments)
    return [(i, one) for i, one in arguments if one.alias_info is not None and one.alias_info.is_write]


def _check(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Raises DevicesMixError as CUDA does for tensors of two devices, and for random numbers."""
    name = func._schema.name
    if torch.Tag.nondeterministic_seeded in func.tags:
        raise DevicesMixError(f"{name} draws random numbers on the device: another device would draw others")
    if name in MOVES:
        return
    if name in INDEXING:
        args = [args[0], *args[2:]]  # positions on the CPU are fine where the tensor is on the device
    elsewhere = [one for one in tree_iter((args, kwargs)) if isinstance(one, Tensor) and not isinstance(one, OnDevice)]
    if not elsewhere:
        return
    numbers = torch.Tag.pointwise in func.tags or name in TAKE_NUMBERS | INDEXING or name.startswith("aten::_foreach")
    targets = [kwargs.get(argument.name, args[i] if i < len(args) else None) for i, argument in _targets(func)]
    written = {id(one) for one in tree_iter(targets)}
    if not numbers or any(one.ndim or id(one) in written for one in elsewhere):
        raise DevicesMixError(f"{name}: expected all tensors on one device, found {NAME} and {elsewhere[0].device}")


def registered() -> torch.device:
    """The device, made known to torch: once in a process, and before its first backward pass, which counts devices."""
    _setup_privateuseone_for_python_backend(NAME, BACKEND, Hook())
    library = torch.library.Library("aten", "IMPL", "PrivateUse1")
    for name in FACTORIES:
        packet, _, overload = name.partition(".")
        func = getattr(getattr(torch.ops.aten, packet), overload or "default")
        library.impl(name, partial(_made, func), "PrivateUse1")
    library.impl("_copy_from", _copied, "PrivateUse1")
    # Else torch puts it together from other operations, which round otherwise.
    silu = torch.ops.aten.silu_backward.default
    library.impl("silu_backward", lambda *given: compute(silu, given, {}), "PrivateUse1")
    every = torch.library.Library("_", "IMPL")
    every.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    libraries.extend([library, every])
    return torch.device(NAME, 0)


DEVICE = registered()


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, where modules move to it as to any other; what `train_on` tells accelerate is forgotten afterwards.

    What the CPU does in ways of its own it does as other devices do meanwhile, so that numbers are the same bit for
    bit: attention, group normalisation, whose layout others choose otherwise, and the norms of gradients.
    """
    monkeypatch.setattr(backend, "SHORT", 0)
    monkeypatch.setattr(F, "group_norm", _contiguous(F.group_norm))
    monkeypatch.setattr(clip_grad, "_has_foreach_support", lambda *_: False)
    states = [PartialState._shared_state, AcceleratorState._shared_state]
    before = [dict(state) for state in states]
    swap = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)  # else parameters that move would be other objects
    BACKEND.present = True
    waits.clear()
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield DEVICE
    finally:
        BACKEND.present = False
        torch.__future__.set_swap_module_params_on_conversion(swap)
        for state, held in zip(states, before, strict=True):
            state.clear()
            state.update(held)


def _contiguous(group_norm: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x, *settings, **named: group_norm(x.contiguous(), *settings, **named)


def train_on(device: torch.device) -> None:
    """What accelerate does from here on is done there."""
    for state in (AcceleratorState._shared_state, PartialState._shared_state):
        state.clear()
    PartialState(cpu=True)
    PartialState._shared_state.update({"_cpu": device.type == "cpu", "device": device})
