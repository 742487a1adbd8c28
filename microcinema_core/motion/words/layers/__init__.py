"""Layers read from a prompt's words: weather, air, light, water, wind, sky; `docs/layer-words.md` is its grammar."""

from __future__ import annotations

from collections.abc import Iterable

from ...layer import Layer, LayerKind
from .reader import LayerReader
from .strengths import Said

__all__ = ["LayerReader", "Said", "denied_kinds", "together"]


def denied_kinds(found: Iterable[Said]) -> frozenset[LayerKind]:
    return frozenset(said.kind for said in found if said.denied)


def together(found: Iterable[Said]) -> tuple[Layer, ...]:
    """What was said of each kind in one layer, in the order in which they were named first."""
    kinds: dict[LayerKind, Said] = {}
    for said in found:
        kinds[said.kind] = kinds[said.kind] | said if said.kind in kinds else said
    return tuple(said.layer for said in kinds.values())
