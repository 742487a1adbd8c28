"""`microcinema animate` in the tests' own process: what it makes, what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from microcinema_core import cli


def run(*words: str, code: int = 0) -> None:
    assert cli.run(["animate", *words]) == code


def result(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """What the program says as JSON, and its notes."""
    capsys.readouterr()
    run(*words, "--json")
    out, err = capsys.readouterr()
    return json.loads(out), err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of an error, after which nothing is there that was not before."""
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    run(*words, code=cli.WRONG_INPUT)
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("microcinema: error: ")]
    assert (out, len(errors)) == ("", 1), err
    assert sorted(Path().rglob("*")) == before
    return errors[0].removeprefix("microcinema: error: ")


def frames(pattern: str) -> NDArray[np.uint8]:
    """Numbered pictures, [T, H, W, 3]."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(Path().glob(pattern))])
