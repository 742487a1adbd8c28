"""Temporal super-resolution as a cascade (Sec. 3.1): each pass quadruples the frame rate, segment by segment.

Latents are model-space. A pass is a generator that holds one batch of segments, whatever the length of the video, and
passes are chained; a segment's result does not depend on how segments are batched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ..errors import InputError
from ..models.guide import Guide, together

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


class Guides:
    """The guides of every pass's segments, from a stream of those of all frames at the last pass's rate.

    Held is what the first pass has asked for and the last has not: as much as their batches span, however long the
    video.
    """

    def __init__(self, frames: Iterable[Guide], factor: int, passes: int) -> None:
        """frames: of single frames, each [1, C, 1, h, w]. factor: by which a pass raises the frame rate."""
        self.factor, self.passes = factor, passes
        self._stream, self._held, self._gone = iter(frames), deque[Guide](), 0

    def of(self, level: int, indices: range) -> Guide:
        """Of the segments of these numbers in a pass, [N, C, factor + 1, h, w].

        Raises InputError where the stream ends before them.
        """
        every = self.factor ** (self.passes - 1 - level)  # frames of the last pass from one of this pass to the next
        length = self.factor * every
        found = [self._segment(range(i * length, (i + 1) * length + 1, every)) for i in indices]
        if level == self.passes - 1:
            self._forget(indices.stop * length)
        return together(found)

    def _segment(self, numbers: range) -> Guide:
        """[1, C, T, h, w]."""
        frames = [self._at(number) for number in numbers]
        known = [frame.known for frame in frames if frame.known is not None]
        return Guide(torch.cat([frame.latents for frame in frames], dim=2), torch.cat(known, dim=2) if known else None)

    def _at(self, number: int) -> Guide:
        while self._gone + len(self._held) <= number:
            following = next(self._stream, None)
            if following is None:
                raise InputError(
                    f"temporal super-resolution: the guide ends after {self._gone + len(self._held)} frames; "
                    "it must have every frame of the last pass"
                )
            self._held.append(following)
        return self._held[number - self._gone]

    def _forget(self, before: int) -> None:
        """All frames before this one."""
        while self._gone < before:
            self._held.popleft()
            self._gone += 1
