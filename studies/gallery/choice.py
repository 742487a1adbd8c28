"""Which clips of the `select` list the page shows: by rule, never by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from microcinema_core.worlds.toybox.triples import Triple

from ..cases import Seen
from ..shares import pick

ATTRIBUTES = ("motion", "shape", "colour", "background", "speed")


def right(triples: Sequence[Triple], seen: Sequence[Seen], held_out: bool) -> list[int]:
    """Numbers in the list of clips that show and move as asked, of trained or of held-out combinations."""
    return [
        i
        for i, (triple, one) in enumerate(zip(triples, seen, strict=True))
        if triple.held_out == held_out and one.right(triple.scene)
    ]


def wrong(triples: Sequence[Triple], seen: Sequence[Seen], count: int) -> tuple[list[int], int]:
    """A fixed random choice of the clips that do not, and how many there are."""
    every = [i for i, (triple, one) in enumerate(zip(triples, seen, strict=True)) if not one.right(triple.scene)]
    return pick(every, count), len(every)


def varied(triples: Sequence[Triple], numbers: Sequence[int], count: int) -> list[int]:
    """So many of these, each of a motion shown least so far, then of a shape, and so on; the earlier of equals."""
    left, chosen = list(numbers), list[int]()
    shown: Counter[tuple[str, str]] = Counter()
    while left and len(chosen) < count:
        traits = {i: [(name, str(getattr(triples[i].scene, name))) for name in ATTRIBUTES] for i in left}
        best = min(left, key=lambda i: [shown[trait] for trait in traits[i]])
        shown.update(traits[best])
        left.remove(best)
        chosen.append(best)
    return chosen
