"""What pip installs: the core alone, under its own version."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from setuptools import find_packages

import microcinema_core
from microcinema_core.config import WHOLE
from microcinema_core.training.config import TrainConfig

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_versions_agree() -> None:
    assert PROJECT["project"]["version"] == microcinema_core.__version__


def test_only_the_core_is_packaged() -> None:
    """The repository root is a ComfyUI pack; its `nodes` would shadow the host's module of that name."""
    packages = find_packages(str(ROOT), **PROJECT["tool"]["setuptools"]["packages"]["find"])
    assert "microcinema_core.models" in packages
    assert {name.split(".")[0] for name in packages} == {"microcinema_core"}


def test_torch_is_not_pinned() -> None:
    """A pin would replace the torch of the machine, with its device support."""
    assert "torch" in PROJECT["project"]["dependencies"]
    assert not [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]


def test_make_trains_every_kind_after_those_it_needs() -> None:
    named = re.search(r"foreach stage,([a-z ]+),(configs/toybox-)\$\(stage\)(\.toml)", (ROOT / "Makefile").read_text())
    assert named is not None
    words, start, end = named.groups()
    assert words.split() == [kind.word for kind in WHOLE]
    assert [TrainConfig.load(ROOT / f"{start}{word}{end}").stage for word in words.split()] == list(WHOLE)


def test_an_older_python_is_told_in_one_line_what_is_needed() -> None:
    """ComfyUI runs on Python 3.10 too; here is one that only claims to be it."""
    entry = (ROOT / "__init__.py").read_text(encoding="utf-8")
    ast.parse(entry, feature_version=(3, 10))
    claim = "import sys; sys.version_info = (3, 10, 14, 'final', 0)\n"
    command = [sys.executable, "-c", f"{claim}exec({entry!r})"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: MicroCinema needs Python 3.11 or newer, and this ComfyUI runs on 3.10: "
    )
