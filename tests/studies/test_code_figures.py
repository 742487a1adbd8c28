"""The figures of the code, on a tree of a few lines whose figures one can count."""

import json
import subprocess
from pathlib import Path

import pytest

from studies.code_figures import LABORATORY, LIBRARY, Lengths, Share, main, measure, parsed, read_folder
from studies.code_functions import SHAPE

CONFIG = '''
"""Sizes."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models.unet import UNet
'''
UNET = '''
from numpy.typing import NDArray
from torch import Tensor

from ..config import Sizes
from microcinema_core.diffusion import noise

Frames = NDArray


class UNet:
    @staged
    @timed
    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> the same."""

        def inner(x: Tensor) -> Tensor:
            return x

        return inner(x)

    def show(self, frames: Frames, *, rate: int = 1) -> None:
        """Shapes are another's."""

    def _hidden(self, x: Tensor) -> Tensor:
        return x


def each(work: Callable[[Tensor], Tensor], count) -> None: ...
'''
NOISE = """
def draw() -> "int":
    from ..models import unet
    return 4
"""
TREE = {
    "microcinema_core/__init__.py": "",
    "microcinema_core/config.py": CONFIG,
    "microcinema_core/models/unet.py": UNET,
    "microcinema_core/diffusion/noise.py": NOISE,
    "nodes/load.py": "from ..microcinema_core import cli\n",
    "studies/speed.py": "def run() -> None: ...\n",
}


def test_lengths_annotations_and_shapes() -> None:
    library = measure(parsed(TREE)).parts[LIBRARY]
    assert library.files == Lengths(count=3, median=6, p90=29, longest=29)
    assert library.functions == Lengths(count=6, median=2, p90=7, longest=7)  # `forward` without its decorators
    assert library.longest[0] == "7 lines: microcinema_core/models/unet.py:14 UNet.forward"
    assert library.annotated == Share(5, 6)  # not `each`
    assert library.shapes == Share(1, 2)  # of `forward` and `show`; the others are hidden, inner, or take a function
    assert library.without_shapes == ["microcinema_core/models/unet.py:22 UNet.show"]


def test_imports_against_the_order_of_the_rooms_and_in_circles() -> None:
    """For types alone, late, and by the absolute name; downwards ones and those of the nodes are no arrows."""
    figures = measure(parsed(TREE))
    assert figures.arrows_up == {
        "config imports models": ["microcinema_core/config.py:6"],
        "models imports diffusion": ["microcinema_core/models/unet.py:6"],
    }
    assert figures.circles == ["config, diffusion, models"]
    assert measure(parsed(TREE | {"microcinema_core/models/unet.py": ""})).circles == []


def test_before_there_were_rooms_evaluation_was_the_laboratory() -> None:
    old = {"microcinema_core/evaluation/speed.py": "def run() -> None: ...\n"}
    assert measure(parsed(old)).parts[LIBRARY].functions.count == 1
    figures = measure(parsed(old | {"microcinema_core/pipeline.py": "from .evaluation import speed\n"}))
    assert figures.parts[LABORATORY].functions.count == 1
    assert (figures.unknown_rooms, figures.arrows_up) == (["pipeline"], None)


@pytest.mark.parametrize("shape", ["[B, C, T, h, w]", "[N]", "[..., H/8, 3]", "[B, C, (T-1)*factor+1, h, w]", "[]"])
def test_a_shape(shape: str) -> None:
    assert SHAPE.search(f"Noise {shape}, of unit variance.")


@pytest.mark.parametrize("words", ["list[int]", "E[eps | z_t]", "[words](link.md)", '["a b", ...]', "(B, C)"])
def test_no_shape(words: str) -> None:
    assert not SHAPE.search(f"What {words} says.")


def test_a_revision_beside_the_working_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def git(*words: str) -> None:
        author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *author, *words], check=True, capture_output=True)

    path = tmp_path / "nodes" / "load.py"
    path.parent.mkdir()
    path.write_text("def load():\n    return 1\n", encoding="utf-8")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "One")
    path.write_text("def load() -> int: ...\n", encoding="utf-8")
    assert len(read_folder(tmp_path)) == 1

    main(["--repo", str(tmp_path), "--against", "HEAD"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "| figure | before | after |"
    assert "| nodes: functions with complete annotations | 0.0% (0 of 1) | 100.0% (1 of 1) |" in said
    main(["--repo", str(tmp_path), "--against", "HEAD", "--json"])
    made = json.loads(capsys.readouterr().out)
    assert [made[name]["parts"]["nodes"]["functions"]["longest"] for name in ("before", "after")] == [2, 1]
    with pytest.raises(SystemExit, match="elsewhere: cannot be read"):
        main(["--repo", str(tmp_path), "--against", "elsewhere"])
