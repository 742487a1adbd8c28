"""Pictures are held as one tensor; crops of it are parts of them, and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from microcinema_core.media import Frames
from microcinema_core.training.data.pictures import HeldPictures, fitted

CROP = 8
SIZES = [(40, 24), (12, 50), (16, 16), (9, 8)]


def told(number: int, height: int, width: int) -> Frames:
    """Each pixel says which picture's it is, and its row and column, in steps of four."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([np.full_like(rows, 60 * number), 4 * rows, 4 * columns], -1).astype(np.uint8)


def drawn(count: int, pictures: list[Frames]) -> np.ndarray:
    """Crops [count, CROP, CROP, 3] in 0..255."""
    held = HeldPictures.of(pictures, CROP, torch.device("cpu"))
    crops = held.drawn(np.random.default_rng(0), count, CROP)
    assert crops.shape == (count, 3, CROP, CROP)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    levels = (crops.double() + 1) * 127.5
    assert torch.equal(levels.round(), levels.float().round().double())
    return levels.round().permute(0, 2, 3, 1).numpy().astype(int)


def test_a_crop_is_a_part_of_one_picture_at_its_own_size_or_at_half() -> None:
    steps, seen = [], set()
    for crop in drawn(600, [told(n, *size) for n, size in enumerate(SIZES)]):
        number = crop[0, 0, 0] // 60
        assert (crop[..., 0] == 60 * number).all()
        down, across = np.diff(crop[..., 1], axis=0), np.diff(crop[..., 2], axis=1)
        assert len({abs(step) for step in (*down.flat, *across.flat)}) == 1
        assert (down > 0).all()
        step = int(down[0, 0]) // 4
        height, width = SIZES[number]
        assert step == 1 or min(height, width) >= 2 * CROP
        assert 0 <= crop[..., 1].min() <= crop[..., 1].max() < 4 * height
        assert 0 <= crop[..., 2].min() <= crop[..., 2].max() < 4 * width
        steps.append(step)
        seen.add((number, step, bool((across > 0).all())))
    assert {(number, 1, way) for number in range(4) for way in (True, False)} <= seen
    assert {number for number, step, _ in seen if step == 2} == {0, 2}  # the others would be smaller than a crop
    assert 0.15 < np.mean(np.array(steps) == 2) < 0.25


def test_every_place_of_a_picture_is_drawn() -> None:
    crops = drawn(2000, [told(0, 10, 11)])
    assert set(crops[:, 0, 0, 1].flat) == {0, 4, 8}
    assert {(int(c[0, 0, 2]), int(c[0, -1, 2])) for c in crops} >= {(0, 28), (28, 0), (12, 40), (40, 12)}


def test_a_whole_picture_is_its_middle() -> None:
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 255
    squares = fitted([picture, picture[:, 20:40]], 10)
    assert squares.shape == (2, 3, 10, 10)
    assert (squares > 0.85).all()  # the resampling reads a pixel beyond
