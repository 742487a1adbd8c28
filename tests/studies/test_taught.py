"""The study of taught motions: its reader reads what is known, and its places lie in their pictures."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from microcinema_core.motion.taught import Taught
from studies.taught.drawing import drawn, outside, place_in
from studies.taught.reader import read

BOX = (20.0, 16.0, 108.0, 80.0)
WAVE = Taught(0.03, ((1.5, 1.0, 0.0, 0.2, 1.0, 0.0),))


def texture(height: int = 96, width: int = 128) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 255, (height // 4, width // 4), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_the_reader_reads_what_is_known() -> None:
    y, x = np.mgrid[:96, :128].astype(np.float32)
    frames = []
    for t in np.arange(40) / 12:
        down = 1.5 * np.sin(2 * np.pi * (1.2 * t - x / 60))
        grey = cv2.remap(texture(), x, (y - down).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.repeat(grey[..., None], 3, 2))
    found = read(np.stack(frames), 12.0, BOX)
    assert found.rate == pytest.approx(1.2, abs=0.06)
    assert found.size == pytest.approx(
        1.5 / math.sqrt(2) / math.sqrt(88 * 64), rel=0.25
    )  # it evens short waves, in all clips alike
    assert read(np.zeros((8, 96, 128, 3), np.uint8), 12.0, BOX).rate == 0


def test_what_is_drawn_lies_in_its_place(tmp_path: Path) -> None:
    Image.fromarray(texture(48, 64)).convert("RGB").save(tmp_path / "a.png")
    place = place_in(tmp_path / "a.png", 0)
    height, width = place.picture.shape[1:]
    left, top, right, bottom = place.box
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    still = drawn(place, None, 0)
    assert (still == still[0]).all()
    assert outside(drawn(place, WAVE, 0)[:5], place) == 0
    changed = still.copy()
    changed[1, 0, 0] += 3
    assert outside(changed, place) == 3
