"""torch.compile for the U-Nets of a job: one graph for every step of a size, and words where it cannot be had.

What is compiled is kept by torch, where TORCHINDUCTOR_CACHE_DIR says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import InputError, shown
from ..models.unet import VideoUNet
from ..shot.settings import Compile
from .replaying import ReplayedUNet

BACKEND: str | Callable[..., Any] = "inductor"

logger = logging.getLogger("microcinema")


def check_compile(how: Compile, device: torch.device) -> None:
    """Has torch.compile make a small function, which needs all that a network does.

    Raises InputError where it cannot, and for CUDA graphs on a CPU.
    """
    if how is Compile.NONE:
        return
    if how in (Compile.CUDA_GRAPH, Compile.REDUCE_OVERHEAD) and device.type != "cuda":
        raise InputError(f"compile {how} is CUDA graphs, which a {device.type.upper()} has not; use {Compile.DEFAULT}")
    if how is Compile.CUDA_GRAPH:
        return
    try:
        torch.compile(_smallest, backend=BACKEND, dynamic=False)(torch.ones(8, device=device))
    except RuntimeError as error:
        needs = "g++ or clang++, or what CXX names" if device.type == "cpu" else "triton, and a C compiler"
        raise InputError(
            f"torch.compile does not work here ({_reason(error)}); it needs {needs}: install that, or leave out compile"
        ) from error


def _smallest(x: Tensor) -> Tensor:
    """[N] -> same."""
    return x.sin() + 1


def _reason(error: RuntimeError) -> str:
    """The compiler's own error in one line, without torch's advice about itself."""
    inner = getattr(error, "inner_exception", error)
    return shown(f"{type(inner).__name__}: {inner}".partition("\n\n")[0])


def compiled(unet: VideoUNet, how: Compile, name: str) -> VideoUNet:
    """What stands in for the network: itself, its records or its compiled form. name: of its file."""
    if how is Compile.NONE:
        return unet
    return cast(VideoUNet, ReplayedUNet(unet) if how is Compile.CUDA_GRAPH else CompiledUNet(unet, how, name))


class CompiledUNet(nn.Module):
    """A U-Net through torch.compile, which is at work at the first call of each size; then one graph serves all.

    Graphs are of fixed sizes, the fastest, so batches are filled up rather than made smaller. torch keeps eight of them
    in one process; a network of a ninth size runs as it is.
    """

    def __init__(self, unet: VideoUNet, how: Compile, name: str) -> None:
        super().__init__()
        self.config, self.how, self.name = unet.config, how, name
        self.network = cast(nn.Module, torch.compile(unet, backend=BACKEND, mode=how.value, dynamic=False))
        self.sizes: set[torch.Size] = set()

    def forward(self, x: Tensor, *given: Any, **named: Any) -> Tensor:
        """As VideoUNet's: x [B, C, T, h, w] -> same. Raises InputError where the compiler fails."""
        if x.shape not in self.sizes:
            self.sizes.add(x.shape)
            logger.info("%s: torch.compile is at work; the first step takes a while", self.name)
        if self.how is Compile.REDUCE_OVERHEAD:
            torch.compiler.cudagraph_mark_step_begin()
        try:
            made: Tensor = self.network(x, *given, **named)
        except RuntimeError as error:
            if not _of_compiler(error):
                raise
            raise InputError(f"{self.name}: torch.compile failed ({_reason(error)}); leave out compile") from error
        # The next replay of a CUDA graph writes its result where this one lies.
        return made.clone() if self.how is Compile.REDUCE_OVERHEAD else made


def _of_compiler(error: RuntimeError) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)
