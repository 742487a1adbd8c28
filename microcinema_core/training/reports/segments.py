"""The report on temporal super-resolution, of Toybox or of films: frames made between two ends, and those that were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ...media import Frames, to_uint8
from ...models.guide import Guide
from ...shot.segments import Segments, ends_of
from ...shot.settings import TSR_BATCH, TSR_SAMPLING, segments_at_once
from ...standalone.sampling import NoiseStream, Text, sample_segments
from ..frozen import is_halved
from ..stage import Findings
from ..trainee import Trainee

SHOWN = 4  # segments of each pass on a sheet: what was made, and below it the truth


@dataclass(frozen=True, slots=True)
class SegmentsMade:
    """Squared error of the frames between, as a share of what the line between the ends has.

    rates: frames a second of each pass's result; truth: segments [N, C, T, h, w] at such a rate; seeds: N of them;
    guide: of every frame of these, where the line goes along one.
    """

    trainee: Trainee
    rates: Sequence[float]
    truth: Callable[[float], Tensor]
    seeds: Sequence[int]
    guide: Callable[[float], Guide | None]

    def __call__(self) -> Findings:
        figures: dict[str, float] = {}
        rows: list[Frames] = []
        segments = Segments.of(self.trainee.config)
        for level, rate in enumerate(self.rates):
            truth = self.truth(rate)
            ends = ends_of(truth)
            made, line = self._made(ends, level, segments), segments.line(ends, self.guide(rate)).latents
            share = (made - truth).square().mean() / (line - truth).square().mean()
            figures[f"error_share_{rate:g}fps"] = share.item()
            rows += self._rows(made, truth)
        return Findings(figures, rows)

    def _made(self, ends: Tensor, level: int, segments: Segments) -> Tensor:
        """Ends [N, C, 2, h, w] -> segments [N, C, T, h, w], without a prompt."""
        trainee = self.trainee
        unet, appearnet = trainee.networks.unet, trainee.networks.appearnet
        assert appearnet is not None
        networks, text = (unet, appearnet), Text(trainee.coders.null, trainee.coders.null)
        noise, fps = [NoiseStream.segment(seed, level, 0) for seed in self.seeds], self.rates[0] / segments.factor
        made, together, guide = [], segments_at_once(TSR_BATCH, *ends.shape[-2:]), self.guide(self.rates[level])
        # In float32, as far as the weights are: the truth has no error but the autoencoder's.
        with nullcontext() if is_halved(trainee.networks) else torch.autocast(ends.device.type, enabled=False):
            for first in range(0, len(ends), together):
                part = slice(first, first + together)
                own = None if guide is None else guide.part(part)
                made.append(
                    sample_segments(
                        networks,
                        trainee.config,
                        ends[part],
                        level,
                        fps,
                        text,
                        noise[part][: len(ends[part])],
                        TSR_SAMPLING,
                        guide=own,
                    )
                )
        return torch.cat(made)

    def _rows(self, made: Tensor, truth: Tensor) -> list[Frames]:
        shown = [to_uint8(self.trainee.coders.decode(segments[:SHOWN])) for segments in (made, truth)]
        return [segment for pair in zip(*shown, strict=True) for segment in pair]
