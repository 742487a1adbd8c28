"""What a model made, with the camera's own detail: where it is exact, and where it is switched off."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from microcinema_core.config import ComposerConfig
from microcinema_core.models.composer import Composer
from microcinema_core.shot import composing
from microcinema_core.shot.composing import compose, resized, switched_off


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_a_model_that_changed_nothing_leaves_the_cameras_frame() -> None:
    guide, drawn = pixels(2, 3, 8, 8), pixels(2, 3, 16, 24, seed=1)
    composed = compose(guide, guide, drawn, torch.ones(2, 1, 16, 24))
    torch.testing.assert_close(composed, drawn, rtol=0, atol=3e-7)  # x + (y - x) rounds twice


def test_a_change_is_added_to_the_cameras_detail() -> None:
    guide, drawn = 0.2 + 0.5 * pixels(1, 3, 8, 8), 0.2 + 0.5 * pixels(1, 3, 8, 8, seed=1)
    composed = compose(guide + 0.1, guide, drawn, torch.ones(1, 1, 8, 8))
    torch.testing.assert_close(composed, drawn + 0.1)


def test_what_the_keyframe_does_not_show_is_the_models_own() -> None:
    made, guide, drawn = pixels(1, 3, 8, 8), pixels(1, 3, 8, 8, seed=1), pixels(1, 3, 20, 12, seed=2)
    known = torch.zeros(1, 1, 20, 12)
    assert torch.equal(compose(made, guide, drawn, known), resized(made, (20, 12)))


def test_where_nothing_is_asked_the_frame_is_the_cameras_bit_for_bit() -> None:
    made, guide, drawn = pixels(2, 3, 8, 8), pixels(2, 3, 8, 8, seed=1), pixels(2, 3, 32, 32, seed=2)
    known, asked = torch.ones(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    known[:, :, :8], asked[:, :, :, 24:] = 0, 1
    composed = compose(made, guide, drawn, known, asked=asked)
    off = ((known == 1) & (asked == 0)).expand_as(drawn)
    assert torch.equal(composed[off], drawn[off])
    assert torch.equal(composed[~off], compose(made, guide, drawn, known)[~off])


def test_frames_with_nothing_asked_and_all_known_are_switched_off() -> None:
    known, asked = torch.ones(3, 1, 4, 4), torch.zeros(3, 1, 4, 4)
    known[:, :, 0, 0] -= 1e-6  # as resampling leaves it
    known[1, 0, 2, 2], asked[2, 0, 0, 3] = 0.99, 0.01
    assert switched_off(known, asked).tolist() == [True, False, False]


@pytest.mark.parametrize("size", [(16, 16), (5, 7), (24, 8)])
def test_a_flat_picture_stays_flat_at_any_size(size: tuple[int, int]) -> None:
    flat = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(resized(flat, size), torch.full((1, 3, *size), 0.3))


@pytest.fixture
def network() -> Composer:
    torch.manual_seed(0)
    return Composer(ComposerConfig(channels=8, deep=8)).eval()


def test_tiles_are_as_the_whole_frame_has_them(network: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    made, guide, drawn = pixels(1, 3, 30, 34), pixels(1, 3, 30, 34, seed=1), pixels(1, 3, 240, 272, seed=2)
    given = (made, guide, drawn, (pixels(1, 1, 240, 272, seed=3) > 0.1).float())
    whole = compose(*given, network)
    monkeypatch.setattr(composing, "TILE", 64)
    # A place in a tile and in a frame is not rounded alike: 1e-4 of a pixel, of detail that changes by 1 in one.
    torch.testing.assert_close(compose(*given, network), whole, rtol=0, atol=2e-4)


def test_frames_do_not_depend_on_those_beside_them(network: Composer) -> None:
    made, guide, drawn = pixels(2, 3, 8, 8), pixels(2, 3, 8, 8, seed=1), pixels(2, 3, 16, 16, seed=2)
    both = compose(made, guide, drawn, torch.ones(2, 1, 16, 16), network)
    second = compose(made[1:], guide[1:], drawn[1:], torch.ones(1, 1, 16, 16), network)
    assert torch.equal(both[1:], second)


def test_the_network_is_not_run_where_the_difference_is_switched_off(network: Composer) -> None:
    drawn, nan = pixels(1, 3, 16, 16), torch.full((1, 3, 8, 8), torch.nan)
    known, asked = torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    assert torch.equal(compose(nan, nan, drawn, known, network, asked), drawn)
