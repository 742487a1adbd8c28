"""The loss on held-out clips, at noise levels and with a noise that stay the same in every report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from ...diffusion.streams import generator_of
from ..data.batches import ClipBatch
from ..data.clips import Clip
from ..denoising import Denoising

REPORT = 1 << 40  # what the reports draw; training's steps never reach it
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)  # times of the schedule


class HeldOutLoss:
    """Of `made()`, batches of held-out clips, which are made when they are first asked for."""

    def __init__(self, model: nn.Module, loss: Denoising, made: Callable[[], Sequence[ClipBatch]]) -> None:
        self.model, self.loss, self.made = model, loss, made

    @cached_property
    def batches(self) -> Sequence[ClipBatch]:
        """On the CPU."""
        return self.made()

    def __call__(self) -> dict[str, float]:
        """The mean over all clips at each level, and over the levels."""
        at = {t: self._error(t) for t in LEVELS}
        return {"denoising": sum(at.values()) / len(at), **{f"denoising_t{t}": error for t, error in at.items()}}

    def _error(self, t: float) -> float:
        device, clips, total = next(self.model.parameters()).device, 0, 0.0
        for batch in self.batches:
            times, eps_n = torch.full((len(batch.texts),), t), self._noise(clips, batch.latents)
            total += len(times) * self.loss.error(self.model, batch.to(device), times, eps_n).item()
            clips += len(times)
        return total / clips

    @staticmethod
    def _noise(first: int, like: Tensor) -> Tensor:
        """[B, C, T, h, w], each clip's own, however many are in a batch; first: the number of the first of them."""
        each = (generator_of(REPORT, first + i) for i in range(len(like)))
        return torch.stack([torch.randn(like.shape[1:], generator=generator) for generator in each])


def in_batches(clips: Sequence[Clip], size: int, batch: Callable[[Sequence[Clip]], ClipBatch]) -> list[ClipBatch]:
    """At most `size` clips in each."""
    return [batch(clips[start : start + size]) for start in range(0, len(clips), size)]
