"""The report on one's own videos: what is made of the keyframes of films that are kept out of training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...media import Frames, to_uint8
from ...shot.timing import keyframe_index
from ..data.film_clips import FilmClips
from ..stage import Findings
from ..trainee import Trainee
from .generation import clips


@dataclass(frozen=True, slots=True)
class FilmClipsMade:
    """A sheet of clips, each below the true one whose centre frame was its keyframe."""

    trainee: Trainee
    held_out: FilmClips

    def __call__(self) -> Findings:
        rows: list[Frames] = []
        for i in range(len(self.held_out)):
            clip = self.held_out.clip(i)
            true = clip.latents.transpose(0, 1)[None].to(self.trainee.coders.device)  # [1, C, T, h, w]
            key = keyframe_index("centre", true.shape[2])
            made = clips(self.trainee, true[:, :, key : key + 1], [clip.text], [i])
            rows += [self._frames(true), self._frames(made)]
        return Findings({}, rows)

    def _frames(self, latents: Tensor) -> Frames:
        """[1, C, T, h, w] -> [T, H, W, 3]."""
        return to_uint8(self.trainee.coders.decode(latents)[0])
