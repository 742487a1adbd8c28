"""The pages of docs/results are what their commands write of the figures that lie beside them."""

import json
from pathlib import Path

import pytest

from studies.speed.page import page
from studies.toybox.run import to_markdown

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize("name", ["toybox", "toybox-tsr", "toybox-anchor"])
def test_toybox(name: str) -> None:
    figures = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert to_markdown(figures) == (RESULTS / f"{name}.md").read_text(encoding="utf-8")


def test_speed() -> None:
    machines = sorted((RESULTS / "bench").glob("*.json"))
    made = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in machines}
    assert page(made) == (RESULTS / "bench" / "README.md").read_text(encoding="utf-8")
