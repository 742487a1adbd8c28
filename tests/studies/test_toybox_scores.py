"""Fixed lists and scores."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from microcinema_core.errors import InputError
from microcinema_core.worlds.toybox.tracker import Reading, read_clip
from microcinema_core.worlds.toybox.triples import (
    LISTS,
    STILL_PROMPTS,
    STILL_SEED,
    TIMES,
    Triple,
    make_prompts,
    make_triples,
    read_prompts,
    read_triples,
    write_json,
)
from microcinema_core.worlds.toybox.world import Motion, Scene, Speed, render
from studies.toybox.scores import Share, baselines, evaluate_keyframes, score_clips, shuffled_text, wilson


@pytest.fixture(scope="module")
def select() -> list[Triple]:
    return read_triples("select")


@pytest.fixture(scope="module")
def readings(select: list[Triple]) -> list[Reading]:
    """What a perfect reader says of perfect clips, made from one real reading."""
    scene = select[0].scene
    base = read_clip(render(scene, TIMES, 48), TIMES)
    return [
        replace(base, motion=s.motion.value, shape=s.shape.value, colour=s.colour.value, speed=s.speed.value)
        for s in (t.scene for t in select)
    ]


def test_files_are_what_the_program_makes(select: list[Triple]):
    assert make_triples(*LISTS["select"]) == select
    assert make_prompts(STILL_SEED, STILL_PROMPTS) == read_prompts()


@pytest.mark.slow
def test_final_file_is_what_the_program_makes():
    assert make_triples(*LISTS["final"]) == read_triples("final")


@pytest.mark.parametrize(("name", "per_group"), [(name, count) for name, (_, count) in LISTS.items()])
def test_lists_are_even(name: str, per_group: int):
    triples = read_triples(name)
    assert len({t.prompt for t in triples}) > 0.95 * len(triples)
    assert len({t.seed for t in triples}) == len(triples)
    for held_out in (False, True):
        some = [t for t in triples if t.held_out == held_out]
        assert len(some) == per_group
        assert all(t.scene.held_out == held_out and t.scene.in_view(TIMES) for t in some)
        assert set(Counter(t.scene.motion for t in some).values()) == {per_group // len(Motion)}
        assert Counter(t.scene.speed for t in some) == dict.fromkeys(Speed, per_group // 2)
        counts = Counter((t.scene.shape, t.scene.colour, t.scene.motion) for t in some)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert len(counts) == min(per_group, 24 if held_out else 216)


def test_lists_share_no_scene(select: list[Triple]):
    assert not {t.scene for t in select} & {t.scene for t in read_triples("final")}


def test_prompts_name_the_scene(select: list[Triple]):
    assert all(t.scene.shape in t.prompt.lower() and t.scene.colour in t.prompt.lower() for t in select)
    prompts = read_prompts()
    assert all(p.shape in p.prompt.lower() and p.colour in p.prompt.lower() for p in prompts)
    counts = Counter((p.shape, p.colour) for p in prompts)
    assert (len(prompts), len(counts)) == (200, 30)
    assert set(counts.values()) == {6, 7}


def test_keyframe_is_the_scene_at_time_zero(select: list[Triple]):
    assert np.array_equal(select[3].keyframe(48), render(select[3].scene, TIMES, 48)[4])


def test_lists_are_not_overwritten_by_accident(tmp_path, select: list[Triple]):
    path = tmp_path / "new" / "triples-select.json"
    write_json(path, select[:3])
    with pytest.raises(InputError, match="--force"):
        write_json(path, select[:2])
    assert read_triples("select", path.parent) == select[:3]
    write_json(path, select[:2], force=True)
    assert read_triples("select", path.parent) == select[:2]
    with pytest.raises(InputError, match="missing"):
        read_triples("final", path.parent)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (0, 0, 0, 1)]
)
def test_wilson_interval(hits: int, n: int, low: float, high: float):
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-4)


def test_scores_of_perfect_readings(select: list[Triple], readings: list[Reading]):
    scores = score_clips(readings, select)
    assert list(scores.groups) == ["all", "trained", "held out"]
    assert [scores.groups[g].right for g in scores.groups] == [Share(96, 96), Share(48, 48), Share(48, 48)]
    assert scores.groups["all"].speed == Share(96, 96)
    assert all(scores.confusion[m][m] == 12 for m in Motion)


def test_scores_count_each_kind_of_mistake(select: list[Triple], readings: list[Reading]):
    wrong = list(readings)
    wrong[0] = replace(wrong[0], motion="still", speed="")
    wrong[1] = replace(wrong[1], shape="")
    wrong[2] = replace(wrong[2], colour="none", shape="none")
    wrong[50] = replace(wrong[50], motion="unclear", colour="none", speed="")
    wrong[51] = replace(wrong[51], speed="none")
    scores = score_clips(wrong, select)
    trained, held = scores.groups["trained"], scores.groups["held out"]
    assert (trained.motion.hits, trained.shape.hits, trained.colour.hits, trained.right.hits) == (47, 46, 47, 45)
    assert (held.motion.hits, held.shape.hits, held.colour.hits, held.right.hits) == (47, 48, 47, 47)
    assert (trained.still.hits, trained.unclear.hits, held.still.hits, held.unclear.hits) == (1, 0, 0, 1)
    assert held.speed == Share(46, 47)
    assert scores.confusion[select[0].scene.motion]["still"] == 1
    assert sum(sum(row.values()) for row in scores.confusion.values()) == 96


def test_scores_as_text_and_json(select: list[Triple], readings: list[Reading]):
    scores = score_clips([replace(r, motion="still") for r in readings[:48]], select[:48])
    assert list(scores.groups) == ["all", "trained"]
    data = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert data["groups"]["trained"]["still"] == {
        "hits": 48,
        "n": 48,
        "value": 1.0,
        "low": pytest.approx(0.926, abs=1e-3),
        "high": pytest.approx(1.0),
    }
    assert data["groups"]["all"]["speed"]["value"] is None
    table = scores.to_markdown()
    assert "1.000 (0.926-1.000)" in table
    assert all(line.startswith("| ") and line.endswith(" |") for line in table.splitlines() if line)


def test_shuffled_text_is_chance(select: list[Triple], readings: list[Reading]):
    share = shuffled_text(readings, select)
    assert share.n == 96
    assert 0.02 < share.value < 0.25  # 1 in 8


def test_baselines_bracket_a_model(select: list[Triple]):
    result = baselines(select[:8] + select[-8:], size=64)
    assert result.ground_truth.groups["all"].right == Share(16, 16)
    still = result.still_copy.groups["all"]
    assert (still.motion.hits, still.still.hits, still.shape.hits, still.colour.hits) == (0, 16, 16, 16)
    assert "Still copy" in result.to_markdown()
    json.dumps(result.to_dict(), allow_nan=False)


def test_evaluate_keyframes(select: list[Triple]):
    prompts = read_prompts()[:6]
    scene = select[0].scene

    def draw(texts: list[str], seeds: list[int]) -> list:
        wanted = [p for p in prompts if p.seed in seeds]
        assert [p.prompt for p in wanted] == texts
        return [render(replace(scene, shape=p.shape, colour=p.colour), [0.0], 64)[0] for p in wanted]

    right = evaluate_keyframes(draw, prompts, batch=4)
    assert (right.right, right.nothing) == (Share(6, 6), Share(0, 6))
    blank = evaluate_keyframes(lambda texts, _: [np.full((64, 64, 3), 99, np.uint8)] * len(texts), prompts)
    assert (blank.shape.hits, blank.colour.hits, blank.right.hits, blank.nothing.hits) == (0, 0, 0, 6)
    assert "| 6 " in right.to_markdown()
    assert json.loads(json.dumps(blank.to_dict()))["nothing"]["hits"] == 6


def test_triples_survive_json(select: list[Triple]):
    assert [Triple.from_dict(json.loads(json.dumps(t.to_dict()))) for t in select[:4]] == select[:4]
    assert isinstance(select[0].scene, Scene)
