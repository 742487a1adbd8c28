"""The rules of segments: rates, times, the line between the ends, what it leaves, and unchanged ends."""

import pytest
import torch

from microcinema_core.config import POCKET_TSR, TOYBOX_TSR
from microcinema_core.errors import InputError
from microcinema_core.models.guide import Guide
from microcinema_core.shot.segments import Segments, ends_of, linear_frames, with_ends

OURS = Segments(5, (0.5, 0.125))
ALONG = Segments(5, (0.5, 0.125), along=True)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_rates_and_what_the_model_is_told_of_time() -> None:
    segments = Segments.of(TOYBOX_TSR)
    assert segments.factor == 4
    assert [segments.rate(2.0, level) for level in range(2)] == [8, 32]
    assert segments.times(8.0) == [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8]


def test_linear_frames_are_exact_at_both_ends() -> None:
    ends = normal(2, 3, 2, 4, 4)
    line = linear_frames(ends, 5)
    assert torch.equal(ends_of(line), ends)
    assert torch.allclose(line[:, :, 1], 0.75 * ends[:, :, 0] + 0.25 * ends[:, :, 1])
    guide = OURS.line(ends)
    assert torch.equal(guide.latents, line)
    assert guide.known is None


def test_what_is_diffused_gives_the_latents_back_each_at_its_own_pass() -> None:
    latents, levels = normal(3, 4, 5, 2, 2), [0, 1, 0]
    line = OURS.line(ends_of(latents))
    left = OURS.remainder(latents, line, levels)
    assert not ends_of(left).any()
    assert torch.allclose(left[1], 8 * (latents - line.latents)[1])
    assert torch.allclose(OURS.restored(left, line, levels), latents, atol=1e-6)


def test_without_deviations_the_latents_themselves_are_diffused() -> None:
    latents, plain = normal(1, 4, 5, 2, 2), Segments(5)
    line = plain.line(ends_of(latents))
    assert plain.remainder(latents, line, [0]) is latents
    assert plain.restored(latents, line, [0]) is latents


def test_a_line_along_a_guide_is_the_guide_and_what_differs_at_both_ends() -> None:
    frames, differs = normal(2, 4, 5, 3, 3), normal(2, 4, 2, 3, 3, seed=1)
    differs[:, :, :, 0] = 0
    guide = Guide(frames, torch.rand(2, 1, 5, 3, 3))
    line = ALONG.line(ends_of(frames) + differs, guide)
    for number in range(5):
        s = number / 4
        wanted = frames[:, :, number] + (1 - s) * differs[:, :, 0] + s * differs[:, :, 1]
        assert torch.allclose(line.latents[:, :, number], wanted, atol=1e-6)
    assert torch.equal(line.latents[..., 0, :], frames[..., 0, :])
    assert line.along is frames
    assert line.known is guide.known


def test_where_neither_end_differs_the_frames_are_the_guides() -> None:
    frames = normal(2, 4, 5, 3, 3)
    ends = ends_of(frames).clone()
    ends[0, 2, 0, 1, 1] += 1
    ends[1, 2, 1, 0, 2] += 1
    line = ALONG.line(ends, Guide(frames))
    made = ALONG.restored(normal(2, 4, 5, 3, 3, seed=1), line, [0, 1])
    changed = (made != frames).any(dim=2).any(dim=1)
    assert changed.nonzero().tolist() == [[0, 1, 1], [1, 0, 2]]
    assert (made[0, :, :, 1, 1] != line.latents[0, :, :, 1, 1]).all()


def test_a_line_along_a_guide_needs_one_and_a_straight_one_reads_none() -> None:
    ends = normal(1, 4, 2, 2, 2)
    with pytest.raises(
        InputError, match="goes along a camera's frames, for what is painted on them; ask for no passes"
    ):
        ALONG.line(ends)
    assert torch.equal(OURS.line(ends, Guide(normal(1, 4, 5, 2, 2))).latents, linear_frames(ends, 5))
    assert Segments.of(POCKET_TSR).along
    assert not Segments.of(TOYBOX_TSR).along


def test_given_ends_stand_unchanged() -> None:
    made, ends = normal(2, 4, 5, 2, 2), normal(2, 4, 2, 2, 2, seed=1)
    whole = with_ends(made, ends)
    assert torch.equal(ends_of(whole), ends)
    assert torch.equal(whole[:, :, 1:-1], made[:, :, 1:-1])


def test_passes_that_the_model_does_not_know_are_refused() -> None:
    OURS.check_passes(2)
    for segments in (Segments(5, (0.5,)), Segments(5)):
        with pytest.raises(InputError, match=r"was trained for \d passes, 3 were asked for"):
            segments.check_passes(3)


def test_a_guide_of_other_frames_is_not_taken_for_the_line() -> None:
    with pytest.raises(RuntimeError):
        OURS.remainder(normal(1, 4, 5, 2, 2), Guide(normal(1, 4, 3, 2, 2)), [0])
