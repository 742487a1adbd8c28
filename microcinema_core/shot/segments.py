"""The rules of temporal super-resolution's segments (Sec. 3.1), for training, the program and the nodes alike.

A segment is a few frames of which the two ends are given. Its guide is the line between them: a straight one or, of a
model along whose line a camera's frames go, these frames and a straight line between what both ends differ by from
them. What is diffused is the latents themselves or, where the model's file has their deviations, what the line leaves.
Latents are model-space [N, C, T, h, w], one segment an item; a pass is counted from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ..config import ModelConfig
from ..errors import InputError
from ..models.guide import Guide, change
from .timing import MAX_PASSES, frame_times


@dataclass(frozen=True, slots=True)
class Segments:
    """What a TSR model's file says of its segments.

    frames: of a segment, both ends included. residual_std: at each pass, the deviation of what the line leaves; empty:
    latents are diffused as they are. along: whether the line goes along a guide of each frame.
    """

    frames: int
    residual_std: tuple[float, ...] = ()
    along: bool = False

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        """The rules that a TSR model's configuration holds."""
        return cls(config.clip.frames, config.diffusion.residual_std, config.unet.along_guide)

    @property
    def factor(self) -> int:
        """How many times the frame rate of one pass's result is that of what it is given."""
        return self.frames - 1

    def rate(self, fps: float, level: int) -> float:
        """Frames a second after pass `level` of frames that came at `fps` to the first pass."""
        return fps * self.factor ** (level + 1)

    def times(self, rate: float) -> list[float]:
        """Each frame's seconds from the segment's start, which tell the model its pass; rate: of the result."""
        return frame_times(self.frames, rate, 0)

    @property
    def passes(self) -> int:
        """How many passes the model was trained for."""
        return len(self.residual_std) or MAX_PASSES

    def check_passes(self, passes: int) -> None:
        """Raises InputError for more passes than the model was trained for."""
        if passes > self.passes:
            raise InputError(
                f"temporal super-resolution: this model was trained for {self.passes} passes, {passes} were asked for"
            )

    def line(self, ends: Tensor, guide: Guide | None = None) -> Guide:
        """Ends [N, C, 2, h, w] -> the guide of the segments between them.

        guide: of every frame, [N, C, T, h, w], along which the line goes where the model's does; where the ends are its
        own, the line is it. A straight line reads none, and is known everywhere.
        Raises InputError where the model's line goes along a guide and there is none.
        """
        if not self.along:
            return Guide(linear_frames(ends, self.frames))
        guide = self.expect_guide(guide)
        differences = linear_frames(ends - ends_of(guide.latents), self.frames)
        return Guide(guide.latents + differences, guide.known, guide.latents)

    def expect_guide(self, guide: Guide | None) -> Guide:
        """The guide [N, C, T, h, w] itself, for a model along whose line one goes. Raises InputError for none."""
        if guide is None:
            raise InputError(
                "temporal super-resolution: this line goes along a camera's frames, for what is painted on them; "
                "ask for no passes, or take a model whose line is straight"
            )
        return guide

    def remainder(self, latents: Tensor, line: Guide, levels: Sequence[int]) -> Tensor:
        """What is diffused of segments [N, C, T, h, w], in that shape: what the line leaves, over its deviation, and of
        a line along a guide over how much its difference changes from end to end.

        A model without deviations diffuses the segments themselves. levels: the pass of each segment.
        """
        if not self.residual_std:
            return latents
        return (latents - line.latents) / self._deviations(levels, line)

    def restored(self, made: Tensor, line: Guide, levels: Sequence[int]) -> Tensor:
        """Segments [N, C, T, h, w] from what was diffused of them, in the same shape.

        Where neither end differs from a guide along which the line goes, they are that guide, so that nothing flickers.
        levels: the pass of each segment.
        """
        if self.residual_std:
            made = line.latents + self._deviations(levels, line) * made
        return made if line.along is None else torch.where(_differing(line), made, line.latents)

    def _deviations(self, levels: Sequence[int], line: Guide) -> Tensor:
        """[N, 1, 1, 1, 1], or of every place [N, 1, 1, h, w]."""
        latents, found = line.latents, [self.residual_std[level] for level in levels]
        deviations = torch.tensor(found, dtype=latents.dtype, device=latents.device).view(-1, 1, 1, 1, 1)
        return deviations if line.along is None else deviations * change(line)


def _differing(line: Guide) -> Tensor:
    """Where the line leaves what it goes along, [N, 1, 1, h, w]."""
    assert line.along is not None
    return (line.latents != line.along).any(dim=1, keepdim=True).any(dim=2, keepdim=True)


def linear_frames(ends: Tensor, frames: int) -> Tensor:
    """[N, C, 2, h, w] -> [N, C, frames, h, w] on the straight line between the ends, which are exact."""
    start, end = ends[:, :, :1], ends[:, :, 1:]
    weights = torch.linspace(0, 1, frames, dtype=ends.dtype, device=ends.device).view(-1, 1, 1)
    return torch.lerp(start.expand(-1, -1, frames, -1, -1), end, weights)


def ends_of(segments: Tensor) -> Tensor:
    """Segments [N, C, T, h, w] -> their ends [N, C, 2, h, w]."""
    return segments[:, :, [0, -1]]


def with_ends(made: Tensor, ends: Tensor) -> Tensor:
    """Segments [N, C, T, h, w] whose given ends [N, C, 2, h, w] stand in them unchanged."""
    return torch.cat([ends[:, :, :1], made[:, :, 1:-1], ends[:, :, 1:]], dim=2)
