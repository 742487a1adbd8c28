"""Particles: where they are, against formulas written anew, and that none comes or goes in sight."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from microcinema_core.errors import InputError
from microcinema_core.motion.layer import KINDS, Group, LayerKind
from microcinema_core.motion.layers import overlay, particles
from microcinema_core.motion.layers.particle_kinds import PARTICLES, Particle, Sheet
from microcinema_core.motion.layers.stamps import PIXEL, Stamps, spread, stamp
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.plates import View

from .drawing import layer, light_of, plain, renderer

WHITE = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
ALL = [kind for kind, told in KINDS.items() if told.group is Group.PARTICLES]


def one(**settings: object) -> Stamps:
    """A stamp in the middle of a frame of 64x48."""
    own = {"middle": [[32.0, 24.0]], "radius": [3.0], "narrow": [1.0], "angle": [0.0], "way": [[0.0, 0.0]]}
    own |= {"depth": [1.0], "shade": [0.5]} | settings
    return Stamps(**{name: np.array(value, float) for name, value in own.items()})


def moments_of(stamps: Stamps, hard: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Sum, middle [2] and variances [2, 2] of what is stamped, by pixels' centres."""
    total = torch.zeros(1, 48 * 64, dtype=torch.float64)
    stamp(total, stamps, hard, (64, 48))
    values = total.view(48, 64).numpy()
    y, x = np.meshgrid(np.arange(48) + 0.5, np.arange(64) + 0.5, indexing="ij")
    whole = values.sum()
    middle = np.array([(values * x).sum(), (values * y).sum()]) / whole
    offset = np.stack([x - middle[0], y - middle[1]])
    return whole, middle, np.einsum("iyx,jyx,yx->ij", offset, offset, values) / whole


@pytest.mark.parametrize("hard", [1.0, 2.0])
@pytest.mark.parametrize("radius", [0.15, 0.6, 1.3, 4.0])
def test_a_stamp_keeps_its_sum_however_small_and_wherever_between_pixels(hard: float, radius: float) -> None:
    area = math.pi * math.gamma(1 + 1 / hard) * radius**2
    for x, y in ((32.0, 24.0), (32.5, 24.25), (31.9, 24.7)):
        total, middle, _ = moments_of(one(middle=[[x, y]], radius=[radius], depth=[2.0]), hard)
        # Sampled at pixels' centres: half a hundredth; cut off where it is 1/512: as much again.
        assert total == pytest.approx(2 * area, rel=0.015)
        assert middle == pytest.approx([x, y], abs=0.02)


def test_a_streak_is_as_long_as_its_way() -> None:
    """A segment of length L has L^2 / 12 along it, and what a stamp at rest has besides; across, only that."""
    way = np.array([12.0, 5.0])  # 13 long
    total, middle, found = moments_of(one(radius=[1.0], way=[way]), 1.0)
    along = way / 13
    across = np.array([-along[1], along[0]])
    rest = spread(1.0) + PIXEL
    # Gaussians cut at 1/512 lose a fortieth of their variance.
    assert along @ found @ along == pytest.approx(13**2 / 12 + rest, rel=0.04)
    assert across @ found @ across == pytest.approx(rest, rel=0.04)
    assert total == pytest.approx(moments_of(one(radius=[1.0]), 1.0)[0], rel=0.01)
    assert middle == pytest.approx([32, 24], abs=0.01)


def test_a_tumbling_leaf_is_an_ellipse() -> None:
    _, _, found = moments_of(one(radius=[5.0], narrow=[0.4], angle=[math.pi / 2]), 2.0)
    assert found[1, 1] == pytest.approx(25 * spread(2.0) + PIXEL, rel=0.04)
    assert found[0, 0] == pytest.approx(4 * spread(2.0) + PIXEL, rel=0.04)


def lone(monkeypatch: pytest.MonkeyPatch, distances: tuple[float, ...] = (1.0,), **settings: float) -> None:
    """Snow is one large flake at each distance that falls straight."""
    kind = Particle(
        tuple(Sheet(d, 0.3 * d * d, 1.0, 1.0) for d in distances),
        radius=0.02,
        speed=0.25,
        colours=WHITE,
        speeds=0.4,
        **settings,  # type: ignore[arg-type]
    )
    for module in (overlay, particles):
        monkeypatch.setattr(module, "PARTICLES", {LayerKind.SNOW: kind})


def field_of(plan: Plan, frames: int = 49, fps: float = 24, size: tuple[int, int] = (320, 180), loop: bool = False):
    view = View.covering(*size, size)
    moments = Moments(plan, frames, fps, loop)
    (snow,) = plan.layers
    return moments, [
        particles.Field(snow, sheet, i, moments, view) for i, sheet in enumerate(particles.PARTICLES[snow.kind].sheets)
    ]


def centroid(light: torch.Tensor) -> np.ndarray:
    grey = light.mean(dim=0).numpy()
    y, x = np.meshgrid(np.arange(grey.shape[0]) + 0.5, np.arange(grey.shape[1]) + 0.5, indexing="ij")
    return np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()


@pytest.mark.parametrize("direction", [270.0, 0.0, 120.0])
def test_a_lone_flake_goes_its_way_to_a_twentieth_of_a_pixel(monkeypatch: pytest.MonkeyPatch, direction: float) -> None:
    lone(monkeypatch)
    times, tried = (0.0, 0.25, 0.5), 0
    for seed in range(8):
        snow = layer("snow", direction=direction, seed=seed, colour=(1.0, 1.0, 1.0), speed=2.0)
        drawn = renderer(plain(320, 180), snow)
        (_, field), *_ = drawn.overlay.fields  # type: ignore[union-attr]
        if len(field.swarm.rate) != 1:
            continue
        frames = [light_of(drawn.at(drawn.moments.at(t)).picture) for t in times]
        # Only where the whole of it is in the picture, at all times.
        if any(float(f[:, [0, -1]].max()) + float(f[:, :, [0, -1]].max()) > 0 or float(f.max()) == 0 for f in frames):
            continue
        tried += 1
        first, *later = (centroid(frame) for frame in frames)
        fast = 0.25 * 2.0 * (1 + 0.4 * (2 * np.random.default_rng([seed, 0, 0]).random(12)[2] - 1))
        way = np.array([math.cos(math.radians(direction)), -math.sin(math.radians(direction))])
        for t, found in zip(times[1:], later, strict=True):
            assert found == pytest.approx(first + fast * t * 180 * way, abs=0.05)
    assert tried


def test_parallax_is_one_over_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    lone(monkeypatch, (0.35, 1.0, 2.2))
    plan = Plan(Camera(horizontal=0.1), layers=(layer("snow", speed=0.0, amount=8.0),))
    moments, fields = field_of(plan)
    shifts = []
    for field in fields:
        before, after = (field.stamps(moments.at(t)).middle for t in (0.5, 1.5))
        assert len(before)
        assert np.ptp(after - before, axis=0) == pytest.approx(0, abs=1e-6)
        shifts.append((after - before)[0, 0])
    done = plan.done(0.75) - plan.done(0.25)
    expected = [-0.1 * done * 320 / d for d in (0.35, 1.0, 2.2)]
    assert shifts == pytest.approx(expected, rel=0.02)


def test_the_camera_blurs_what_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    lone(monkeypatch)
    plan = Plan(Camera(horizontal=0.5), layers=(layer("snow", speed=0.0, amount=8.0),), ease="linear")
    moments, (field,) = field_of(plan)
    way = field.stamps(moments.at(1.0)).way
    # half a width in two seconds, over 1/48 of one
    assert way == pytest.approx(np.tile([-0.25 * 320 / 48, 0.0], (len(way), 1)), abs=1e-6)


@pytest.mark.parametrize("kind", ALL)
def test_at_twice_the_size_everything_is_twice_as_large_and_where_it_was(kind: LayerKind) -> None:
    plan = Plan(Camera(pan=5.0, dolly=0.2), layers=(layer(kind),))
    for sheet in range(len(PARTICLES[kind].sheets)):
        small, large = (
            fields[sheet].stamps(moments.at(0.7))
            for moments, fields in (field_of(plan), field_of(plan, size=(640, 360)))
        )
        assert len(small.depth) == len(large.depth)
        for name in ("middle", "radius", "way"):
            assert getattr(large, name) == pytest.approx(2 * getattr(small, name), abs=1e-6)
        assert np.array_equal(small.depth, large.depth)


@pytest.mark.parametrize("kind", ALL)
def test_a_clip_that_loops_ends_where_it_began(kind: LayerKind) -> None:
    """A period later all is as it was, wherever it was in between; two seconds are less than any flake's way."""
    plan = Plan(Camera(pan=3.0), layers=(layer(kind, amount=3.0),))
    moments, fields = field_of(plan, frames=48, loop=True)
    for field in fields:
        start, end, middle = (field.stamps(moments.at(t)) for t in (0.0, 2.0, 1.0))
        assert len(start.depth)
        for name in ("middle", "way", "depth", "shade"):
            a, b = getattr(start, name), getattr(end, name)
            assert _sorted(a, start) == pytest.approx(_sorted(b, end), abs=2e-6)
        assert len(middle.depth) == 0 or _sorted(middle.middle, middle)[:3] != pytest.approx(
            _sorted(start.middle, start)[:3]
        )


def _sorted(values: np.ndarray, stamps: Stamps) -> np.ndarray:
    """In an order that does not depend on which particle is which, and to no last bits."""
    return values[np.lexsort(np.round(stamps.middle, 3).T)]


@pytest.mark.parametrize("kind", ["snow", "petals", "dust"])
def test_usual_speeds_are_kept_in_short_loops(kind: str) -> None:
    (_, long), (_, short) = (
        field_of(Plan(layers=(layer(kind, amount=3.0),)), frames=48, loop=loop) for loop in (False, True)
    )
    for a, b in zip(long, short, strict=True):
        if len(a.swarm.rate) >= 20:
            assert b.swarm.rate.mean() == pytest.approx(a.swarm.rate.mean(), rel=0.1)


def test_more_of_an_amount_is_more_of_them_and_the_first_stay() -> None:
    few, many = (field_of(Plan(layers=(layer("snow", amount=a),)))[1][0].swarm for a in (0.5, 1.0))
    assert len(many.rate) == pytest.approx(2 * len(few.rate), abs=1)
    assert np.array_equal(many.drawn[: len(few.drawn)], few.drawn)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize(
    ("kind", "camera"),
    [
        ("snow", Camera(pan=25.0)),
        ("rain", Camera(horizontal=0.4)),
        ("snow", Camera(dolly=0.85)),
        ("petals", Camera(dolly=-2.0)),
        ("embers", Camera(zoom=2.0, roll=40.0)),
    ],
)
def test_none_pops_in_or_out_of_sight(kind: str, camera: Camera, loop: bool) -> None:
    """In the frame, each is near where it was 1/200 of a second before, and as dense; what jumps, jumps outside."""
    plan = Plan(camera, layers=(layer(kind, speed=4.0, amount=0.5),))
    moments, fields = field_of(plan, loop=loop)
    for field in fields:
        jumps, seen = 0, 0
        before = field.every(moments.at(0.5))
        for step in range(1, 100):
            now = field.every(moments.at(0.5 + step / 200))
            reach = 3 * now.radius + 1.1 * np.hypot(*now.way.T)  # where a stamp ends
            x, y = now.middle.T
            here = (x > -reach) & (x < 320 + reach) & (y > -reach) & (y < 180 + reach)
            # A way is that of 1/48 of a second; what is about to pass the camera bends it.
            far = np.hypot(*(now.middle - before.middle).T) > 2 + np.hypot(*now.way.T)
            there = np.nan_to_num(now.depth) > 0.01 * field.sheet.depth
            jumps, seen = jumps + int(far.sum()), seen + int((here & there).sum())
            assert not (far & here & there).any()
            change = np.abs(np.nan_to_num(now.depth) - np.nan_to_num(before.depth))
            assert change[here & ~far].max(initial=0) < 0.25 * field.sheet.depth
            before = now
        assert seen
        assert jumps


def test_flakes_fill_what_the_camera_sees_at_any_time() -> None:
    plan = Plan(Camera(horizontal=-0.6, vertical=0.3), layers=(layer("snow"),))
    moments, fields = field_of(plan)
    for time in (0.0, 1.0, 2.0):
        middle = fields[0].stamps(moments.at(time)).middle
        counts, *_ = np.histogram2d(*middle.T, bins=(4, 3), range=((0, 320), (0, 180)))
        assert counts.min() > 0.5 * counts.mean()  # of about two hundred each


def test_too_many_are_refused_with_a_way_out() -> None:
    plan = Plan(Camera(zoom=0.22), keyframe_at=0.0, layers=(layer("snow", amount=10.0),))
    with pytest.raises(InputError, match=r"snow would be \d+ particles .* give a smaller amount"):
        field_of(plan)


def test_a_layer_that_comes_brings_ever_more() -> None:
    plan = Plan(layers=(layer("snow", fade_in=1.0),))
    moments, (field, *_) = field_of(plan)
    found = [field.stamps(moments.at(t)).depth.sum() for t in (0.0, 0.5, 1.0, 2.0)]
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found == sorted(found)
