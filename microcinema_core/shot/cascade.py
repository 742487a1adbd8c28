"""Temporal super-resolution as a cascade (Sec. 3.1): each pass quadruples the frame rate, segment by segment.

Latents are model-space. A pass is a generator that holds one batch of segments, whatever the length of the video, and
passes are chained; a segment's result does not depend on how segments are batched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

# (ends [N, C, 2, h, w], pass from 0, indices of the segments) -> [N, C, T, h, w] with the ends unchanged.
Interpolate = Callable[[Tensor, int, range], Tensor]


def super_resolve(frames: Iterable[Tensor], interpolate: Interpolate, level: int, batch: int) -> Iterator[Tensor]:
    """One pass. Frames [C, h, w] in and out; the given ones come back unchanged."""
    ends: list[Tensor] = []
    done = 0
    for frame in frames:
        if not ends:
            yield frame
        ends.append(frame)
        if len(ends) == batch + 1:
            yield from _segments(ends, interpolate, level, done)
            done, ends = done + batch, ends[-1:]
    if len(ends) > 1:
        yield from _segments(ends, interpolate, level, done)


def _segments(ends: list[Tensor], interpolate: Interpolate, level: int, done: int) -> Iterator[Tensor]:
    """Every frame after the first of these ends."""
    pairs = torch.stack([torch.stack(ends[:-1]), torch.stack(ends[1:])], dim=2)
    made = interpolate(pairs, level, range(done, done + len(pairs)))
    for segment in made:
        yield from segment[:, 1:].unbind(1)


def cascade(frames: Iterable[Tensor], interpolate: Interpolate, passes: int, batch: int) -> Iterator[Tensor]:
    """All passes chained. Frames [C, h, w] in and out."""
    for level in range(passes):
        frames = super_resolve(frames, interpolate, level, batch)
    yield from frames
