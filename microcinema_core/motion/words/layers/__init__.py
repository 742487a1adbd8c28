"""Layers read from a prompt's words: weather, air, light, water, wind, sky; `docs/layer-words.md` is its grammar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from ...layer import Layer, LayerKind
from .reader import LayerReader
from .strengths import Said

__all__ = ["LayerReader", "Said", "denied_kinds", "in_short", "together"]


def denied_kinds(found: Iterable[Said]) -> frozenset[LayerKind]:
    return frozenset(said.kind for said in found if said.denied)


def together(found: Iterable[Said]) -> tuple[Layer, ...]:
    """What was said of each kind in one layer, in the order in which they were named first."""
    kinds: dict[LayerKind, Said] = {}
    for said in found:
        kinds[said.kind] = kinds[said.kind] | said if said.kind in kinds else said
    return tuple(said.layer for said in kinds.values())


def in_short(layer: Layer) -> str:
    """A layer for a person: its kind, its amount, and what else is not at its default: `fog amount 1, fade_in 0.5`."""
    others = (f.name for f in fields(layer) if f.name not in ("kind", "amount") and getattr(layer, f.name) != f.default)
    return ", ".join(
        [f"{layer.kind} amount {layer.amount:g}", *(f"{name} {getattr(layer, name):g}" for name in others)]
    )
