"""Light: stops, exactly, and nothing that clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microcinema_core.motion.layer import KINDS, Group, LayerKind
from microcinema_core.motion.layers.clock import Clock
from microcinema_core.motion.layers.flashes import lightning
from microcinema_core.motion.layers.light import exposed
from microcinema_core.motion.layers.linear import KNEE, to_light, to_pixels
from microcinema_core.motion.plan import Camera

from .drawing import layer, light_of, photo, plain, renderer

ALL = [kind for kind, told in KINDS.items() if told.group is Group.LIGHT]


def ramp() -> torch.Tensor:
    """All greys from black to white, [3, 8, 256]."""
    return torch.linspace(0, 1, 256).expand(3, 8, 256).contiguous()


def test_pixels_are_light_and_back_to_float32s_last_bits() -> None:
    values = torch.linspace(0, 1, 10001)
    assert to_light(values).numpy() == pytest.approx(light_of(values).numpy(), abs=4e-7)
    assert to_pixels(to_light(values)).numpy() == pytest.approx(values.numpy(), abs=4e-7)


@pytest.mark.parametrize(
    ("kind", "amount", "times"), [("brighter", 1, 2), ("brighter", 0.5, 2**0.5), ("darker", 2, 1 / 4)]
)
def test_a_stop_is_twice_the_light_below_the_knee(kind: str, amount: float, times: float) -> None:
    before = light_of(ramp())
    after = light_of(renderer(ramp(), layer(kind, amount=amount))[3].picture)
    below = before * times <= KNEE
    assert after[below].numpy() == pytest.approx(before[below].numpy() * times, rel=0.005, abs=1e-6)
    if kind == "darker":
        assert below.all()


@pytest.mark.parametrize("stops", [0.1, 1.0, 3.0, 10.0])
def test_highlights_roll_off_and_nothing_clips_that_did_not(stops: float) -> None:
    light = torch.linspace(0, 1, 4001, dtype=torch.float64).expand(3, 1, 4001)
    made = exposed(light, (stops, stops, stops))[0, 0].numpy()
    assert made[-1] == pytest.approx(1, abs=1e-12)
    assert (np.diff(made) > 0).all()
    assert made[:-1].max() < 1
    slopes = np.diff(made) / np.diff(light[0, 0].numpy())
    assert slopes == pytest.approx(np.minimum.accumulate(slopes), rel=1e-6)  # the curve only bends down
    # without a corner at the knee: two steps' slopes differ by what its curvature explains
    knee = int(np.searchsorted(made, KNEE))
    if 3 < knee < 3990 and stops <= 3:
        assert slopes[knee + 1] == pytest.approx(slopes[knee - 2], rel=0.02 * 2**stops)


def test_little_of_a_layer_is_little_of_a_change() -> None:
    for kind in ALL:
        masks = (torch.ones(64, 96),) if kind is LayerKind.PULSE else (None,)
        drawn = renderer(photo(), layer(kind, amount=1e-5), masks=masks)
        assert drawn.at(drawn.moments.at(1.0)).picture.numpy() == pytest.approx(photo().numpy(), abs=2e-4)


def test_warm_is_red_and_cold_is_blue() -> None:
    grey = plain(32, 32, 0.5)
    (warm, cold) = (renderer(grey, layer(kind))[0].picture.mean(dim=(1, 2)) for kind in ("warmer", "colder"))
    assert warm[0] > 0.5 > warm[2]
    assert cold[2] > 0.5 > cold[0]
    assert all(abs(float(luminance) - 0.5) < 0.05 for luminance in (warm[1], cold[1]))


def test_a_vignette_is_a_stop_in_the_corners_and_nothing_in_the_middle() -> None:
    light = light_of(renderer(plain(301, 201, 0.6), layer("vignette"))[0].picture)[0]
    whole = float(light_of(torch.tensor(0.6)))
    assert light[100, 150].item() == pytest.approx(whole, rel=1e-4)
    for row in (0, -1):
        for column in (0, -1):
            # a corner's pixel lies half of one inside it
            assert light[row, column].item() == pytest.approx(whole / 2, rel=0.012)
    assert (light[100, 150:].diff() < 1e-7).all()


def test_evening_is_dim_and_warm_and_night_dark_and_blue() -> None:
    day = light_of(photo())
    evening, night = (light_of(renderer(photo(), layer(kind))[0].picture) for kind in ("evening", "night"))
    assert evening.mean() < 0.7 * day.mean()
    assert evening[0].mean() / evening[2].mean() > 1.2 * day[0].mean() / day[2].mean()
    assert night.mean() < 0.15 * day.mean()
    assert night[2].mean() > 1.5 * night[0].mean()
    assert night.max(dim=0).values.min() >= 0


def test_a_lamp_stays_at_night() -> None:
    picture = plain(192, 128, 0.15)
    picture[:, 60:63, 80:83] = 0.95
    night = renderer(picture, layer("night"))[0].picture
    assert night[:, 61, 81].min() > 0.85
    assert night[:, 61, 120].max() < 0.3


def test_flicker_is_strong_at_its_point_and_repeats_from_its_seed() -> None:
    drawn = renderer(plain(96, 64, 0.4), layer("flicker", at=(0.25, 0.5)))
    frames = torch.stack([light_of(frame.picture) for frame in drawn])
    stops = torch.log2(frames / light_of(torch.tensor(0.4)))
    swing = stops[:, 0].std(dim=0)
    assert np.unravel_index(int(swing.argmax()), swing.shape) == pytest.approx((32, 24), abs=1)
    assert swing[32, 24] > 2.5 * swing[32, 90]
    assert stops.abs().max() < 1.2
    assert (stops[:, 0] * 0.5 - stops[:, 2])[:, 32, 24].abs().max() < 0.15  # warm: blue changes by half of red
    other = renderer(plain(96, 64, 0.4), layer("flicker", at=(0.25, 0.5), seed=1))
    assert not torch.equal(other[5].picture, drawn[5].picture)


def test_a_flame_goes_with_the_picture_and_is_found_where_nobody_says() -> None:
    picture = plain(96, 64, 0.2)
    picture[:, 20:28, 60:68] = torch.tensor([0.95, 0.6, 0.2])[:, None, None]
    for masks in ((None,), ((picture[0] > 0.5).float(),)):
        (_, lamp), *_ = renderer(picture, layer("flicker"), masks=masks).overlay.lamps  # type: ignore[union-attr]
        assert lamp.at == pytest.approx((64, 24), abs=4)
    drawn = renderer(plain(96, 64, 0.4), layer("flicker", at=(0.5, 0.5)), camera=Camera(horizontal=0.4), ease="linear")
    places = []
    for time in (0.52, 1.02, 1.52):
        change = (drawn.at(drawn.moments.at(time)).picture[0] - 0.4).abs()
        places.append(int(change.max(dim=0).values.argmax()))
    assert places[0] - places[1] == pytest.approx(0.1 * 96, abs=2)
    assert places[1] - places[2] == pytest.approx(0.1 * 96, abs=2)


@pytest.mark.parametrize("seed", range(5))
def test_lightning_comes_a_few_times_in_ten_seconds_and_decays(seed: int) -> None:
    bolt = layer("lightning", seed=seed)
    times = np.arange(0, 10, 1 / 240)
    values = np.array([lightning(bolt, Clock(t)) for t in times])
    assert values.min() >= 0
    assert 0.3 < values.max() <= 1
    assert 0.02 < (values > 0.1).mean() < 0.25
    flashes = int(((values[1:] > 0.1) & (values[:-1] <= 0.1)).sum())
    assert 2 <= flashes <= 9  # three or four, of two or three strokes
    assert values[240 * 2 :].min() < 0.01


def test_lightning_lights_the_sky_most() -> None:
    drawn = renderer(plain(96, 64, 0.2), layer("lightning"), frames=240, fps=24)
    values = [lightning(drawn.scene.plan.layers[0], Clock(i / 24)) for i in range(240)]
    brightest = int(np.argmax(values))
    column = drawn[brightest].picture[1, :, 48]
    assert column[0] > column[-1] > 0.25


def test_a_pulse_is_seven_tenths_of_a_stop_within_its_mask() -> None:
    mask = torch.zeros(64, 96)
    mask[20:40, 30:60] = 1
    drawn = renderer(plain(96, 64, 0.4), layer("pulse"), masks=(mask,), frames=60, fps=24)
    frames = torch.stack([frame.picture for frame in drawn])
    stops = torch.log2(light_of(frames[:, 0, 30, 45]) / light_of(torch.tensor(0.4)))
    assert stops.max().item() == pytest.approx(0.7, abs=0.01)
    assert stops.min().item() == pytest.approx(-0.7, abs=0.01)
    assert bool((frames[:, :, 50, 10] == torch.tensor(0.4)).all())


@pytest.mark.parametrize("kind", ["flicker", "lightning", "pulse"])
def test_in_a_loop_the_last_step_is_no_larger_than_the_others(kind: str) -> None:
    drawn = renderer(photo(), layer(kind), masks=(torch.ones(64, 96),), frames=72, fps=24, loop=True)
    frames = [frame.picture for frame in drawn]
    steps = [(b - a).abs().mean().item() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    assert steps[-1] <= max(steps[:-1])
    whole = drawn.at(drawn.moments.at(3.0)).picture
    assert whole.numpy() == pytest.approx(frames[0].numpy(), abs=1e-5)
