"""The composer's table: what its measures say of frames that are known to be right, old or blurred."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from microcinema_core.worlds.pocket.effects import ASKED, Effect
from studies.pocket import composer
from studies.pocket.composer import WAYS, Figures, Made, ghosts, save_sheets, to_markdown


def noise(seed: int) -> Tensor:
    return torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def made() -> Made:
    """Detail that went: nothing of the guide's is in the truth; plain is half-way."""
    truth, guide = noise(0), noise(1)
    ways = {"guide": guide, "D(z)": truth.mean((2, 3), keepdim=True).expand_as(truth), "plain": (truth + guide) / 2}
    return Made(truth, ways | {"composer": truth}, torch.ones(2, 1, 48, 48))


def test_ghosts_are_how_much_of_the_old_detail_stands_where_it_was(made: Made) -> None:
    found = {way: ghosts(frames, made) for way, frames in made.ways.items()}
    assert found["guide"] == pytest.approx([1, 1], abs=1e-5)
    assert found["plain"] == pytest.approx([0.5, 0.5], abs=1e-5)
    assert found["composer"] == [0, 0]
    assert found["D(z)"] == pytest.approx([0.5, 0.5], abs=0.05)  # nothing at all is as far from the one as the other


def test_where_nothing_moved_there_are_no_ghosts(made: Made) -> None:
    made.acts[:] = 0
    assert ghosts(made.ways["plain"], made) == []


def test_the_tables_have_every_change_and_size(made: Made) -> None:
    figures = Figures()
    figures.add(made, Effect.WIND)
    means = figures.means()
    assert means["lowest"]["composer"] > 30
    assert means["sharpness"]["composer"] == pytest.approx(1)
    told = to_markdown({size: dict.fromkeys(ASKED, means) for size in composer.SIZES})
    lines = told.splitlines()
    assert len(lines) == 2 + len(ASKED) + 1 + 1 + 2 + 2
    assert lines[-2].split("|")[-3].strip() == "0.50 / 0.50 / 0.50"
    assert all(way in lines[0] for way in WAYS)


def test_sheets_are_of_all_and_of_few(tmp_path: Path) -> None:
    rows = [np.full((5, 8, 10, 3), 50 * number, np.uint8) for number in range(5)]
    save_sheets(rows, tmp_path)
    assert [Image.open(tmp_path / f"{name}.jpg").size for name in ("sheet", "help")] == [(58, 48), (34, 18)]
