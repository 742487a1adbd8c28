"""Chains, the motion dial and temporal super-resolution: their measures on truth, on blends and on known faults."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.config import Kind
from microcinema_core.shot.timing import frame_times
from microcinema_core.standalone.components import load_codec
from microcinema_core.worlds.toybox.tracker import read_clip
from microcinema_core.worlds.toybox.triples import TIMES, Triple, read_triples
from microcinema_core.worlds.toybox.world import ORBIT, Speed, mask, render
from studies.shares import pick
from studies.toybox.chains import (
    chain_times,
    chains_part,
    dial_cases,
    displacement,
    measure_chain,
    score_dial,
    summarise_chains,
)
from studies.toybox.tsr import (
    Interval,
    blend,
    blend_latents,
    centre_of,
    iou,
    score_clip,
    score_interpolation,
    swept_region,
)

SIZE = 64


@pytest.fixture(scope="module")
def final() -> list[Triple]:
    return read_triples("final")


def test_fifty_scenes_stay_in_view_for_a_chain(final: list[Triple]):
    cases = chains_part(final).cases
    assert len(cases) == 50
    assert len(chain_times()) == 41
    assert all(case.scene.in_view(chain_times()) and case.scene.motion in ORBIT for case in cases)


def test_a_true_chain_has_no_seam_and_a_jump_is_one(final: list[Triple]):
    case = next(case for case in chains_part(final).cases if case.scene.speed is Speed.SLOW)
    truth = render(case.scene, chain_times(), SIZE)
    record = measure_chain(case, truth)
    assert record["motions"] == [case.scene.motion] * 5
    assert max(record["seams"]) < 1.5 * record["usual"]
    broken = truth.copy()
    broken[17:] = np.roll(truth[17:], SIZE // 2, axis=2)  # from the second seam on, elsewhere
    other = measure_chain(case, broken)
    assert [seam > 2 * other["usual"] for seam in other["seams"]] == [False, True, False, False]
    figures = summarise_chains([case, case], [record, other]).figures
    assert figures["chains whose seams all change at most twice the median"]["hits"] == 1
    assert (figures["seams that do"]["hits"], figures["seams that do"]["n"]) == (7, 8)
    assert figures["motion right in clips 2 to 5"]["n"] == 8


def test_the_dial_is_measured_against_the_true_displacement(final: list[Triple]):
    cases = dial_cases(final)
    assert len(cases) == 100
    assert all(case.scene.speed is Speed.SLOW and not case.held_out for case in cases)
    some = pick(cases, 3)
    known = {case.prompt: case.scene for case in some}

    def animate_at(setting: float):
        return lambda shots: [render(known[shot.prompt], [setting * t for t in TIMES], SIZE) for shot in shots]

    scores = score_dial(animate_at, some, [0.0, 0.5, 1.0], size=SIZE)
    assert scores.medians == pytest.approx([0, 0.5, 1], abs=0.03)
    assert scores.monotonic
    assert scores.motion[2].value == 1
    assert not replace(scores, relative=scores.relative[::-1]).monotonic


@pytest.mark.parametrize("index", range(8))  # the list's motions take turns
def test_displacement_has_the_sign_of_the_motion(index: int, final: list[Triple]):
    scene = final[index].scene
    there, back = (read_clip(render(scene, [s * t for t in TIMES], SIZE), TIMES) for s in (1, -1))
    way = displacement(there, scene, TIMES, SIZE)
    assert way > 0.1
    assert displacement(back, scene, TIMES, SIZE) == pytest.approx(-way, rel=0.1)


def test_blends_are_linear_and_keep_what_is_given():
    ends = np.random.default_rng(0).normal(size=(3, 2, 5))
    mixed = blend(ends, 4)
    assert np.array_equal(mixed[::4], ends)
    assert np.allclose(mixed[1], 0.75 * ends[0] + 0.25 * ends[1])
    assert np.allclose(mixed[6], (ends[1] + ends[2]) / 2)
    latents = torch.randn(2, 4, 3, 2, 2)
    assert torch.equal(blend_latents(latents, 4)[:, :, ::4], latents)
    assert blend_latents(latents, 4).shape == (2, 4, 9, 2, 2)


def test_interval_is_students():
    values = np.random.default_rng(1).normal(0.3, 1, 20)
    own = Interval.of(list(values))
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (own.low, own.high, own.n) == (pytest.approx(low), pytest.approx(high), 20)
    assert Interval.of([1.0]).to_dict() == {"mean": 1, "low": None, "high": None, "n": 1}


def test_overlap_centre_and_swept_region():
    left, right = np.zeros((2, 8, 8), np.float32)
    left[2:4, 0:4], right[2:4, 2:6] = 1, 1
    assert iou(left, right) == pytest.approx(1 / 3)
    assert iou(left, left) == 1
    assert iou(np.zeros_like(left), left) == 0
    assert centre_of(left) == (2, 3)
    assert swept_region(np.stack([left, right])).sum() == 12


def test_score_of_a_clip_that_is_off_by_two_pixels(final: list[Triple]):
    scene = final[1].scene
    times = frame_times(9, 8.0, 4)
    truth = render(scene, times, SIZE)
    masks = np.stack([mask(scene, t, SIZE) for t in times])
    right = score_clip(truth, truth, masks, 4)
    assert (right.psnr, len(right.off)) == (math.inf, 6)
    assert right.iou > 0.85
    assert max(right.off) < 0.5 / 64
    off = score_clip(np.roll(truth, 2, axis=1), truth, masks, 4)
    assert off.off == pytest.approx([2 / SIZE] * 6, abs=0.5 / 64)
    assert off.psnr < 25
    assert off.iou < right.iou
    blank = score_clip(np.full_like(truth, 90), truth, masks, 4)
    assert (blank.iou, blank.off) == (0, [math.inf] * 6)


def test_interpolation_scores_of_oracle_and_blend(final: list[Triple]):
    codec = load_codec(embedded(Kind.AUTOENCODER))
    scenes = [triple.scene for triple in final[1:4:2]]
    asked: list[int] = []

    def oracle(given: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """The encoded truth where the seed is that of the first run, the latents' blend where it is the second's."""
        asked.extend(seeds)
        if seeds[0] >= len(scenes):
            return blend_latents(given, 4)
        clips = [render(scenes[i], frame_times(5, 8.0, 4), SIZE) for i in seeds]
        pixels = [torch.from_numpy(clip).movedim(-1, 1).float() / 255 for clip in clips]
        return torch.stack([codec.encode(frames).transpose(0, 1) for frames in pixels])

    scores = score_interpolation(oracle, codec, scenes, 2.0, 4, [0, 1], frames=2, size=SIZE, batch=2)
    assert asked == [0, 1, 2, 3]
    assert [len(run) for run in scores.model.values()] == [2, 2]
    for measure in ("psnr", "iou"):
        same = scores.differences(measure, "latent_blend", seed=1)
        assert (same.mean, same.low, same.high) == (0, 0, 0)
        assert scores.differences(measure, "latent_blend", seed=0).mean > 0
        assert scores.differences(measure, "frame_blend", seed=0).mean > 0
    figures = scores.to_dict()["scores"]
    assert figures["model, seed 0"]["position_within"]["n"] == 6
    assert figures["model, seed 0"]["psnr"] > figures["frame_blend"]["psnr"] + 1
    assert "psnr minus frame_blend" in scores.to_markdown()
