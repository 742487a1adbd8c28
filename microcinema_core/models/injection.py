"""How appearance enters the main branch (Sec. 3.2): an additive term per level, de-normalisation per ResBlock (Eq. 2).

AppearNet makes an `Appearance` once per clip; a denoising step pays only the multiply-adds below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..config import Injection, UNetConfig


@dataclass(frozen=True, slots=True)
class Appearance:
    """What AppearNet says of a keyframe. Tensors are [B, T, C, h, w] with T = 1 where all frames share it.

    concat: what mode `concat` adds to conv_in's output.
    add: the additive term of each level.
    spade: gamma and beta of each ResBlock's second norm, concatenated over channels.
    """

    concat: Tensor | None = None
    add: dict[str, Tensor] = field(default_factory=dict)
    spade: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device, dtype: torch.dtype) -> Appearance:
        """Every tensor moved and cast."""
        return self._each(lambda term: term.to(device, dtype))

    def scaled(self, strength: float) -> Appearance:
        """Every term times the strength, 1 as trained."""
        return self if strength == 1 else self._each(lambda term: term * strength)

    def at(self, frames: Sequence[int]) -> Appearance:
        """What it says of some frames, where it says something of each."""
        return self._each(lambda term: term if term.shape[1] == 1 else term[:, list(frames)])

    def tensors(self) -> dict[str, Tensor]:
        """All of them, by name."""
        added, pairs = (
            {f"{part}.{name}": term for name, term in terms.items()}
            for part, terms in (("add", self.add), ("spade", self.spade))
        )
        return ({} if self.concat is None else {"concat": self.concat}) | added | pairs

    def of(self, tensors: Mapping[str, Tensor]) -> Appearance:
        """The same terms of other tensors, under the names that `tensors` gives."""
        add, spade = ({name: tensors[f"{part}.{name}"] for name in getattr(self, part)} for part in ("add", "spade"))
        return Appearance(None if self.concat is None else tensors["concat"], add, spade)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Appearance:
        return Appearance(
            None if self.concat is None else change(self.concat),
            {name: change(term) for name, term in self.add.items()},
            {name: change(pair) for name, pair in self.spade.items()},
        )


def down_level(level: int) -> str:
    """The name of a level on the way down, 0 being the largest picture's."""
    return f"down_{level}"


def up_level(level: int) -> str:
    """The name of a level on the way up, 0 being the largest picture's."""
    return f"up_{level}"


MID_LEVEL = "mid"


def level_channels(config: UNetConfig) -> dict[str, int]:
    """Channels of every level of the main branch, in the order in which they run."""
    channels = config.block_out_channels
    down = {down_level(i): c for i, c in enumerate(channels)}
    up = {up_level(i): channels[i] for i in reversed(range(len(channels)))}
    return {**down, MID_LEVEL: channels[-1], **up}


def injected_levels(config: UNetConfig) -> dict[str, int]:
    """Channels of the levels that receive an additive term in this configuration's mode."""
    match config.injection:
        case Injection.CONCAT:
            return {}
        case Injection.ADD_DECODER:
            return {name: c for name, c in level_channels(config).items() if not name.startswith("down")}
        case _:
            return level_channels(config)


def resblocks_of(level: str, config: UNetConfig) -> list[str]:
    """Names of a level's ResBlocks: the mid block has two, an up level one more than a down level."""
    extra = 1 if level.startswith("up") else 0
    count = 2 if level == MID_LEVEL else config.layers_per_block + extra
    return [f"{level}_{i}" for i in range(count)]


def _per_clip(h: Tensor, feature: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """View h [G*B*T, C, H, W] as [G, B, T, C, H, W] and the feature as [1, B, T or 1, C, H, W].

    G is 2 when both branches of guidance share one appearance.
    """
    return h.view(-1, feature.shape[0], frames, *h.shape[1:]), feature[None]


def add_appearance(h: Tensor, feature: Tensor, gate: Tensor, frames: int) -> Tensor:
    """h + g * a. h [N*T, C, H, W], feature [B, T or 1, C, H, W], gate [N*T, C, 1, 1]."""
    clips, term = _per_clip(h, feature.to(h.dtype), frames)
    gates, _ = _per_clip(gate, feature, frames)
    return torch.addcmul(clips, gates, term.expand_as(clips)).view_as(h)


def denormalise(normed: Tensor, feature: Tensor, gate: Tensor, frames: int) -> Tensor:
    """(1 + g * gamma) * GN(h) + g * beta (Eq. 2). feature [B, T or 1, 2C, H, W]."""
    clips, pair = _per_clip(normed, feature.to(normed.dtype), frames)
    gates, _ = _per_clip(gate, feature, frames)
    gamma, beta = pair.chunk(2, dim=3)
    return torch.addcmul(clips, gates, torch.addcmul(beta, gamma, clips)).view_as(normed)
