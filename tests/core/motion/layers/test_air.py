"""Air: the law of distance, exactly, and what its swathes do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from microcinema_core.motion.layer import LayerKind
from microcinema_core.motion.layers import air
from microcinema_core.motion.plan import Camera

from .drawing import layer, light_of, photo, plain, renderer

WHITE = (1.0, 1.0, 1.0)
KINDS = ["fog", "mist", "smoke", "haze"]


def hidden(kind: str, distance: float | torch.Tensor, time: float = 0.5, **settings: object) -> torch.Tensor:
    """How much of a black picture of 96x64 white air hides, [64, 96]."""
    far = torch.full((1, 64, 96), distance) if isinstance(distance, float) else distance
    drawn = renderer(plain(96, 64), layer(kind, colour=WHITE, **settings), distance=far)
    return light_of(drawn.at(drawn.moments.at(time)).picture)[0]


@pytest.mark.parametrize("amount", [0.5, 2.0])
def test_even_fog_is_exactly_one_minus_exp(monkeypatch: pytest.MonkeyPatch, amount: float) -> None:
    even = replace(air.AIRS[LayerKind.FOG], swathes=0.0)
    monkeypatch.setattr(air, "AIRS", {LayerKind.FOG: even})
    for distance in (1.0, 1.7, 2.4):
        expected = 1 - math.exp(-even.density * amount * distance)
        # pixels are float32, and their light is its 2.4th power
        assert hidden("fog", distance, amount=amount).numpy() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("kind", ["fog", "haze"])
def test_twice_as_far_is_the_square_of_what_is_let_through(kind: str) -> None:
    near, far = (1 - hidden(kind, distance, amount=0.8) for distance in (1.0, 2.0))
    assert near.min() < 0.99
    assert (near**2).numpy() == pytest.approx(far.numpy(), abs=4e-6)


def test_swathes_differ_and_their_mean_is_the_density() -> None:
    depth = -torch.log(1 - hidden("fog", 1.0, size=0.3))
    assert depth.mean().item() == pytest.approx(air.AIRS[LayerKind.FOG].density, rel=0.25)
    assert (depth.std() / depth.mean()).item() > 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_swathes_drift_smoothly_and_stand_still_at_no_speed(kind: str) -> None:
    first, next_, later = (hidden(kind, 1.5, time) for time in (0.5, 0.5 + 1 / 24, 1.5))
    assert (next_ - first).abs().max() < 0.35 * (later - first).abs().max()
    assert torch.equal(hidden(kind, 1.5, 0.5, speed=0.0), hidden(kind, 1.5, 1.5, speed=0.0))


def test_fog_drifts_where_it_is_told_to() -> None:
    """To the right by its drift, as that set of swathes whose distance is 1 does alone."""
    shift = 0.1  # heights: 6.4 pixels of 64
    time = shift / air.AIRS[LayerKind.FOG].drift
    drawn = renderer(plain(96, 64), layer("fog"), frames=100, fps=24)
    (_, swathes), *_ = drawn.overlay.air  # type: ignore[union-attr]
    like = plain(96, 64)
    before, after = (swathes._noise(0, drawn.moments.at(t), 1.0, like)[0] for t in (0.0, time))
    cells = shift * before.shape[0]
    assert cells == pytest.approx(6.4, abs=0.01)
    whole, part = int(cells), cells - int(cells)
    moved = torch.lerp(before[:, 1:], before[:, :-1], part)[:, : -whole or None]
    assert moved.numpy() == pytest.approx(after[:, whole + 1 :].numpy(), abs=0.05)


def test_swathes_belong_to_the_scene_and_the_near_go_faster() -> None:
    """Where the camera goes right, they go left, in the ratio of their distances."""
    drawn = renderer(plain(96, 64), layer("fog", speed=0.0), camera=Camera(horizontal=0.3), ease="linear")
    (_, swathes), *_ = drawn.overlay.air  # type: ignore[union-attr]
    for distance in (1.0, 3.0):
        (x0, _), (x1, _) = (swathes._cells(drawn.moments.at(t), distance, plain(1, 1)) for t in (0.5, 1.5))
        assert (x1 - x0).numpy() == pytest.approx(0.15 * 1.5 / distance, abs=1e-5)


def test_the_sky_is_veiled_and_not_gone_in_haze() -> None:
    sky = hidden("haze", 1000.0)
    assert 0.1 < sky[0].mean() < 0.35
    assert sky[0].mean() < sky[32].mean() < 0.6
    assert hidden("fog", 1000.0)[:8].mean() < 0.85


def test_mist_keeps_to_the_ground() -> None:
    mist = hidden("mist", 2.0)
    assert mist[:16].mean() < 0.05
    assert mist[48:].mean() > 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_loop_the_last_step_is_as_the_others(kind: str) -> None:
    drawn = renderer(photo(), layer(kind), frames=16, fps=8, loop=True)
    frames = [frame.picture for frame in drawn]
    steps = [(b - a).abs().mean().item() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    assert steps[-1] <= 1.1 * max(steps[:-1])
    assert min(steps) > 0


def test_its_colour_is_that_of_the_light_or_its_own() -> None:
    drawn = renderer(photo(), layer("fog", amount=10.0), distance=torch.full((1, 64, 96), 5.0))
    seen = drawn[0].picture
    assert seen.std() < 0.1
    assert seen.mean() > photo().mean()
    dark = renderer(photo(), layer("smoke", amount=10.0), distance=torch.full((1, 64, 96), 5.0))[0].picture
    assert dark.mean() < 0.6 * photo().mean()
