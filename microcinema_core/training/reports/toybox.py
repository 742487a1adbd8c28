"""Reports on Toybox: how much of what a prompt says is seen in what was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...config import ClipConfig, Kind
from ...media import Frames, to_uint8
from ...shot.timing import frame_times
from ...worlds.toybox.captions import still_caption
from ...worlds.toybox.tracker import Reading, Sighting, read_clip, read_frame
from ...worlds.toybox.triples import KEYFRAME, TIMES, Triple, read_triples
from ...worlds.toybox.world import render
from ..coders import Coders
from ..data.clips import Clip
from ..stage import Findings
from ..trainee import Trainee
from .generation import clip_times, clips, stills

SHEET_ROWS = 8
ROW = 8  # single pictures beside each other


def select_triples(count: int) -> list[Triple]:
    """Always the same ones of the list for choosing checkpoints; the final list is never looked at in training.

    A random choice: the list goes through the motions in turn, and an even one would show few of them.
    """
    triples = read_triples("select")
    order = np.random.default_rng(0).permutation(len(triples))
    return [triples[i] for i in sorted(order[:count])]


@dataclass(frozen=True, slots=True)
class ToyboxPictures:
    """Pictures from sentences, and the share of them in which shape and colour are as said."""

    trainee: Trainee
    count: int

    def __call__(self) -> Findings:
        triples = select_triples(self.count)
        prompts = [_said(triple, i) for i, triple in enumerate(triples)]
        latents = stills(self.trainee, prompts, [triple.seed for triple in triples])
        pictures = to_uint8(self.trainee.coders.decode(latents)[:, 0])
        rows = [pictures[i : i + ROW] for i in range(0, len(pictures), ROW)]
        right = _looks_right([read_frame(picture) for picture in pictures], triples)
        return Findings({"shape_and_colour_right": float(np.mean(right))}, rows)


@dataclass(frozen=True, slots=True)
class ToyboxClipsMade:
    """Clips from keyframes and sentences, and the share of them that move and look as said."""

    trainee: Trainee
    count: int

    def __call__(self) -> Findings:
        triples = select_triples(self.count)
        frames = self._made(triples)
        times = clip_times(self.trainee)
        seen = [read_clip(clip, times) for clip in frames]
        moved = np.array([r.motion == t.scene.motion for r, t in zip(seen, triples, strict=True)])
        look = np.array(_looks_right(seen, triples))
        figures = {"motion_right": moved.mean(), "look_right": look.mean(), "all_right": (moved & look).mean()}
        return Findings(figures, list(frames[:SHEET_ROWS]))

    def _made(self, triples: Sequence[Triple]) -> Frames:
        """[N, T, H, W, 3]."""
        coders, width = self.trainee.coders, self.trainee.config.clip.width
        keyframes = coders.encode([triple.keyframe(width) for triple in triples])[:, :, None]
        texts, seeds = [triple.prompt for triple in triples], [triple.seed for triple in triples]
        return to_uint8(coders.decode(clips(self.trainee, keyframes, texts, seeds)))


def true_clips(trainee: Trainee, triples: Sequence[Triple]) -> list[Clip]:
    """What each sentence tells, around the keyframe; for an image model the keyframe alone, and a sentence about it."""
    if trainee.kind is Kind.IMAGE:
        texts, times = [_said(triple, i) for i, triple in enumerate(triples)], [TIMES[KEYFRAME]]
    else:
        texts, times = [triple.prompt for triple in triples], clip_times(trainee)
    clip, encode = trainee.config.clip, trainee.coders.encode
    pictures = (render(triple.scene, times, clip.width) for triple in triples)
    return [Clip(encode(frames).cpu(), text, clip.fps) for frames, text in zip(pictures, texts, strict=True)]


def true_segments(coders: Coders, clip: ClipConfig, triples: Sequence[Triple], rate: float) -> Tensor:
    """As many frames as `clip` has, at `rate`, from each scene's keyframe on: latents [N, C, T, h, w]."""
    times = frame_times(clip.frames, rate, start=TIMES[KEYFRAME])
    pictures = np.concatenate([render(triple.scene, times, clip.width) for triple in triples])
    return coders.encode(pictures).unflatten(0, (-1, clip.frames)).transpose(1, 2)


def _said(triple: Triple, number: int) -> str:
    """Of its keyframe as a picture."""
    return still_caption(triple.scene, np.random.default_rng(number))


def _looks_right(seen: Sequence[Reading | Sighting], triples: Sequence[Triple]) -> list[bool]:
    return [r.shape == t.scene.shape and r.colour == t.scene.colour for r, t in zip(seen, triples, strict=True)]
