"""The figures of fillings: what they are of a filling that is right, and the page."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studies.camera.fill import MASKS, SIDE, decibels, main, replicated, seam


@pytest.mark.parametrize("mask", MASKS)
def test_the_truth_has_no_seam_and_no_error(mask: str) -> None:
    truth = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    known = MASKS[mask](0)
    assert 0.02 < (known == 0).float().mean() < 0.2
    assert decibels(truth, truth, known) == pytest.approx(120)
    assert seam(truth, known) == pytest.approx(1, abs=0.05)
    broken = torch.where(known == 1, truth, truth + 1)
    assert seam(broken, known) > 2
    assert decibels(broken, truth, known) == pytest.approx(0, abs=1e-3)


def test_replication_draws_the_border_out() -> None:
    columns = torch.arange(SIDE).expand(3, SIDE, SIDE).float()
    made = replicated(columns, MASKS["strip beyond the edge"](0))
    assert made.max() == SIDE - 65
    assert (made[..., -64:] == SIDE - 65).all()


def test_the_page_holds_each_filling(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(draw.integers(0, 256, (1024, 1040, 3), np.uint8)).save(tmp_path / f"{number}.jpg")
    main(["--pictures", str(tmp_path), "--shown", str(tmp_path), "--count", "2", "--out", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "2 squares" in page
    assert all(f"| {mask}" in page for mask in MASKS)
    with Image.open(tmp_path / "page.jpg") as sheet:
        assert sheet.height == 2 * 256
