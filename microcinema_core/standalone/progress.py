"""One count of work over all sampling runs of a shot."""

from __future__ import annotations

from torch import Tensor

from ..diffusion.samplers import Callback
from ..shot.cascade import Interpolate


class Work:
    """Units done of all: a denoising step of a clip and a segment of a pass are one each."""

    def __init__(self, callback: Callback | None, total: int) -> None:
        self.callback, self.total, self.done = callback, total, 0

    def report(self, estimate: Tensor, within: int = 0) -> None:
        """Tell the observer of the units done and the latest estimate of z_0 [B, C, T, h, w]."""
        if self.callback is not None:
            self.callback(self.done + within, self.total, estimate)

    def finish(self, units: int, estimate: Tensor) -> None:
        """So many units are done; estimate: of z_0, [B, C, T, h, w]."""
        self.done += units
        self.report(estimate)

    def step(self, step: int, _: int, estimate: Tensor) -> None:
        """Callback of a clip's sampling run; estimate: of z_0, [B, C, T, h, w]."""
        self.report(estimate, within=step)

    def inner_step(self, step: int, _: int, estimate: Tensor) -> None:
        """Callback of a batch of segments, which counts once it is whole; here it can be cancelled.

        estimate: of z_0, [N, C, T, h, w].
        """
        self.report(estimate)

    def counting(self, interpolate: Interpolate) -> Interpolate:
        """An interpolation that counts each segment as a unit."""

        def counted(ends: Tensor, level: int, indices: range) -> Tensor:
            made = interpolate(ends, level, indices)
            self.finish(len(indices), made)
            return made

        return counted
