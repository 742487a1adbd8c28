"""Rates, durations and loops of finished clips: which source frame each output frame shows, to the index."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microcinema_core.errors import InputError
from microcinema_core.shot.retime import Frame, Resampling, exact_rate, ping_pong, plan, resample

RATES = st.sampled_from([1, 2, 8, 12, 15, 23.976, 24, 25, 29.97, 30, 32, 50, 60])


def numbered(count: int) -> Iterator[Frame]:
    """Frames that say which they are; 256 grey levels are enough for the counts below."""
    return (np.full((2, 3, 3), i, np.uint8) for i in range(count))


def shown(frames: Iterator[Frame]) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


@pytest.mark.parametrize(
    ("count", "source", "target", "expected"),
    [
        (5, 8, 8, [0, 1, 2, 3, 4]),
        (3, 2, 8, [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]),  # halfway is the earlier; the last frame is held to its end
        (9, 32, 8, [0, 4, 8]),
        (9, 8, 4, [0, 2, 4, 6, 8]),
        (129, 32, 8, list(range(0, 129, 4))),  # the model's own frames of the pass before
        (129, 32, 32, list(range(129))),
        (17, 32, 24, [0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16]),
    ],
)
def test_the_frames_that_another_rate_shows(count, source, target, expected):
    retiming = plan(count, source, target, keep=0)
    assert shown(resample(numbered(count), retiming)) == expected
    assert retiming.frames == len(expected)
    assert retiming.fps == target


@pytest.mark.parametrize(
    ("target", "frames"), [(24, 97), (25, 101), (30, 121), (32, 129), (60, 242), (23.976, 96), (29.97, 120)]
)
def test_a_full_clip_at_the_usual_rates(target, frames):
    """129 frames at 32 fps, 4.03125 s: every output frame that begins in that time, with the keyframe on one."""
    retiming = plan(129, 32, target)
    assert retiming.frames == frames
    indices = shown(resample(numbered(129), retiming))
    assert len(indices) == frames
    assert indices[0] <= 1
    assert indices[-1] >= 127
    assert indices[retiming.kept] == 64


@pytest.mark.parametrize(
    ("seconds", "rate", "frames"),
    [(10, 30, 300), (10, 24, 240), (10, 23.976, 240), (10, 29.97, 300), (10, 60, 600), (0.1, 30, 3), (0.001, 30, 1)],
)
def test_a_duration_is_exact_to_the_frame(seconds, rate, frames):
    for source, count in ((2, 21), (8, 81), (32, 321)):
        assert plan(count, source, rate, seconds).frames == frames


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (None, [3, 4, 5, 6]),
        (0, [0, 1, 2, 3]),
        (1, [0, 1, 2, 3]),
        (4, [2, 3, 4, 5]),
        (7, [5, 6, 7, 8]),
        (8, [5, 6, 7, 8]),
    ],
)
def test_a_shorter_duration_is_cut_out_around_the_keyframe(keep, expected):
    """Nine frames a second apart, of which four seconds are wanted."""
    retiming = plan(9, 1, 1, 4, keep)
    found = shown(resample(numbered(9), retiming))
    assert found == (expected if keep is not None else [2, 3, 4, 5])
    assert found[retiming.kept] == (4 if keep is None else keep)


def test_blending_weighs_the_neighbours_by_nearness():
    frames = [np.full((1, 1, 3), value, np.uint8) for value in (0, 100, 255)]
    blended = shown(resample(iter(frames), plan(3, 2, 8, keep=0), Resampling.BLEND))
    assert blended == [0, 25, 50, 75, 100, 139, 178, 216, 255, 255, 255, 255]


def test_blending_falling_levels_does_not_wrap_around():
    frames = [np.full((1, 1, 3), value, np.uint8) for value in (255, 0)]
    assert shown(resample(iter(frames), plan(2, 1, 4, keep=0), Resampling.BLEND))[:5] == [255, 191, 128, 64, 0]


def test_frames_that_are_not_mixed_are_the_very_same():
    frames = list(numbered(9))
    for method in Resampling:
        out = list(resample(iter(frames), plan(9, 8, 8), method))
        assert all(a is b for a, b in zip(out, frames, strict=True))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), RATES, RATES, st.one_of(st.none(), st.floats(0.01, 1)), st.data())
def test_whatever_the_rates(count, source, target, share, data):
    """Never outside the clip, in order, nearest to within half a frame, and the frame to keep shown exactly."""
    keep = data.draw(st.one_of(st.none(), st.integers(0, count - 1)))
    duration = None if share is None else share * count / exact_rate(source)
    retiming = plan(count, source, target, duration, keep)
    positions = list(retiming.positions())
    assert len(positions) == retiming.frames >= 1
    assert all(0 <= p <= count - 1 for p in positions)
    assert positions[retiming.kept] == (count // 2 if keep is None else keep)
    indices = shown(resample(numbered(count), retiming))
    assert indices == sorted(indices)
    assert all(abs(i - p) <= Fraction(1, 2) for i, p in zip(indices, positions, strict=True))
    wanted = Fraction(duration).limit_denominator(10**6) if duration else count / exact_rate(source)
    assert abs(retiming.frames - wanted * retiming.fps) < (1 if duration is None or retiming.frames == 1 else 0.51)
    if target >= source and duration is None:
        assert set(indices) >= set(range(1, count - 1))  # none is left out


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 250), RATES, RATES)
def test_the_longest_duration_that_the_error_names_is_accepted(count, source, target):
    longest = Fraction(count) / exact_rate(source)
    with pytest.raises(InputError, match="give at most that, or extend the clip") as refused:
        plan(count, source, target, longest + 1)
    named = str(refused.value).split(" last ")[1].split(" s;")[0]
    assert longest - Fraction(1, 500) <= Fraction(named) <= longest
    assert plan(count, source, target, float(named)).frames >= 1


def test_the_stream_is_read_no_further_than_needed():
    """What is not shown need not be generated, and of what is, two frames are held."""
    read = []

    def stream() -> Iterator[Frame]:
        for i, frame in enumerate(numbered(129)):
            read.append(i)
            yield frame

    assert shown(resample(stream(), plan(129, 32, 8, 1, keep=0)))[-1] == 28
    assert len(read) == 29
    read.clear()
    out = resample(stream(), plan(129, 32, 30))
    next(out)
    assert read == [0]


def test_a_stream_that_is_too_short_is_noticed():
    with pytest.raises(ValueError, match="ended before its 9 frames"):
        list(resample(numbered(8), plan(9, 8, 8)))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (24000 / 1001, Fraction(24000, 1001)),
        (24, Fraction(24)),
        (12.5, Fraction(25, 2)),
        (0.1, Fraction(1, 10)),
    ],
)
def test_rates_are_exact(said, meant):
    assert exact_rate(said) == meant


NONSENSE = [0, -1, float("nan"), float("inf"), float("-inf"), 1e-300, 1e300, 10**400]


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: str(value)[:10])
def test_rates_that_cannot_be_are_refused(value):
    with pytest.raises(InputError, match=r"frame rate .* (at most 1000|at least 0.00001) frames a second"):
        plan(9, 2, value)


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: str(value)[:10])
def test_durations_that_cannot_be_are_refused(value):
    with pytest.raises(InputError, match="the duration must be above 0 and at most a million seconds"):
        plan(9, 2, 30, value)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2, 1]), (5, [0, 1, 2, 3, 4, 3, 2, 1])]
)
def test_ping_pong_doubles_no_end(count, expected):
    assert shown(ping_pong(numbered(count))) == expected


def test_ping_pong_streams_the_way_there():
    read = []

    def stream() -> Iterator[Frame]:
        for i, frame in enumerate(numbered(9)):
            read.append(i)
            yield frame

    next(ping_pong(stream()))
    assert read == [0]
