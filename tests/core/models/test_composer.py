"""The composer: the plain form at the start, the camera's own frame where nothing changed, detail that moves."""

from __future__ import annotations

import torch
from torch import Tensor

from microcinema_core.config import ComposerConfig
from microcinema_core.models.composer import Composer, local_gain, shifted
from microcinema_core.models.zero_start import zero_start_
from microcinema_core.shot.composing import plain

SMALL = ComposerConfig(channels=8, deep=8)


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def composer() -> Composer:
    torch.manual_seed(0)
    return Composer(SMALL).eval()


def test_at_the_start_it_is_the_plain_form_of_what_is_as_strong_at_any_size() -> None:
    network = composer()
    zero_start_(network)
    guide, drawn = (pixels(2, 3, 19, 30, seed=seed) for seed in range(2))
    made, known = guide + 0.1, pixels(2, 1, 19, 30, seed=3)
    composed = network(made, guide, drawn, known)
    # Where detail did not move it is still read from between pixels, 1e-5 of one beside their middles.
    torch.testing.assert_close(composed, plain(made, guide, drawn, known), rtol=0, atol=3e-5)


def test_detail_that_faded_in_what_was_made_fades_in_the_frame() -> None:
    network = composer()
    zero_start_(network)
    guide, drawn, known = pixels(1, 3, 40, 48), pixels(1, 3, 40, 48, seed=1), torch.ones(1, 1, 40, 48)
    composed = network(0.3 + 0.4 * guide, guide, drawn, known)  # as fog does
    torch.testing.assert_close(composed, 0.3 + 0.4 * drawn, rtol=0, atol=2e-3)  # a flat place's variance counts 1e-4


def test_what_fills_a_hole_says_nothing_of_the_detail_beside_it() -> None:
    guide, known = pixels(1, 3, 40, 80), torch.ones(1, 1, 40, 80)
    made = 0.5 * guide
    made[..., 40:], known[..., 40:] = pixels(1, 3, 40, 40, seed=1), 0
    gain = local_gain(made, guide, known, 8)
    torch.testing.assert_close(gain[..., :4], torch.full_like(gain[..., :4], 0.5), rtol=0, atol=2e-2)


def test_where_the_model_changed_nothing_the_frame_is_the_cameras() -> None:
    guide, drawn = pixels(1, 3, 32, 32), pixels(1, 3, 32, 32, seed=1)
    composed = composer()(guide, guide, drawn, torch.ones(1, 1, 32, 32))
    torch.testing.assert_close(composed, drawn, rtol=0, atol=3e-5)


def test_what_it_says_counts_where_something_changed_and_where_nothing_is_known() -> None:
    network = composer()
    guide, drawn, known = pixels(1, 3, 32, 32), pixels(1, 3, 32, 32, seed=1), torch.ones(1, 1, 32, 32)
    changed = network(guide + 0.3, guide, drawn, known) - plain(guide + 0.3, guide, drawn, known)
    unknown = network(guide, guide, drawn, 0 * known) - guide
    assert float(changed.detach().abs().max()) > 1e-2
    assert float(unknown.detach().abs().max()) > 1e-2


def test_nothing_beyond_its_reach_bears_on_a_pixel() -> None:
    network = composer()
    side = 2 * network.reach + 80
    made = pixels(1, 3, side, side).requires_grad_()
    rest = [pixels(1, 3, side, side, seed=seed) for seed in (1, 2)]
    seen = network(made, *rest, torch.ones(1, 1, side, side))[0, :, side // 2, side // 2].sum()
    rows, columns = torch.autograd.grad(seen, made)[0][0].abs().sum(0).nonzero().unbind(1)
    for places in (rows, columns):
        assert side // 2 - network.reach <= int(places.min())
        assert int(places.max()) <= side // 2 + network.reach


def test_detail_is_read_from_where_the_flow_says() -> None:
    picture, flow = pixels(1, 3, 12, 16), torch.zeros(1, 2, 12, 16)
    flow[:, 0], flow[:, 1] = 3, -2
    torch.testing.assert_close(shifted(picture, flow)[..., 2:, :-3], picture[..., :-2, 3:], rtol=0, atol=1e-5)


def test_its_size() -> None:
    parameters = sum(p.numel() for p in Composer(ComposerConfig()).parameters())
    assert 2 * parameters < 2_000_000  # bytes in float16: what may travel with the repository
