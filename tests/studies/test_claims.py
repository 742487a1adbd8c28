"""The runs of the paper's comparisons differ in one thing each, and the page says what was found of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.config import Injection, Kind, ScheduleName
from microcinema_core.diffusion.schedule import make_schedule
from microcinema_core.training.config import Learns
from studies.claims.frozen import KEPT, Lesson
from studies.claims.frozen import page as frozen_page
from studies.claims.gamma import GRID, lesson, moved
from studies.claims.gamma import page as gamma_page
from studies.claims.page import page
from studies.claims.runs import CONCAT, FULL, NO_KEYFRAME, NO_LAMBDA, TWICE, WAYS, Run, plan


def test_what_matters_most_comes_first_and_twice(tmp_path: Path) -> None:
    names = [run.name for run in plan()]
    assert names[:3] == [f"{way.name}-0" for way in TWICE]
    assert len(set(names)) == len(names) == len(WAYS) + len(TWICE)


def test_runs_differ_in_one_thing_and_share_their_clips(tmp_path: Path) -> None:
    told = {way.name: Run(way, 0).config(tmp_path).to_dict() for way in WAYS}
    plain = told[FULL.name]
    changed = {
        name: {key for key in plain if values[key] != plain[key]} - {"out", "injection"}
        for name, values in told.items()
    }
    assert changed[CONCAT.name] == set()
    assert changed[NO_LAMBDA.name] == {"prior_lambda"}
    assert changed[NO_KEYFRAME.name] == {"prior_lambda", "data"}
    assert {values["injection"] for values in told.values()} == {None, *Injection}
    assert {str(Path(values["out"]).parent) for values in told.values()} == {str(tmp_path)}
    assert {values["data"]["seed"] for values in told.values()} == {0}


MEDIANS = {"colour_tracked": 0.0125, "flicker": 0.0039}


def found(hits: int, decibels: float) -> dict[str, Any]:
    share = {"hits": hits, "n": 10}
    shares = dict.fromkeys(("right", "motion", "shape", "colour", "still"), share)
    return {
        "clips": {"groups": {"all": shares}},
        "appearance": {"centre_psnr": {"median": decibels}, "medians": MEDIANS},
    }


def test_the_page_has_every_run_and_the_pairs_of_equal_seed() -> None:
    scores = {
        Run(FULL, 0).name: found(9, 40),
        Run(CONCAT, 0).name: found(4, 31.25),
        Run(NO_LAMBDA, 1).name: found(1, 9),
    }
    text = page(scores, steps=5, clips=7)
    assert "for 5 steps of 8 clips" in text
    assert "0.900 (0.596-0.982)" in text
    assert "0.900 / 0.400 | 40.0 / 31.2" in text
    assert text.count("on against off") == 0


def test_what_is_frozen_is_the_text_alone_run_and_its_lesson_is_kept_at_steps_of_its_reports(tmp_path: Path) -> None:
    before = Run(NO_KEYFRAME, 0)
    lesson = Lesson.of(tmp_path, tmp_path / before.name / "model.safetensors")
    assert lesson.config.recipe.learns is Learns.APPEARNET
    assert all(step % lesson.config.sample_every == 0 for step in KEPT)
    assert KEPT[-1] == lesson.config.steps


def test_the_page_of_a_frozen_model_stands_between_what_it_was_and_what_learnt_together() -> None:
    text = frozen_page(found(3, 9), found(9, 40), [("250", "3", found(5, 21)), ("500", "6", found(8, 30))])
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row.rsplit("|", 2)[1].strip() for row in rows if "dB" not in row and "---" not in row] == [
        "9.0",
        "21.0",
        "30.0",
        "40.0",
    ]
    assert "0.500 (0.237-0.763)" in text


def test_gammas_model_has_the_embedded_weights_on_stable_diffusions_schedule(tmp_path: Path) -> None:
    source = embedded(Kind.VIDEO)
    before, after = (read_checkpoint(path) for path in (source, moved(source, tmp_path / "start.safetensors")))
    assert after.header.config.diffusion == replace(before.header.config.diffusion, schedule=ScheduleName.SD)
    fed = [
        float(make_schedule(one.diffusion.schedule).time_of_sigma(torch.tensor(1e6))) * one.unet.timestep_scale
        for one in (before.header.config, after.header.config)
    ]
    assert fed == pytest.approx([1000, 999], abs=0.1)  # the noisiest time, as the network is fed it
    assert after.sections.keys() == before.sections.keys()
    for name, section in before.sections.items():
        assert all(torch.equal(value, after.sections[name][key]) for key, value in section.items())
    assert lesson(tmp_path, 5).start_from == str(tmp_path / "start.safetensors")


def test_the_page_of_gammas_has_a_row_each() -> None:
    text = gamma_page({gamma: found(5, 30 + gamma) for gamma in GRID}, 5, 0.03)
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| 0")] == [
        f"{g:g}" for g in GRID
    ]
    assert "0.0125 | 0.0039" in text
