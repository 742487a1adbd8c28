"""docs/motion-plan.md: its example is read, and its tables name every key with its default and limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.plan import Camera, Plan, Region, Relief
from microcinema_core.shot.dials import dials_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "motion-plan.md").read_text(encoding="utf-8")
SECTIONS = {"Time": Plan, "Camera": Camera, "Regions": Region, "Depth": Relief, "Layers": Layer}


def rows(section: str) -> dict[str, list[str]]:
    """The cells of a section's table, by key."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return {found[1]: row for row in cells if (found := re.fullmatch(r"`(\w+)`", row[0]))}


def test_the_example_is_a_plan() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    plan = Plan.from_json(example)
    assert plan.camera == Camera(horizontal=0.05, zoom=1.1, shake=0.1)
    assert [region.distance for region in plan.regions] == [None, 0.6]
    assert plan.layers == (Layer(LayerKind.SNOW, 0.6, direction=250.0, seed=3), Layer(LayerKind.NIGHT, fade_in=1.0))
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "pictures").glob("*.json")), ids=lambda path: path.name)
def test_our_own_plans_are_plans(path: Path) -> None:
    plan = Plan.from_json(path.read_text(encoding="utf-8"))
    assert plan.moves
    assert all(region.polygon for region in plan.regions)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_there_with_its_limits(section: str) -> None:
    settings: Any = SECTIONS[section]
    usual = settings(LayerKind.SNOW) if settings is Layer else settings()
    found = rows(section)
    elsewhere = {"camera", "regions", "layers", "relief"} if settings is Plan else set()
    assert found.keys() == usual.to_dict().keys() - elsewhere
    for name, dial in dials_of(settings).items():
        if not dial.bounds:
            continue
        limits = found[name][-1].replace("2^64 - 1", str(2**64 - 1))
        default = re.fullmatch(r"-?[\d.]+", found[name][-2])
        assert default is None or float(default[0]) == getattr(usual, name), name
        assert [float(bound) for bound in re.findall(r"-?[\d.]+", limits)] == [float(dial.low), float(dial.high)], name


def test_the_signs_are_one_table_of_all_moves() -> None:
    assert rows("Signs").keys() == set(dials_of(Camera)) - {"fov"}
    both = {name for name, row in rows("Signs").items() if row[3]}
    assert both == {"horizontal", "vertical", "zoom", "roll"}


def test_what_the_program_writes_is_what_the_page_describes() -> None:
    plan = Plan(
        Camera(zoom=2.0),
        (Region(polygon=((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))),),
        layers=(Layer(LayerKind.FOG, 0.5),),
        keyframe_at=1.0,
    )
    assert json.loads(plan.to_json()) == {
        "format": "microcinema.motion",
        "version": 1,
        "camera": {"zoom": 2.0},
        "regions": [{"polygon": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]}],
        "layers": [{"kind": "fog", "amount": 0.5}],
        "keyframe_at": 1.0,
    }
