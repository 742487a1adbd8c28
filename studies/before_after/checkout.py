"""A revision in a folder of its own, and its program run there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "microcinema_core"
WHERE = f"import {PACKAGE}; print({PACKAGE}.__file__)"


class RunFailed(Exception):
    """A command failed; the message is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A revision in `tree`. What it makes is kept in `made`, in a folder for each case; it computes on `threads`."""

    name: str
    tree: Path
    made: Path
    threads: int

    def run(self, command: Sequence[str | Path], folder: Path, **variables: str) -> str:
        """What a command prints that runs in `folder` with this environment. Raises RunFailed."""
        environment = self.environment() | variables
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise RunFailed(f"exit {done.returncode}: {last}")
        return done.stdout

    def program(self, words: Sequence[str], folder: Path) -> str:
        """`microcinema` with these words, as this revision has it. Raises RunFailed."""
        return self.run([sys.executable, "-m", f"{PACKAGE}.cli", *words], folder)

    def environment(self) -> dict[str, str]:
        """Its own package goes before an installed one, and its own weights are the embedded ones."""
        kept = {name: value for name, value in os.environ.items() if name != "MICROCINEMA_WEIGHTS"}
        threads = str(self.threads)
        return kept | {"PYTHONPATH": str(self.tree), "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}

    def check_own_package(self) -> None:
        """Raises RunFailed where its program would be another revision's."""
        found = Path(self.run([sys.executable, "-c", WHERE], self.made).strip())
        if not found.is_relative_to(self.tree):
            raise RunFailed(f"{PACKAGE} is {found}, which is not the one in {self.tree}; leave that one's environment")


@contextmanager
def checked_out(name: str, revision: str, folder: Path, made: Path, threads: int) -> Iterator[Checkout]:
    """A git worktree in `folder/name` while the context lasts. Raises RunFailed where there is no such revision."""
    tree = folder.resolve() / name
    checkout = Checkout(name, tree, made.resolve() / name, threads)
    checkout.made.mkdir(parents=True)
    checkout.run(["git", "worktree", "add", "--quiet", "--detach", tree, revision], ROOT)
    try:
        checkout.check_own_package()
        yield checkout
    finally:
        checkout.run(["git", "worktree", "remove", "--force", tree], ROOT)
