"""What both revisions do: the demo, every example of the manual, and the host's first workflow."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .checkout import Checkout
from .host import lossless, run_workflow

PROGRAM = "microcinema"
WORKFLOW = "toybox-picture-to-video"  # the one to begin with
PICTURES = "frames/"

Make = Callable[[Checkout, Path], str]


@dataclass(frozen=True, slots=True)
class Case:
    """`make` does it in a new folder, called `folder`, and returns what it said; `reads`: the folders of earlier cases,
    and what is copied from each.
    """

    name: str
    folder: str
    make: Make
    reads: tuple[tuple[str, str], ...] = ()


def all_cases(tree: Path) -> list[Case]:
    """Those of the revision that is checked out in `tree`, in the order in which they read of each other."""
    manual = (tree / "docs" / "usage.md").read_text(encoding="utf-8")
    return [*demo(tree), *examples(manual), workflow(tree)]


def demo(tree: Path) -> list[Case]:
    """The Makefile's, as it stands and with its frames as pictures, which no encoder has touched."""
    makefile = (tree / "Makefile").read_text(encoding="utf-8")
    image, prompt = str(tree / variable(makefile, "DEMO_IMAGE")), variable(makefile, "DEMO_PROMPT")
    model = str(tree / "weights" / "toybox-video.safetensors")
    words = ("animate", "--model", model, "--image", image, "--prompt", prompt)
    return [
        Case("demo", "demo", program(*words, "--out", "demo.mp4", "--contact-sheet", "demo-sheet.png")),
        Case("demo, as pictures", "demo-pictures", program(*words, "--out", PICTURES)),
    ]


def variable(makefile: str, name: str) -> str:
    """The value of a variable of a Makefile. Raises ValueError where it has none."""
    found = re.search(rf"^{name} := (.*)$", makefile, re.MULTILINE)
    if found is None:
        raise ValueError(f"the Makefile gives {name} no value; say in demo() what took its place")
    return found[1]


def program(*words: str) -> Make:
    """Runs the program with these words."""
    return lambda checkout, folder: checkout.program(words, folder)


def examples(manual: str) -> list[Case]:
    """Every command of the manual, each in a folder of its own."""
    lines = [line.strip() for line in manual.splitlines() if line.startswith(f"    {PROGRAM} ")]
    commands = [shlex.split(line)[1:] for line in lines]
    folders = [f"example-{number:02}" for number in range(1, 1 + len(lines))]
    made: dict[str, str] = {}  # what --out named -> the folder of the latest example that did
    cases = []
    for line, words, folder in zip(lines, commands, folders, strict=True):
        out = words[words.index("--out") + 1] if "--out" in words else None
        inputs = [word for word in words if word != out]
        reads = tuple((place, product) for product, place in made.items() if any(is_in(one, product) for one in inputs))
        cases.append(Case(line, folder, program(*words), reads))
        if out is not None:
            made[out] = folder
    return cases


def is_in(word: str, product: str) -> bool:
    """Whether a word names what an example made, or lies in it where that is a folder."""
    return word == product or (product.endswith("/") and word.startswith(product))


def workflow(tree: Path) -> Case:
    graph = json.loads((tree / "docs" / "api" / f"{WORKFLOW}.json").read_text(encoding="utf-8"))
    return Case(f"workflow {WORKFLOW}", WORKFLOW, partial(run_workflow, lossless(graph)))


def chosen(cases: Sequence[Case], pattern: str) -> list[Case]:
    """Those whose names match the regular expression, and those that they read of, in their order."""
    wanted: set[str] = set()
    for case in reversed(cases):
        if case.folder in wanted or re.search(pattern, case.name):
            wanted |= {case.folder, *(folder for folder, _ in case.reads)}
    return [case for case in cases if case.folder in wanted]
