"""Figures of the code: `python -m studies.code_figures [--repo DIR] [--against REV] [--list] [--json]`.

How long files and functions are, what is annotated, which docstrings state shapes, and which way imports run. The
source is read and never imported, so that this one program measures every revision alike.

- A file's length is its lines; empty files are left out. A function's is from `def` to its end, without decorators;
  functions within functions count too.
- Annotated: every argument but `self` and `cls`, and the return.
- States shapes: of the public functions and methods that take or return tensors, frames or pictures, those whose own
  docstring has a shape in brackets, such as [B, C, T, h, w] or [N].
- Arrows and circles: between the library's rooms, as `code_rooms.py` says.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import math
import subprocess
import sys
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from .code_functions import Modules, functions_of, tensor_names
from .code_rooms import CORE, arrows_up, circles, room_of, unknown_rooms, uses_of

FOLDERS = (CORE, "nodes", "studies")
PARTS = LIBRARY, NODES, LABORATORY = "library", "nodes", "laboratory"
LONG, LONGEST = 60, 10  # lines; so many functions are listed


@dataclass(frozen=True, slots=True)
class Lengths:
    """What is typical of some lengths, in lines. Each figure is one of the lengths: the nearest rank."""

    count: int
    median: int
    p90: int
    longest: int

    @classmethod
    def of(cls, lengths: Iterable[int]) -> Lengths:
        ranked = sorted(lengths) or [0]
        median, p90, longest = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.9, 1))
        return cls(len(ranked) if longest else 0, median, p90, longest)

    def __str__(self) -> str:
        return f"{self.median} / {self.p90} / {self.longest}"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of all."""

    count: int
    total: int

    @classmethod
    def of(cls, answers: Iterable[bool]) -> Share:
        known = list(answers)
        return cls(sum(known), len(known))

    def __str__(self) -> str:
        return f"{self.count / self.total:.1%} ({self.count} of {self.total})" if self.total else "none"


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of one part of the repository, and the places of what stands out."""

    files: Lengths
    functions: Lengths
    annotated: Share
    shapes: Share
    long: list[str]
    longest: list[str]
    without_shapes: list[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Those of one revision. `arrows_up` is None where some rooms have no place in ROOMS: `unknown_rooms`."""

    parts: dict[str, Part]
    unknown_rooms: list[str]
    arrows_up: dict[str, list[str]] | None
    circles: list[str]


def read_folder(repo: Path) -> Modules:
    """The Python files of a checkout, those that git does not know yet included."""
    paths = [path for folder in FOLDERS for path in sorted((repo / folder).rglob("*.py"))]
    return parsed({path.relative_to(repo).as_posix(): path.read_text(encoding="utf-8") for path in paths})


def read_revision(repo: Path, revision: str) -> Modules:
    """The Python files of a revision. Raises SystemExit where the repository has no such revision."""
    command = ["git", "-C", str(repo), "archive", "--format=tar", revision, "--", "*.py"]
    archive = subprocess.run(command, capture_output=True)
    if archive.returncode:
        raise SystemExit(f"{revision}: cannot be read from {repo.resolve()}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.name.split("/")[0] in FOLDERS}
        return parsed({name: file.read().decode() for name, file in files.items() if file is not None})


def parsed(texts: Mapping[str, str]) -> Modules:
    """Every text that is not empty, with its syntax tree, by its path."""
    return {PurePosixPath(name): (text, ast.parse(text, name)) for name, text in texts.items() if text}


def part_of(path: PurePosixPath, unknown: Collection[str]) -> str:
    """Before the library had the rooms of ROOMS, its evaluation/ was the laboratory."""
    if path.parts[0] == "nodes":
        return NODES
    old_laboratory = unknown and room_of(path.parts) == "evaluation"
    return LABORATORY if path.parts[0] == "studies" or old_laboratory else LIBRARY


def measure_part(modules: Modules, tensors: Collection[str]) -> Part:
    functions = [found for path, (_, tree) in modules.items() for found in functions_of(path, tree, tensors)]
    functions.sort(key=lambda function: -function.lines)
    told = [f"{function.lines} lines: {function.place}" for function in functions]
    return Part(
        files=Lengths.of(len(text.splitlines()) for text, _ in modules.values()),
        functions=Lengths.of(function.lines for function in functions),
        annotated=Share.of(function.annotated for function in functions),
        shapes=Share.of(function.shapes for function in functions if function.shapes is not None),
        long=told[: sum(function.lines > LONG for function in functions)],
        longest=told[:LONGEST],
        without_shapes=sorted(function.place for function in functions if function.shapes is False),
    )


def measure(modules: Modules) -> Figures:
    unknown, tensors = unknown_rooms(modules), tensor_names(modules)
    parts = {name: {path: one for path, one in modules.items() if part_of(path, unknown) == name} for name in PARTS}
    uses = uses_of({path: tree for path, (_, tree) in parts[LIBRARY].items()})
    return Figures(
        parts={name: measure_part(part, tensors) for name, part in parts.items()},
        unknown_rooms=unknown,
        arrows_up=None if unknown else arrows_up(uses),
        circles=circles(uses),
    )


def rows(figures: Figures) -> dict[str, str]:
    """Each figure by what it is of."""
    made: dict[str, str] = {}
    for name, part in figures.parts.items():
        made |= {
            f"{name}: files, functions": f"{part.files.count}, {part.functions.count}",
            f"{name}: lines of a file, median / 90 % / most": str(part.files),
            f"{name}: lines of a function, median / 90 % / most": str(part.functions),
            f"{name}: functions over {LONG} lines": str(len(part.long)),
            f"{name}: functions with complete annotations": str(part.annotated),
            f"{name}: public tensor functions that state shapes": str(part.shapes),
        }
    up = figures.arrows_up
    made["rooms of the library: arrows that run up"] = "rooms not known" if up is None else str(len(up))
    made["rooms of the library: circles"] = str(len(figures.circles))
    return made


def table(columns: Mapping[str, Figures]) -> str:
    """A Markdown table with one column for each revision."""
    cells = [rows(figures) for figures in columns.values()]
    lines = [("figure", *columns), ("---",) * (1 + len(columns))]
    lines += [(name, *(column[name] for column in cells)) for name in cells[0]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def lists(figures: Figures, everything: bool) -> Iterator[str]:
    """What stands out, as headed lists."""
    for name, part in figures.parts.items():
        yield from listed(f"{name}: functions over {LONG} lines", part.long)
        yield from listed(f"{name}: longest functions", part.longest)
        if everything:
            yield from listed(f"{name}: public tensor functions without shapes", part.without_shapes)
    yield from listed("rooms that ROOMS does not know", figures.unknown_rooms)
    if figures.arrows_up is not None:
        arrows = [f"{arrow}: {', '.join(places)}" for arrow, places in figures.arrows_up.items()]
        yield from listed("arrows that run up", arrows)
    yield from listed("circles between rooms", figures.circles)


def listed(head: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"\n{head}: {len(lines) or 'none'}"
    yield from (f"- {line}" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.code_figures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repo", type=Path, default=Path(), help="the checkout (default: this folder)")
    parser.add_argument("--against", metavar="REV", help="also measure this revision, as `before`")
    parser.add_argument("--list", action="store_true", help="also list the functions that state no shapes")
    parser.add_argument("--json", action="store_true", help="all of it, for programs")
    options = parser.parse_args(arguments)
    columns = {} if options.against is None else {"before": measure(read_revision(options.repo, options.against))}
    now = columns["after" if columns else "now"] = measure(read_folder(options.repo))
    if options.json:
        text = json.dumps({name: asdict(figures) for name, figures in columns.items()}, indent=1)
    else:
        text = "\n".join([table(columns), *lists(now, options.list)])
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
