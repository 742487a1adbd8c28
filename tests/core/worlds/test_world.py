"""The Toybox world: its scenes, their pictures, their captions and what is kept from training."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from microcinema_core.shot.timing import frame_times
from microcinema_core.worlds.toybox.captions import ADVERBS, PLACES, VERBS, caption, still_caption
from microcinema_core.worlds.toybox.world import (
    MARGIN,
    RGB,
    Background,
    Colour,
    Motion,
    Scene,
    Shape,
    Speed,
    combinations,
    draw_background,
    mask,
    render,
    sample_scene,
)

TIMES = frame_times(9, 2.0, 4)
OPPOSITES = [
    (Motion.LEFT, Motion.RIGHT),
    (Motion.UP, Motion.DOWN),
    (Motion.CLOCKWISE, Motion.COUNTERCLOCKWISE),
    (Motion.GROW, Motion.SHRINK),
]


def scene(**changes: object) -> Scene:
    middle = Scene(
        Shape.CIRCLE, Colour.RED, Motion.LEFT, Speed.SLOW, Background.SKY, x=0.5, y=0.55, radius=0.13, texture=0.4
    )
    return replace(middle, **changes)


def sampled(count: int, held_out: bool | None) -> list[Scene]:
    rng = np.random.default_rng(11)
    return [sample_scene(rng, TIMES, held_out=held_out) for _ in range(count)]


def test_clip_times_count_from_the_keyframe():
    assert TIMES == [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]


@pytest.mark.parametrize("drawn", sampled(60, None), ids=str)
def test_sampled_scenes_stay_in_view(drawn: Scene):
    for t in TIMES:
        cover = mask(drawn, t, 96)
        x, y, radius = drawn.state(t)
        whole = mask(replace(drawn, motion=Motion.LEFT, x=0.5, y=0.5, radius=radius), 0.0, 96)
        assert cover.sum() == pytest.approx(whole.sum(), rel=0.01), "a part of the shape is cut off"
        assert min(x, y, 1 - x, 1 - y) >= radius + MARGIN


def test_in_view_refuses_a_scene_that_leaves():
    leaving = scene(motion=Motion.LEFT, speed=Speed.FAST, x=0.3)
    assert leaving.in_view([0.0])
    assert not leaving.in_view([0.0, 2.0])


def test_held_out_combinations_are_a_tenth_and_balanced():
    held, trained = list(combinations(True)), list(combinations(False))
    assert (len(held), len(trained)) == (24, 216)
    assert not set(held) & set(trained)
    shapes, colours, motions = (Counter(c[i] for c in held) for i in range(3))
    assert set(motions.values()) == {3}
    assert set(colours.values()) == {4}
    assert set(shapes) == set(Shape)
    assert max(shapes.values()) - min(shapes.values()) <= 2


def test_sampling_honours_the_held_out_flag():
    assert not any(s.held_out for s in sampled(80, False))
    assert all(s.held_out for s in sampled(80, True))
    assert {s.held_out for s in sampled(200, None)} == {True, False}


def test_sampling_is_determined_by_the_generator():
    first, second = sampled(20, False), sampled(20, False)
    assert first == second
    assert np.array_equal(render(first[0], TIMES, 48), render(second[0], TIMES, 48))
    assert len(set(first)) == 20


def test_scene_survives_json_rounding():
    for drawn in sampled(10, None):
        again = Scene.from_dict(drawn.to_dict())
        assert again.to_dict() == drawn.to_dict()
        assert (again.x, again.y, again.radius) == pytest.approx((drawn.x, drawn.y, drawn.radius), abs=1e-5)


@pytest.mark.parametrize(("motion", "opposite"), OPPOSITES)
def test_a_clip_backwards_is_the_opposite_motion(motion: Motion, opposite: Motion):
    clip = render(scene(motion=motion), TIMES, 64)
    assert np.array_equal(clip[::-1], render(scene(motion=opposite), TIMES, 64))
    assert not np.array_equal(clip[0], clip[-1])


@pytest.mark.parametrize("motion", Motion)
def test_a_higher_frame_rate_shows_the_same_frames_between_more(motion: Motion):
    coarse = render(scene(motion=motion), TIMES, 48)
    fine = render(scene(motion=motion), frame_times(17, 4.0, 8), 48)
    assert np.array_equal(coarse, fine[::2])


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        (Motion.LEFT, (0.5 - 0.055 * 2, 0.6, 0.1)),
        (Motion.UP, (0.5, 0.6 - 0.055 * 2, 0.1)),
        (Motion.CLOCKWISE, (0.5 - 0.1 * math.sin(math.radians(50)), 0.5 + 0.1 * math.cos(math.radians(50)), 0.1)),
        (Motion.GROW, (0.5, 0.6, 0.1 * math.exp(0.22))),
    ],
)
def test_state_after_two_seconds(motion: Motion, expected: tuple[float, float, float]):
    # Below the middle, clockwise on the screen is towards the left.
    assert scene(motion=motion, y=0.6, radius=0.1).state(2.0) == pytest.approx(expected)


@pytest.mark.parametrize("shape", Shape)
def test_picture_is_background_where_the_mask_is_empty_and_colour_where_it_is_full(shape: Shape):
    still = scene(shape=shape)
    frame, cover, background = (
        render(still, [0.0], 96)[0].astype(float),
        mask(still, 0.0, 96),
        draw_background(still, 96),
    )
    assert np.abs(frame - background)[cover == 0].max() <= 0.51  # rounding
    assert np.abs(frame - np.array(RGB[still.colour]))[cover == 1].max() <= 0.08 * 1.4 * 214 + 1  # shading
    edge = (cover > 0) & (cover < 1)
    assert edge.any()
    blue = background[..., 2] - frame[..., 2]
    assert (blue[edge] > 0).all(), "an edge pixel mixes both"
    assert np.corrcoef(blue[edge], cover[edge])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("shape", "area"), [(Shape.CIRCLE, math.pi), (Shape.SQUARE, 2 * 1.25**2), (Shape.TRIANGLE, 0.75 * 3**0.5 * 1.35**2)]
)
def test_mask_has_the_area_of_the_shape(shape: Shape, area: float):
    # Coverage by distance is exact on straight edges but at corners: 1 %.
    assert mask(scene(shape=shape), 0.0, 128).sum() / 128**2 == pytest.approx(area * 0.13**2, rel=0.01)


def test_resolutions_agree():
    fine, coarse = mask(scene(shape=Shape.STAR), 0.0, 128), mask(scene(shape=Shape.STAR), 0.0, 64)
    pooled = fine.reshape(64, 2, 64, 2).mean((1, 3))
    assert np.abs(pooled - coarse).mean() < 0.003
    assert np.abs(pooled - coarse).max() < 0.35  # a tip thinner than a pixel


def test_shapes_and_colours_differ():
    pictures = [render(scene(shape=s, colour=c), [0.0], 48)[0] for s in Shape for c in Colour]
    assert len({p.tobytes() for p in pictures}) == len(Shape) * len(Colour)


def test_complete_captions_say_everything():
    rng = np.random.default_rng(3)
    for drawn in sampled(100, None):
        text = caption(drawn, rng, complete=True).lower()
        assert drawn.shape in text
        assert drawn.colour in text
        for options in (VERBS[drawn.motion], ADVERBS[drawn.speed], PLACES[drawn.background]):
            assert any(option in text for option in options), text
        assert not re.search(r"[{}]|  | ,", text)


def test_captions_of_one_scene_vary_and_repeat_with_the_generator():
    texts = [caption(scene(), np.random.default_rng(i)) for i in range(100)]
    assert len(set(texts)) > 90
    assert texts[:5] == [caption(scene(), np.random.default_rng(i)) for i in range(5)]
    assert 2 <= sum(not any(adverb in t.lower() for adverb in ADVERBS[Speed.SLOW]) for t in texts) <= 25


def test_verbs_belong_to_one_motion():
    verbs = [verb for options in VERBS.values() for verb in options]
    assert len(verbs) == len(set(verbs))


def test_still_captions_name_shape_and_colour_but_no_motion():
    rng = np.random.default_rng(4)
    for drawn in sampled(60, None):
        text = still_caption(drawn, rng).lower()
        assert drawn.shape in text
        assert drawn.colour in text
        assert not any(verb in text for options in VERBS.values() for verb in options)
