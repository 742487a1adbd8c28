"""Readers of painted clips, on changes made here by hand: each sees its own kind alone, and nothing in nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.worlds.pocket.effects import Effect
from studies.pocket.paint import Read, to_markdown
from studies.pocket.readers import Signs, seen, signs

FRAMES, HIGH, WIDE = 9, 96, 128
GROWS = torch.linspace(0, 1, FRAMES).view(-1, 1, 1, 1)


def clip() -> Tensor:
    """The same picture in every frame: large patches with texture on them."""
    rng = np.random.default_rng(0)
    coarse, fine = (torch.from_numpy(rng.uniform(0.15, 0.7, (1, 3, HIGH // n, WIDE // n))).float() for n in (16, 4))
    large, small = (F.interpolate(part, (HIGH, WIDE), mode="bicubic") for part in (coarse, fine))
    return (0.7 * large + 0.3 * small).clamp(0.05, 0.9).expand(FRAMES, -1, -1, -1).clone()


def flakes(before: Tensor, shape: tuple[int, int]) -> Tensor:
    """White spots of a size, elsewhere in each frame."""
    rng, after = np.random.default_rng(1), before.clone()
    high, wide = shape
    for frame in after:
        for y, x in zip(rng.integers(0, HIGH - high, 60), rng.integers(0, WIDE - wide, 60), strict=True):
            frame[:, y : y + high, x : x + wide] += 0.35
    return after.clamp(0, 1)


def swaying(before: Tensor) -> Tensor:
    """The lower half goes to and fro by two pixels."""
    after = before.clone()
    for number, frame in enumerate(after):
        frame[:, HIGH // 2 :] = frame[:, HIGH // 2 :].roll((-2, 0, 2, 0)[number % 4], dims=2)
    return after


CHANGES: Mapping[Effect, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        Effect.SNOW: lambda before: flakes(before, (2, 2)),
        Effect.RAIN: lambda before: flakes(before, (8, 1)),
        Effect.FOG: lambda before: torch.lerp(before, torch.full_like(before, 0.7), 0.75),
        Effect.WIND: swaying,
        Effect.BRIGHTER: lambda before: (before * (1 + 0.35 * GROWS)).clamp(0, 1),
        Effect.DARKER: lambda before: before * (1 - 0.35 * GROWS),
        Effect.WARM: lambda before: before * (1 + GROWS * torch.tensor([0.1, 0.0, -0.2]).view(1, 3, 1, 1)),
        Effect.COLD: lambda before: before * (1 + GROWS * torch.tensor([-0.2, 0.0, 0.1]).view(1, 3, 1, 1)),
        Effect.FLICKER: lambda before: before * (0.95 + 0.1 * (torch.arange(FRAMES) % 2).view(-1, 1, 1, 1)),
    }
)


def read(after: Tensor) -> Signs:
    lower = torch.zeros(1, HIGH, WIDE)
    lower[:, HIGH // 2 :] = 1
    return signs(clip(), after, lower)


@pytest.mark.parametrize("effect", CHANGES)
def test_a_reader_sees_its_own_kind_alone(effect: Effect) -> None:
    alike = {Effect.WIND, Effect.RIPPLES} if effect is Effect.WIND else {effect}
    assert seen(read(CHANGES[effect](clip()))) == alike


def test_nothing_is_seen_in_nothing() -> None:
    assert not seen(read(clip()))


def test_the_table_counts_both_ways() -> None:
    dark, still = read(CHANGES[Effect.DARKER](clip())), read(clip())
    found = [Read("a", "drawn", Effect.DARKER, dark, None), Read("a", "painted", Effect.DARKER, still, None)]
    found.append(Read("a", "painted", Effect.WIND, dark, 0.995))
    lines = [line.split("|") for line in to_markdown(found).splitlines() if "|" in line]
    rows = {line[1].strip(): line[3:-1] for line in lines}
    assert [cell.split()[0] for cell in rows["darker"]] == ["1.000", "0.000", "0.000", "0.000"]
    assert rows["wind"][3].split()[0] == "1.000"
    assert to_markdown(found).endswith("0.9950 of pixels at least.")
