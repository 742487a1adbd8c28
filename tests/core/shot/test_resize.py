"""Which size a clip gets, and which part of a picture is kept."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microcinema_core.errors import InputError
from microcinema_core.shot.resize import MAX_ASPECT, ResizePolicy, centre_crop, centred_inside, working_size

SIDES = st.integers(1, 20_000)
CROP, FIT, PAD = ResizePolicy
MODEL = (128, 128)


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


@given(SIDES, SIDES, st.integers(1, 1000), st.integers(1, 1000))
def test_a_whole_picture_lies_inside(width: int, height: int, to_width: int, to_height: int) -> None:
    left, top, right, bottom = centred_inside(width, height, to_width, to_height)
    assert 0 <= left < right <= to_width
    assert 0 <= top < bottom <= to_height
    assert right - left == to_width or bottom - top == to_height
    assert abs(left - (to_width - right)) <= 1
    assert abs(top - (to_height - bottom)) <= 1
    # Rounded to whole pixels, but at least one.
    assert abs((right - left) - max(1, width * min(to_width / width, to_height / height))) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("picture", "policy", "asked", "size"),
    [
        ((4000, 3000), CROP, (None, None), MODEL),
        ((4000, 3000), PAD, (None, None), MODEL),
        ((20_000, 10), CROP, (None, None), MODEL),
        ((1, 1000), PAD, (None, None), MODEL),
        ((300, 300), FIT, (None, None), MODEL),
        ((1, 1), FIT, (None, None), MODEL),
        ((4000, 3000), FIT, (None, None), (144, 112)),  # 148 x 111 in whole multiples of 8
        ((3000, 4000), FIT, (None, None), (112, 144)),
        ((400, 100), FIT, (None, None), (256, 64)),
        ((4000, 3000), FIT, (256, None), (256, 192)),
        ((4000, 3000), FIT, (None, 192), (256, 192)),
        ((4000, 3000), CROP, (256, None), (256, 256)),
        ((4000, 3000), PAD, (None, 64), (64, 64)),
        ((4000, 3000), FIT, (64, 320), (64, 320)),
        ((1, 1000), CROP, (4096, 64), (4096, 64)),
    ],
    ids=str,
)
def test_known_sizes(
    picture: tuple[int, int], policy: ResizePolicy, asked: tuple[int | None, int | None], size: tuple[int, int]
) -> None:
    assert working_size(picture, MODEL, policy, *asked) == size


@given(SIDES, SIDES, st.sampled_from([(128, 128), (320, 320), (512, 320)]), st.sampled_from([8, 16]))
def test_fit_keeps_the_aspect_and_about_the_number_of_pixels(
    width: int, height: int, model: tuple[int, int], multiple: int
) -> None:
    aspect = width / height
    if max(aspect, 1 / aspect) > MAX_ASPECT:
        with pytest.raises(InputError, match=f"{width}x{height} cannot be fitted"):
            working_size((width, height), model, FIT, multiple=multiple)
        return
    across, down = working_size((width, height), model, FIT, multiple=multiple)
    assert across % multiple == down % multiple == 0
    # Each side is rounded by at most half a multiple, of at least half the shorter side of the square model.
    least = math.sqrt(math.prod(model) / MAX_ASPECT)
    off = 1 + multiple / 2 / (least - multiple / 2)
    assert 1 / off**2 <= across / down / aspect <= off**2
    assert 1 / off**2 <= across * down / math.prod(model) <= off**2


@pytest.mark.parametrize(
    ("policy", "asked", "message"),
    [
        (CROP, (100, None), "width must be a multiple of 8, got 100; the nearest: 96, 104"),
        (CROP, (None, 4095), "height must be a multiple of 8, got 4095; the nearest: 4088, 4096"),
        (CROP, (56, None), "width must be between 64 and 4096, got 56"),
        (CROP, (None, 4104), "height must be between 64 and 4096, got 4104"),
        (PAD, (-8, None), "width must be between 64 and 4096, got -8"),
        (FIT, (2048, None), "height that follows would be 8192"),
    ],
)
def test_other_sizes_are_refused(policy: ResizePolicy, asked: tuple[int | None, int | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        working_size((100, 400), MODEL, policy, *asked)
