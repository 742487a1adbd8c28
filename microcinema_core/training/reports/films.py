"""The report on one's own videos: what is made of the keyframes of films that are kept out of training."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ...media import Frames, to_uint8
from ...shot.timing import keyframe_index
from ..data.batches import around_keyframes
from ..data.film_clips import FilmClips
from ..denoising import Denoising
from ..stage import Draw, Findings
from ..trainee import Trainee
from .generation import clips

REPORT = 1 << 40  # what the reports draw; training's steps never reach it


@dataclass(frozen=True, slots=True)
class FilmClipsMade:
    """A sheet of clips, each below the true one whose centre frame was its keyframe; the loss on the true."""

    trainee: Trainee
    held_out: FilmClips
    loss: Denoising
    seed: int

    def __call__(self) -> Findings:
        rows: list[Frames] = []
        errors: list[float] = []
        loss = replace(self.loss, no_text=0.0)
        for i in range(len(self.held_out)):
            clip = self.held_out.clip(i)
            key = keyframe_index("centre", len(clip.latents))
            true = around_keyframes([clip], [key]).to(self.trainee.coders.device)
            made = clips(self.trainee, true.latents[:, :, key : key + 1], true.texts, [i])
            rows += [self._frames(true.latents), self._frames(made)]
            # At a time and with a noise that stay the same in every report.
            errors.append(loss(self.trainee.networks, true, Draw.of(self.seed, REPORT + i))["denoising"].item())
        return Findings({"denoising": sum(errors) / len(errors)}, rows)

    def _frames(self, latents: Tensor) -> Frames:
        """[1, C, T, h, w] -> [T, H, W, 3]."""
        return to_uint8(self.trainee.coders.decode(latents)[0])
