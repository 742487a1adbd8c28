"""The rooms of the library, its folders and the files of its ground floor, and who imports whom.

An arrow runs up where a room imports one that stands after it in ROOMS, be it late or for its types alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

CORE = "microcinema_core"
# From the ground up: each may import those before it.
ROOMS = (
    "errors", "files", "config", "backend", "models", "diffusion", "checkpoint", "shot", "motion", "places",
    "media", "footage", "worlds", "standalone", "importers", "training", "evaluation", "curation", "cli",
)  # fmt: skip

Trees = Mapping[PurePosixPath, ast.Module]  # a file's path in the repository -> its syntax tree
Uses = dict[tuple[str, str], list[str]]  # (importing room, imported room) -> the lines that do it


def room_of(parts: Sequence[str]) -> str | None:
    """The room of a file, or of an absolute import, by its parts; None for what lies in none."""
    if len(parts) < 2 or parts[0] != CORE or parts[1] == "__init__.py":
        return None
    return parts[1].removesuffix(".py")


def unknown_rooms(paths: Iterable[PurePosixPath]) -> list[str]:
    """Those that have no place in ROOMS."""
    return sorted({room for path in paths if (room := room_of(path.parts))} - set(ROOMS))


def imported(path: PurePosixPath, tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every import wherever in a file: its line, and the parts of the absolute name that it asks for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: -node.level] if node.level else ()
            module = node.module.split(".") if node.module else ()
            yield from ((node.lineno, (*above, *module, alias.name)) for alias in node.names)


def uses_of(trees: Trees) -> Uses:
    """Which of these files' rooms imports which other, and where."""
    rooms = {room_of(path.parts) for path in trees}
    uses: Uses = {}
    for path, tree in trees.items():
        room = room_of(path.parts)
        for line, name in imported(path, tree):
            other = room_of(name)
            if room and other and other != room and other in rooms:
                uses.setdefault((room, other), []).append(f"{path}:{line}")
    return uses


def arrows_up(uses: Uses) -> dict[str, list[str]]:
    """The lines by which a lower room imports a higher one. Every room must be one of ROOMS."""
    return {
        f"{room} imports {other}": places
        for (room, other), places in sorted(uses.items())
        if ROOMS.index(room) < ROOMS.index(other)
    }


def circles(uses: Uses) -> list[str]:
    """Groups of rooms each of which leads back to itself through the others."""
    reached = {room: {other for start, other in uses if start == room} for pair in uses for room in pair}
    for between, beyond in reached.items():
        for found in reached.values():
            if between in found:
                found |= beyond
    groups = {frozenset(other for other in found if room in reached[other]) for room, found in reached.items()}
    return sorted(", ".join(sorted(group)) for group in groups if group)
