"""Evaluation on a second device: the clips that are scored are the CPU's, and so is what fills the frames between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone import bundle
from microcinema_core.worlds.toybox.triples import read_triples
from studies.cases import Case, see
from studies.toybox.bench import Bench


def test_a_clip_is_scored_alike(
    weights: Path, pretend: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "dtype_for", lambda *_: torch.float32)
    case = Case.of(read_triples("select")[0])
    ends = torch.rand(1, 4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    made = []
    for device in (torch.device("cpu"), pretend):
        monkeypatch.setattr(bundle, "default_device", lambda: device)  # noqa: B023 - asked at once
        bench = Bench(weights / "toybox-video.safetensors", SamplingConfig(steps=1), tmp_path / device.type)
        (frames,) = bench.animate([case.shot(64)])
        between = bench.interpolate(0, ["a star"], SamplingConfig(steps=1))(ends, [0])
        made.append((see(case, frames), frames, between))
    (seen, frames, between), (expected, clip, segment) = made[1], made[0]
    assert seen == expected
    assert np.array_equal(frames, clip)
    assert torch.equal(between, segment)
