"""What a diffusion model learns from at one step: single frames, clips around a keyframe, segments between two ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.guide import Guide, together
from ...shot.segments import Segments, ends_of
from ...shot.timing import frame_times, keyframe_index
from .clips import Clip


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """latents: what is diffused, model-space [B, C, T, h, w]; frame_time: seconds from the keyframe, [B, T].

    context: what the text model makes of the texts, [B, L, D], where that has been read already.
    """

    latents: Tensor
    texts: list[str]
    guide: Guide | None = None
    frame_time: Tensor | None = None
    context: Tensor | None = None

    def to(self, device: torch.device) -> ClipBatch:
        guide = None if self.guide is None else self.guide.to(device)
        times = None if self.frame_time is None else self.frame_time.to(device)
        context = None if self.context is None else self.context.to(device)
        return ClipBatch(self.latents.to(device), self.texts, guide, times, context)


def without_guide(clips: Sequence[Clip]) -> ClipBatch:
    """For an image model."""
    return ClipBatch(_stacked(clips), [clip.text for clip in clips])


def around_keyframes(clips: Sequence[Clip], keys: Sequence[int]) -> ClipBatch:
    """Each clip's guide is its own frame at its key."""
    latents = _stacked(clips)
    z_c = latents[torch.arange(len(keys)), :, torch.tensor(keys)].unsqueeze(2)  # [B, C, 1, h, w]
    times = [frame_times(len(clip.latents), clip.fps, key) for clip, key in zip(clips, keys, strict=True)]
    return ClipBatch(latents, [clip.text for clip in clips], Guide(z_c), torch.tensor(times))


def around_centres(clips: Sequence[Clip]) -> ClipBatch:
    """Each clip's guide is its centre frame."""
    return around_keyframes(clips, [keyframe_index("centre", len(clip.latents)) for clip in clips])


def between_ends(clips: Sequence[Clip], levels: Sequence[int], segments: Segments) -> ClipBatch:
    """Each clip's guide is the line between its ends; levels: the pass that each is of."""
    latents = _stacked(clips)
    guides = [clip.guide for clip in clips if clip.guide is not None]
    line = segments.line(ends_of(latents), together(guides) if guides else None)
    times = torch.tensor([segments.times(clip.fps) for clip in clips])
    return ClipBatch(segments.remainder(latents, line, levels), [clip.text for clip in clips], line, times)


def _stacked(clips: Sequence[Clip]) -> Tensor:
    """[B, C, T, h, w]."""
    return torch.stack([clip.latents for clip in clips]).transpose(1, 2)
