"""What a model of Pocket's makes of clips that it never saw, in decibels beside its guide and the autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from ...media import Frames, to_uint8
from ...models.guide import Guide
from ...shot.settings import SamplingConfig
from ...standalone.sampling import Conditioning, NoiseStream, Text, sample_latents
from ..data.pocket import encoded, read_folder, read_texts
from ..data.pocket_files import Clips
from ..stage import Findings
from ..trainee import Trainee

SAMPLING = SamplingConfig(steps=8, cfg=1.0)
AT_ONCE = 16  # clips sampled together
FEW = 200  # pixels of a clip below which it has no hole to speak of
SHOWN = 4  # clips on a sheet
WAYS = ("made", "guide", "trip")  # what the model made, its guide decoded, the truth through the autoencoder


@dataclass(frozen=True, slots=True)
class Measured:
    """Decibels of a clip against the truth where its keyframe shows it and where it does not; None: no such place."""

    known: dict[str, float]
    hole: dict[str, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Clips [N, T, 3, H, W], pixels 0..1, by name of WAYS, and the truth."""

    ways: dict[str, Tensor]
    truth: Tensor
    known: Tensor

    def measured(self) -> list[Measured]:
        """Of each clip."""
        holes = (1 - self.known).sum(dim=(1, 2, 3, 4))
        at = [{name: _decibels(way, self.truth, mask) for name, way in self.ways.items()} for mask in self._masks()]
        return [
            Measured(
                {name: float(value[i]) for name, value in at[0].items()},
                {name: float(value[i]) for name, value in at[1].items()} if float(holes[i]) > FEW else None,
            )
            for i in range(len(self.truth))
        ]

    def _masks(self) -> tuple[Tensor, Tensor]:
        return self.known, 1 - self.known

    def rows(self, number: int) -> list[Frames]:
        """A clip's truth, guide and what was made of it, each [T, H, W, 3]."""
        return [to_uint8(clip[number]) for clip in (self.truth, self.ways["guide"], self.ways["made"])]


def _decibels(made: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """[N], of clips [N, T, 3, H, W] where a mask [N, T, 1, H, W] is."""
    error = ((made - truth) ** 2 * mask).sum(dim=(1, 2, 3, 4)) / (3 * mask.sum(dim=(1, 2, 3, 4))).clamp(min=1)
    return -10 * torch.log10(error.clamp(min=1e-10))


@torch.no_grad()
def make(trainee: Trainee, clips: Clips, seeds: Sequence[int], config: SamplingConfig = SAMPLING) -> Made:
    """What the model makes of the clips' guides and captions."""
    coders, networks = trainee.coders, trainee.networks
    latents, guides, known = (part.float().transpose(1, 2) for part in encoded(clips, coders))
    guide = Guide(guides, known)
    text = Text(read_texts([one.caption for one in clips.told], coders).float(), coders.null)
    clip = trainee.config.clip
    seconds = (torch.arange(clip.frames, device=latents.device) - clip.frames // 2) / clip.fps
    assert networks.appearnet is not None
    given = Conditioning(text, guide, networks.appearnet(guide), seconds)
    noise = [NoiseStream(seed) for seed in seeds]
    _, _, frames, height, width = latents.shape
    made = sample_latents(networks.unet, trainee.config.diffusion, given, noise, (frames, height, width), config)
    with torch.autocast(coders.device.type, enabled=False):
        ways = {name: coders.decode(part) for name, part in zip(WAYS, (made, guides, latents), strict=True)}
    place = latents.device
    return Made(ways, clips.truth.to(place).float() / 255, clips.known.to(place).float() / 255)


def middle(measured: Sequence[Measured]) -> dict[str, float]:
    """Medians over clips: `made_known` and so on, in decibels."""
    figures = {f"{way}_known": median(one.known[way] for one in measured) for way in WAYS}
    holes = [one.hole for one in measured if one.hole is not None]
    return figures | {f"{way}_hole": median(hole[way] for hole in holes) for way in WAYS if holes}


class PocketClipsMade:
    """Of the first clips of a folder: figures, and a sheet of a few, each truth, guide and made."""

    def __init__(self, trainee: Trainee, folder: Path, count: int) -> None:
        self.trainee, self.folder, self.count = trainee, folder, count

    @cached_property
    def clips(self) -> list[Clips]:
        """On the CPU, AT_ONCE at most in each."""
        return [part for clips in read_folder(self.folder, self.count) for part in clips.parts(AT_ONCE)]

    def __call__(self) -> Findings:
        measured: list[Measured] = []
        rows: list[Frames] = []
        for clips in self.clips:
            made = make(self.trainee, clips, range(len(measured), len(measured) + len(clips)))
            if not rows:
                rows = [row for number in range(min(SHOWN, len(clips))) for row in made.rows(number)]
            measured += made.measured()
        return Findings(middle(measured), rows)
