"""What AppearNet Encode hands to the model along with the prompts, and how the host carries it to each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from weakref import WeakValueDictionary

import comfy.conds
import comfy.model_management
import torch
from torch import Tensor

from ..microcinema_core.config import UNetConfig
from ..microcinema_core.diffusion.noise import prior_mean
from ..microcinema_core.errors import InputError
from ..microcinema_core.models.guide import Guide
from ..microcinema_core.models.injection import Appearance
from ..microcinema_core.shot.dials import Dial
from ..microcinema_core.shot.plan import SHOT
from .finite import is_finite

KEY = "microcinema"  # in a conditioning's dictionary


def model_guide(guide: Guide, form: Any) -> Guide:
    """A guide of the VAE's latents [N, C, T, h, w] as the model takes it, float32, where the host keeps results.

    form: the host's latent format. Raises InputError for latents with NaN or infinity.
    """
    latents = by_frame(guide.latents, form.process_in)
    if not is_finite(latents):
        raise InputError(
            "MicroCinema: the keyframe's latents are NaN or infinite; get the model's file and that of its VAE anew"
        )
    return Guide(latents.float(), guide.known).to(comfy.model_management.intermediate_device())


def by_frame(latents: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Latents [N, C, T, h, w] changed as a batch of frames [N * T, C, h, w], as the host has them."""
    frames = change(latents.float().transpose(1, 2).flatten(0, 1))
    return frames.unflatten(0, (len(latents), -1)).transpose(1, 2)


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

    guide: of N clips, float32. appearance: what AppearNet says of it, strength included; None: nothing.
    seconds: of each frame of a clip, from its keyframe, which is frame `key`.
    placed: its copies on devices, for as long as a sampling run holds them.
    """

    guide: Guide
    appearance: Appearance | None
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
        return self.guide.clips

    @property
    def size(self) -> tuple[int, int]:
        """Of latents: height, width."""
        height, width = self.guide.latents.shape[-2:]
        return height, width

    @property
    def numbers(self) -> int:
        """How many the features are: with a keyframe for every frame, as in TSR, they are larger than activations."""
        given = self.appearance
        if given is None:
            return 0
        features = (*given.add.values(), *given.spade.values(), *(() if given.concat is None else (given.concat,)))
        return sum(feature.numel() for feature in features)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Placed:
    """An Encoded on the device of a sampling run. sigmas: the largest and smallest at which the features act."""

    source: Encoded
    guide: Guide
    appearance: Appearance | None
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
        appearance = None if source.appearance is None else source.appearance.to(device, dtype)
        made = cls(source, source.guide.to(device), appearance, sigmas)
        source.placed[device, dtype, sigmas] = made
        return made

    def window(self, frames: list[int]) -> Placed:
        """What is said of some frames of the clip alone, where each has its own."""
        if self.guide.latents.shape[2] == 1:
            return self
        known = self.guide.known
        if known is not None and known.shape[2] > 1:
            known = known[:, :, frames]
        guide = Guide(self.guide.latents[:, :, frames], known)
        appearance = None if self.appearance is None else self.appearance.at(frames)
        return replace(self, guide=guide, appearance=appearance)

    def acts(self, sigma: Tensor) -> bool:
        """Whether the features act at this sigma, [B*T] of one number; lambda z_c acts always."""
        return self.sigmas is None or self.sigmas[1] <= float(sigma[0]) <= self.sigmas[0]

    def shifted(self, x: Tensor, sigma: Tensor, frames: int, prior_lambda: float) -> Tensor:
        """y + sigma lambda z_c, the network's own noisy sample. x and the result [B*T, C, h, w], sigma [B*T]."""
        rows = x.unflatten(0, (-1, self.source.clips, frames))  # [branches, clips, T, C, h, w]
        mean = prior_mean(self.guide, prior_lambda)  # [clips, C, T or 1, h, w]
        if isinstance(mean, float):
            return x
        return (rows + sigma.to(x).view(*rows.shape[:3], 1, 1, 1) * mean.transpose(1, 2)).flatten(0, 2)


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
        return self._copy_with(self.cond.repeat_interleave(batch_size // self.cond.shape[0], dim=0))


def check_prompts(prompts: Tensor, clips: int, what: str) -> None:
    """Raises InputError for texts [N, L, D] that are neither one nor one for each clip. what: the conditioning."""
    if prompts.shape[0] not in (1, clips):
        raise InputError(
            f"{what} holds {prompts.shape[0]} texts for {clips} clips; a frame has no text of its own here: give one "
            "text for all, or as many as there are clips, which is one for each keyframe"
        )
