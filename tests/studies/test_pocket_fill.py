"""The figures of a fill model beside other ways: what they are of a filling that is right, and the table."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import write_fill

from microcinema_core.config import Kind
from studies.pocket import fill as study
from studies.pocket.fill import MEASURES, SIDE, STRIP, Hole, mirrored, replicated


def hole() -> Hole:
    known = torch.ones(1, SIDE, SIDE)
    known[..., -STRIP:] = 0
    return Hole("", torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)), known)


def test_the_truth_is_nearest() -> None:
    one = hole()
    smooth = torch.where(one.known > 0, one.picture, 0.5)
    right, wrong = ({name: measure(made, one) for name, measure in MEASURES.items()} for made in (one.picture, smooth))
    assert (right["gradients"], right["patches"]) == (0, 0)
    assert right["border"] == pytest.approx(1, abs=0.05)
    assert right["dB"] == pytest.approx(120)
    assert wrong["dB"] == pytest.approx(10.8, abs=0.2)  # of even noise
    assert wrong["gradients"] > 50
    assert wrong["patches"] > 30


def test_the_simple_ways_draw_out_and_mirror() -> None:
    columns = torch.arange(SIDE).expand(3, SIDE, SIDE).float()
    last = SIDE - STRIP - 1
    known = hole().known
    assert (replicated(columns, known)[..., -STRIP:] == last).all()
    assert torch.equal(mirrored(columns, known)[0, 0, -STRIP:], last - 1 - torch.arange(STRIP).float())


def test_the_table_has_each_way(
    stages: dict[Kind, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, side = np.random.default_rng(0), 64
    for kind, channels in (("pictures", 3), ("cut-outs", 4)):
        (tmp_path / kind / "select").mkdir(parents=True)
        levels = draw.integers(128, 256, (side, side, channels), np.uint8)
        Image.fromarray(levels).save(tmp_path / kind / "select" / "0.png")
    for name, value in (("SAMPLES", 2), ("SIDE", side), ("STRIP", 16)):
        monkeypatch.setattr(study, name, value)
    sheet = tmp_path / "sheet.jpg"
    study.main([str(write_fill(tmp_path, stages)), str(tmp_path), "--sheet", str(sheet)])
    table = capsys.readouterr().out
    for kind in (study.DRAWN, study.BEHIND):
        for way in (*study.ways(), study.ONCE, study.MEAN, study.SAMPLE):
            assert f"| {kind}" in table
            assert way in table
    with Image.open(sheet) as shown:
        assert shown.size == (side * (len(study.ways()) + 6), 2 * side)
