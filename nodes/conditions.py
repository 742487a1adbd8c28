"""What AppearNet Encode hands to the model along with the prompts, and how the host carries it to each call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from weakref import WeakValueDictionary

import comfy.conds
import torch
from torch import Tensor

from ..microcinema_core.config import UNetConfig
from ..microcinema_core.diffusion.noise import prior_mean
from ..microcinema_core.errors import InputError
from ..microcinema_core.models.injection import Appearance
from ..microcinema_core.shot.dials import Dial
from ..microcinema_core.shot.plan import SHOT

KEY = "microcinema"  # in a conditioning's dictionary


@dataclass(frozen=True, slots=True)
class Acting:
    """How strongly the appearance acts, and from where to where in the schedule, 0..1; by default as trained.

    share_attention: every frame's spatial self-attention reads the keyframe's frame too, from and to the same places.
    """

    strength: float = SHOT.strength
    start: Annotated[float, Dial("Where in the schedule the appearance begins to act.", 0.0, 1.0, step=0.01)] = 0.0
    end: Annotated[float, Dial("Where in the schedule the appearance ceases to act.", 0.0, 1.0, step=0.01)] = 1.0
    share_attention: bool = SHOT.share_attention


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What one AppearNet Encode made of its keyframes: one entry per clip, shared by all prompts it was given.

    appearance: features, strength included, and the model-space keyframe latents [N, T or 1, C, h, w], all unrepeated.
    seconds: of each frame of a clip, from its keyframe, which is frame `key`.
    placed: its copies on devices, for as long as a sampling run holds them.
    """

    appearance: Appearance
    frames: int
    seconds: Sequence[float]
    unet: UNetConfig
    key: int = 0
    acting: Acting = Acting()
    placed: WeakValueDictionary[Any, Placed] = field(default_factory=WeakValueDictionary)

    @property
    def from_key(self) -> list[int]:
        """Of each frame of a clip, how many frames it is away from the keyframe."""
        return [abs(frame - self.key) for frame in range(self.frames)]

    @property
    def clips(self) -> int:
        return self.appearance.latent.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Of latents: height, width."""
        height, width = self.appearance.latent.shape[-2:]
        return height, width

    @property
    def numbers(self) -> int:
        """How many the features are: with a keyframe for every frame, as in TSR, they are larger than activations."""
        given = self.appearance
        features = (*given.add.values(), *given.spade.values(), *(() if given.concat is None else (given.concat,)))
        return sum(feature.numel() for feature in features)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Placed:
    """An Encoded on the device of a sampling run. sigmas: the largest and smallest at which the features act."""

    source: Encoded
    appearance: Appearance
    sigmas: tuple[float, float] | None

    @classmethod
    def of(cls, source: Encoded, device: torch.device, dtype: torch.dtype, sampling: Any) -> Placed:
        """One copy for both prompts of a run."""
        start, end = source.acting.start, source.acting.end
        always = (start, end) == (0.0, 1.0)
        sigmas = None if always else (sampling.percent_to_sigma(start), sampling.percent_to_sigma(end))
        there = source.placed.get((device, dtype, sigmas))
        if there is not None:
            return there
        moved = source.appearance.to(device, dtype)
        made = cls(source, replace(moved, latent=source.appearance.latent.to(device)), sigmas)
        source.placed[device, dtype, sigmas] = made
        return made

    def acts(self, sigma: Tensor) -> bool:
        """Whether the features act at this sigma; lambda z_c acts always."""
        return self.sigmas is None or self.sigmas[1] <= float(sigma[0]) <= self.sigmas[0]

    def shifted(self, x: Tensor, sigma: Tensor, frames: int, prior_lambda: float) -> Tensor:
        """y + sigma lambda z_c, the network's own noisy sample. x [B*T, C, h, w], sigma [B*T]."""
        rows = x.unflatten(0, (-1, self.source.clips, frames))  # [branches, clips, T, C, h, w]
        shift = sigma.to(x).view(*rows.shape[:3], 1, 1, 1) * prior_mean(self.appearance.latent, prior_lambda)
        return (rows + shift).flatten(0, 2)


class CONDEncoded(comfy.conds.CONDConstant):
    """Compared by identity and neither repeated nor joined: both branches of guidance share the one entry per clip."""

    cond: Placed

    def process_cond(self, batch_size: int, **kwargs: Any) -> CONDEncoded:
        return self

    def can_concat(self, other: CONDEncoded) -> bool:
        return self.cond.source is other.cond.source


class CONDPrompts(comfy.conds.CONDCrossAttn):
    """Text [N, L, D]: one for all rows of the batch, or one per clip, which all of that clip's frames get."""

    def process_cond(self, batch_size: int, **kwargs: Any) -> CONDPrompts:
        prompts = self.cond.shape[0]
        if batch_size % prompts:
            raise InputError(f"{prompts} prompts were given for {batch_size} frames; give one, or one for each clip")
        return self._copy_with(self.cond.repeat_interleave(batch_size // prompts, dim=0))
