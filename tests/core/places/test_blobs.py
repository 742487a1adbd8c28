"""Parts of masks, against OpenCV's."""

import cv2
import numpy as np
import pytest

from microcinema_core.places.blobs import without_specks


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_opencvs(seed: int) -> None:
    mask = np.random.default_rng(seed).random((24, 31)) < 0.4 + 0.02 * seed
    _, parts, measures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large = measures[:, cv2.CC_STAT_AREA] >= 9
    large[0] = False  # the ground
    assert (without_specks(mask, 9) == large[parts]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_empty_and_full(shape: tuple[int, int]) -> None:
    assert not without_specks(np.zeros(shape, bool), 1).any()
    assert without_specks(np.ones(shape, bool), shape[0] * shape[1]).all()
    assert not without_specks(np.ones(shape, bool), shape[0] * shape[1] + 1).any()


def test_what_touches_at_a_corner_does_not_hang_together() -> None:
    assert not without_specks(np.eye(4, dtype=bool), 2).any()


def test_a_part_that_closes_late() -> None:
    """A U: two runs of the first row that only the last row makes one."""
    mask = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]], bool)
    assert (without_specks(mask, 7) == mask).all()
