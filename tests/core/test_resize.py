"""Which part of a picture is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microcinema_core.clip.resize import centre_crop

SIDES = st.integers(1, 20_000)


@pytest.mark.parametrize(
    ("size", "to", "box"),
    [
        ((400, 300), (128, 128), (50, 0, 350, 300)),
        ((300, 400), (128, 128), (0, 50, 300, 350)),
        ((128, 128), (128, 128), (0, 0, 128, 128)),
        ((160, 90), (320, 180), (0, 0, 160, 90)),
    ],
)
def test_known_crops(size: tuple[int, int], to: tuple[int, int], box: tuple[float, ...]) -> None:
    assert centre_crop(*size, *to) == pytest.approx(box)


@given(SIDES, SIDES, SIDES, SIDES)
def test_largest_centred_part_of_the_asked_aspect(width: int, height: int, to_width: int, to_height: int) -> None:
    left, top, right, bottom = centre_crop(width, height, to_width, to_height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    # float64's rounding, relative to sides of up to 20,000
    assert left == pytest.approx(width - right, abs=1e-8)
    assert top == pytest.approx(height - bottom, abs=1e-8)
    assert (right - left) * to_height == pytest.approx((bottom - top) * to_width, rel=1e-6)
    assert left == pytest.approx(0, abs=1e-8) or top == pytest.approx(0, abs=1e-8)
