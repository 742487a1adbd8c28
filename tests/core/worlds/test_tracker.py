"""The tracker against the world's ground truth, and against drawings that the world cannot make."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from microcinema_core.errors import InputError
from microcinema_core.shot.timing import frame_times
from microcinema_core.worlds.toybox import tracker
from microcinema_core.worlds.toybox.tracker import (
    STILL,
    UNCLEAR,
    colour_name,
    fit_growth,
    fit_linear,
    fit_orbit,
    read_clip,
)
from microcinema_core.worlds.toybox.world import (
    RGB,
    Background,
    Colour,
    Motion,
    Scene,
    Shape,
    Speed,
    mask,
    render,
    sample_scene,
)

TIMES = frame_times(9, 2.0, 4)
SECONDS = np.array(TIMES)


def scenes(count: int, seed: int) -> list[Scene]:
    rng = np.random.default_rng([seed, 0x7E57])
    return [sample_scene(rng, TIMES, held_out=bool(i % 2)) for i in range(count)]


def degrade(frames: NDArray[np.uint8], rng: np.random.Generator, blur: float = 0.8, noise: float = 5.0):
    """What a small autoencoder does: soft edges, fine and coarse noise, a colour cast per frame; about 29 dB."""
    soft = ndimage.gaussian_filter(frames.astype(np.float64), (0, blur, blur, 0))
    coarse = ndimage.gaussian_filter(rng.normal(size=frames.shape), (0, 3, 3, 0))
    fine = rng.normal(size=frames.shape)
    cast = rng.normal(size=(len(frames), 1, 1, 3)) / 2
    return np.clip(soft + noise * (fine + coarse / coarse.std() + cast) + 0.5, 0, 255).astype(np.uint8)


def example(**changes: object) -> Scene:
    middle = Scene(
        Shape.STAR, Colour.BLUE, Motion.RIGHT, Speed.FAST, Background.MEADOW, x=0.5, y=0.4, radius=0.14, texture=0.3
    )
    return replace(middle, **changes)


def disc(centres: NDArray[np.float64], radii: float | NDArray[np.float64] = 12.0, size: tuple[int, int] = (96, 96)):
    """A green disc on grey, drawn without the world: centres [T, 2] and radii in pixels."""
    y, x = np.indices(size) + 0.5
    frames = np.full((len(centres), *size, 3), 120, np.uint8)
    for frame, (cx, cy), radius in zip(frames, centres, np.broadcast_to(radii, len(centres)), strict=True):
        frame[np.hypot(x - cx, y - cy) < radius] = (30, 170, 50)
    return frames


def check_ground_truth(count: int, seed: int, *, degraded: bool, size: int = 128) -> None:
    rng = np.random.default_rng(seed)
    right, speed, off = [], [], []
    for scene in scenes(count, seed):
        frames = render(scene, TIMES, size)
        reading = read_clip(degrade(frames, rng) if degraded else frames, TIMES)
        right.append((reading.motion, reading.shape, reading.colour) == (scene.motion, scene.shape, scene.colour))
        speed.append(reading.speed == scene.speed)
        truth = mask(scene, TIMES[0], size)
        y, x = ndimage.center_of_mass(truth)
        off.append(math.hypot(reading.x[0] - x - 0.5, reading.y[0] - y - 0.5))
    assert np.mean(right) >= 0.98
    assert np.mean(speed) >= 0.97
    assert np.median(off) < 1


def test_reads_true_clips():
    check_ground_truth(100, 1, degraded=False)


def test_reads_degraded_clips():
    check_ground_truth(50, 2, degraded=True)


def test_reads_small_clips():
    check_ground_truth(50, 3, degraded=False, size=64)


@pytest.mark.slow
@pytest.mark.parametrize("degraded", [False, True])
def test_reads_a_thousand_clips(degraded: bool):
    check_ground_truth(1000, 4, degraded=degraded)


@pytest.mark.parametrize("keyframe", [2, 6])
def test_reading_does_not_depend_on_the_keyframe(keyframe: int):
    times = frame_times(9, 2.0, keyframe)
    rng = np.random.default_rng(5)
    for scene in (sample_scene(rng, times, held_out=None) for _ in range(12)):
        reading = read_clip(render(scene, times, 96), times)
        assert (reading.motion, reading.speed, reading.shape) == (scene.motion, scene.speed, scene.shape)


def test_more_frames_per_second_read_the_same():
    scene = example(motion=Motion.CLOCKWISE, speed=Speed.SLOW, y=0.3)
    coarse = read_clip(render(scene, TIMES, 96), fps=2)
    fine = read_clip(render(scene, frame_times(17, 4.0, 8), 96), fps=4)
    assert (coarse.motion, coarse.speed) == (fine.motion, fine.speed) == ("clockwise", "slow")
    assert coarse.rate == pytest.approx(fine.rate, rel=0.05)


@pytest.mark.parametrize("seed", range(8))
def test_a_still_copy_is_still(seed: int):
    scene = scenes(1, 100 + seed)[0]
    still = np.repeat(render(scene, [0.0], 128), 9, axis=0)
    assert read_clip(still, TIMES).motion == STILL
    degraded = read_clip(degrade(still, np.random.default_rng(seed)), TIMES)
    assert (degraded.motion, degraded.rate, degraded.speed) == (STILL, 0.0, "")
    assert degraded.shape == scene.shape


@pytest.mark.parametrize("motion", Motion)
def test_wide_pictures(motion: Motion):
    scene = example(motion=motion, speed=Speed.SLOW, y=0.32, radius=0.12)
    wide = np.pad(render(scene, TIMES, 90), ((0, 0), (0, 0), (35, 35), (0, 0)), mode="edge")  # 90x160
    for frames, expected in ((wide, motion), (wide.transpose(0, 2, 1, 3), None)):
        reading = read_clip(frames, TIMES)
        assert reading.found.all()
        assert reading.masks.shape == frames.shape[:3]
        if expected:
            assert (reading.motion, reading.shape, reading.speed) == (expected, "star", "slow")


def test_position_radius_and_mask_of_a_disc():
    centres = np.stack([np.linspace(30, 70, 9), np.full(9, 40.0)], axis=-1)
    reading = read_clip(disc(centres, 10.0, (80, 120)), TIMES)
    assert np.allclose(reading.x, centres[:, 0], atol=0.3)
    assert np.allclose(reading.y, centres[:, 1], atol=0.3)
    assert np.allclose(reading.radius, 10, rtol=0.03)
    assert np.allclose(reading.masks.sum((1, 2)), math.pi * 100, rtol=0.06)
    assert (reading.motion, reading.colour, reading.shape) == ("right", "green", "circle")
    assert reading.rate == pytest.approx(40 / 80 / 4, rel=0.02)  # sides of 80 pixels in 4 seconds


def test_a_shape_that_vanishes_in_two_frames_is_still_followed():
    scene = example()
    frames = render(scene, TIMES, 96)
    frames[[2, 5]] = frames[[2, 5]].mean((1, 2), keepdims=True).astype(np.uint8)
    reading = read_clip(frames, TIMES)
    assert reading.found.tolist() == [i not in (2, 5) for i in range(9)]
    assert np.isnan(reading.x[2])
    assert (reading.motion, reading.shape, reading.colour) == ("right", "star", "blue")


def test_a_shape_seen_in_half_of_the_frames_is_unclear():
    frames = render(example(), TIMES, 96)
    frames[[1, 3, 5, 7]] = 120
    assert read_clip(frames, TIMES).motion == UNCLEAR


def test_nothing_to_see():
    reading = read_clip(np.full((9, 64, 64, 3), 90, np.uint8), TIMES)
    assert (reading.motion, reading.shape, reading.colour, reading.found.any()) == (UNCLEAR, "", "", False)


def test_an_outlier_frame_does_not_change_the_motion():
    centres = np.stack([np.linspace(30, 66, 9), np.full(9, 48.0)], axis=-1)
    centres[3] = (70, 20)
    assert read_clip(disc(centres), TIMES).motion == "right"


def test_a_passing_change_of_colour_and_a_split_off_piece():
    frames = render(example(), TIMES, 96)
    red = render(example(colour=Colour.RED), TIMES, 96)
    frames[6:8] = red[6:8]
    frames[4, 80:86, 10:16] = (40, 90, 220)
    reading = read_clip(frames, TIMES)
    assert (reading.motion, reading.colour) == ("right", "blue")


def test_paths_without_a_name_are_unclear():
    t = np.linspace(-1, 1, 9)
    diagonal = np.stack([48 + 20 * t, 48 + 20 * t], axis=-1)
    there_and_back = np.stack([36 + 24 * (1 - abs(t)), np.full(9, 48.0)], axis=-1)
    jumps = np.random.default_rng(0).uniform(20, 76, (9, 2))
    for path in (diagonal, there_and_back, jumps):
        assert read_clip(disc(path), TIMES).motion not in list(Motion)


def test_a_creeping_shape_is_still():
    creeping = np.stack([np.linspace(46, 50, 9), np.full(9, 48.0)], axis=-1)  # 4 % of a side in 4 seconds
    assert read_clip(disc(creeping), TIMES).motion == STILL


def test_the_plainer_of_two_motions_counts():
    slightly_up = np.stack([np.full(9, 48.0), np.linspace(50, 46, 9)], axis=-1)
    assert read_clip(disc(slightly_up, 10 * np.exp(np.linspace(0, 0.8, 9))), TIMES).motion == "grow"


@pytest.mark.parametrize("degrees", [-57, -25, 12, 25, 57])
def test_orbit_fit_finds_the_rate(degrees: float):
    angle = 0.7 + math.radians(degrees) * SECONDS
    place = 0.2 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    orbit, linear = fit_orbit(place, SECONDS), fit_linear(place, SECONDS)
    assert orbit.motion == ("clockwise" if degrees > 0 else "counterclockwise")
    assert orbit.rate == pytest.approx(math.radians(abs(degrees)), abs=math.radians(1))
    assert orbit.residual < 0.5 * linear.residual


def test_straight_paths_are_no_orbits():
    place = np.stack([0.05 * SECONDS, np.full(9, -0.25)], axis=-1)  # passes above the middle
    linear, orbit = fit_linear(place, SECONDS), fit_orbit(place, SECONDS)
    assert linear.residual < 1e-9 < orbit.residual
    assert (linear.motion, linear.rate) == ("right", pytest.approx(0.05))


def test_growth_fit():
    fit = fit_growth(20 * np.exp(-0.25 * SECONDS), SECONDS)
    assert (fit.motion, fit.rate) == ("shrink", pytest.approx(0.25))
    assert fit.explained == pytest.approx(1)


@pytest.mark.parametrize("colour", Colour)
def test_colour_names_tolerate_dull_and_bright(colour: Colour):
    rgb = np.array(RGB[colour], float)
    for shade in (0.85, 1.0, 1.1):
        for grey in (0.0, 0.25):
            assert colour_name(*(shade * ((1 - grey) * rgb + grey * 128))) == colour


@pytest.mark.parametrize(
    ("frames", "arguments"),
    [
        (np.zeros((9, 8, 8, 3), np.float32), {"fps": 2}),
        (np.zeros((9, 3, 8, 8), np.uint8), {"fps": 2}),
        (np.zeros((9, 8, 8, 3), np.uint8), {}),
        (np.zeros((9, 8, 8, 3), np.uint8), {"times": [0.0, 1.0]}),
    ],
)
def test_bad_input_is_refused(frames: NDArray, arguments: dict):
    with pytest.raises(InputError):
        read_clip(frames, **arguments)


def test_the_tracker_imports_nothing_of_the_renderer():
    tree = ast.parse(Path(tracker.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
    assert modules == {"errors"}
