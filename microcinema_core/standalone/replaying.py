"""A U-Net's step as one launch: recorded as a CUDA graph at the first call of each size, replayed at every later one.

What a step computes is what it computed before: no compiler is needed, and nothing is waited for. A GPU that would
wait for the next of a thousand small kernels does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..models.injection import Appearance
from ..models.unet import VideoUNet

KEPT = 4  # graphs of a network, each of which keeps the memory of a step
WARM = 2  # runs before the record, in which libraries choose their kernels and take their memory
Step = Callable[[], Tensor]


def recorded(step: Step) -> tuple[Callable[[], object], Tensor]:
    """What repeats all that `step` launches, on the tensors that it read; and where the result lies then."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = step()
    return graph.replay, made


@dataclass(frozen=True, slots=True)
class Given:
    """What a U-Net is given, as VideoUNet's forward has it."""

    x: Tensor
    t: Tensor
    context: Tensor
    appearance: Appearance | None = None
    frame_time: Tensor | None = None
    shared_frame: int | None = None

    def tensors(self) -> dict[str, Tensor]:
        """All of them, by name."""
        named = {"x": self.x, "t": self.t, "context": self.context}
        if self.frame_time is not None:
            named["frame_time"] = self.frame_time
        return named if self.appearance is None else named | self.appearance.tensors()

    def replaced(self, tensors: dict[str, Tensor]) -> Given:
        """The same of other tensors."""
        appearance = None if self.appearance is None else self.appearance.of(tensors)
        x, t, context = (tensors[name] for name in ("x", "t", "context"))
        return Given(x, t, context, appearance, tensors.get("frame_time"), self.shared_frame)

    @property
    def layout(self) -> tuple[object, ...]:
        """What a record holds for: every size and format."""
        sizes = tuple((name, tensor.shape, tensor.dtype) for name, tensor in self.tensors().items())
        return (*sizes, self.shared_frame)

    def through(self, unet: nn.Module) -> Tensor:
        """x [B, C, T, h, w] -> same."""
        made: Tensor = unet(self.x, self.t, self.context, self.appearance, self.frame_time, self.shared_frame)
        return made


class Record:
    """A step of one size: the tensors that it reads, and how it is repeated on what they hold."""

    def __init__(self, unet: nn.Module, given: Given) -> None:
        with torch.inference_mode(False):  # else they could be written to in that mode alone
            self.own = {
                name: torch.empty(tensor.shape, dtype=tensor.dtype, device=given.x.device)
                for name, tensor in given.tensors().items()
            }
        self.last: dict[str, Tensor] = {}
        self.fill(given)
        own = given.replaced(self.own)
        self.replay, self.made = recorded(lambda: own.through(unet))

    def fill(self, given: Given) -> None:
        """Copies what is new: AppearNet's terms are the same tensors at every step of a clip."""
        for name, tensor in given.tensors().items():
            if name in ("x", "t") or self.last.get(name) is not tensor:
                self.own[name].copy_(tensor, non_blocking=True)
                self.last[name] = tensor

    def __call__(self, given: Given) -> Tensor:
        self.fill(given)
        self.replay()
        return self.made.clone()  # the next replay writes where this lies


class ReplayedUNet(nn.Module):
    """A U-Net whose steps are recorded and replayed, one record for each size; KEPT of them, the latest."""

    def __init__(self, unet: VideoUNet) -> None:
        super().__init__()
        self.config, self.network = unet.config, unet
        self.records: dict[tuple[object, ...], Record] = {}

    def forward(self, *told: Any, **named: Any) -> Tensor:
        """As VideoUNet's: x [B, C, T, h, w] -> same. With gradients the network runs as it is."""
        given = Given(*told, **named)
        if torch.is_grad_enabled():
            return given.through(self.network)
        layout = given.layout
        record = self.records.pop(layout, None)
        while len(self.records) >= KEPT:
            del self.records[next(iter(self.records))]
        self.records[layout] = record or Record(self.network, given)
        return self.records[layout](given)
