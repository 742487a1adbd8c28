"""The parts of the evaluation on true clips and on clips that are wrong in a known way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from microcinema_core.worlds.toybox.captions import ADVERBS, VERBS
from microcinema_core.worlds.toybox.triples import KEYFRAME, TIMES, Triple, read_triples
from microcinema_core.worlds.toybox.world import Colour, Motion, Scene, Speed, mask, render
from studies.cases import Case, Frames, Seen, Shot, see
from studies.journal import ClipStore, Journal, measure_all
from studies.shares import quantile
from studies.toybox import run
from studies.toybox.appearance import (
    appearance_part,
    flicker,
    inner,
    measure_appearance,
    never_covered,
    psnr,
    summarise_appearance,
)
from studies.toybox.clips import clips_part, failure_sheet, positions_part, summarise_clips
from studies.toybox.words import exchange_part, exchanged, other_motion, speed_part, summarise_speed

SIZE = 64


@pytest.fixture(scope="module")
def final() -> list[Triple]:
    return read_triples("final")


def perfect(case: Case) -> dict:
    s = case.scene
    return asdict(Seen(s.motion.value, s.speed.value, 0.1, s.shape.value, s.colour.value))


def true_clips(cases: Sequence[Case]):
    """Animates by drawing the truth: cases are told apart by prompt and position."""
    known = {(case.prompt, case.keyframe_at): case for case in cases}

    def animate(shots: Sequence[Shot]) -> list[Frames]:
        return [known[shot.prompt, shot.keyframe_at].truth(shot.keyframe.shape[0]) for shot in shots]

    return animate


def test_a_phrase_is_exchanged_whole_and_keeps_its_capital():
    phrases = ADVERBS[Speed.SLOW]
    assert exchanged("Gently, a red star rises", phrases, "fast") == "Fast, a red star rises"
    assert exchanged("a star moves to the left", VERBS[Motion.LEFT], "grows") == "a star grows"
    with pytest.raises(ValueError, match="empty"):
        exchanged("a star rises", phrases, "fast")


def test_exchange_changes_nothing_but_the_verb(final: list[Triple]):
    part = exchange_part(final)
    assert len(part.cases) == 400  # every keyframe allows another motion
    for triple, case in zip(final, part.cases, strict=True):
        assert case.scene.motion is not triple.scene.motion
        assert replace(case.scene, motion=triple.scene.motion) == triple.scene
        assert case.scene.in_view(TIMES)
        assert case.seed == triple.seed
        spoken = [v for v in VERBS[case.scene.motion] if v in case.prompt.lower()]
        rest = case.prompt.lower().replace(max(spoken, key=len), "")
        assert rest in {triple.prompt.lower().replace(v, "") for v in VERBS[triple.scene.motion]}
    assert other_motion(final[7]) == part.cases[7]  # whatever else is on the list


def test_exchange_counts_new_and_old_motion(final: list[Triple]):
    part = exchange_part(final[:40])
    follows = part.summarise(part.cases, [perfect(case) for case in part.cases]).figures
    assert (follows["follows"]["all"]["value"], follows["keeps_old_motion"]["hits"]) == (1, 0)
    deaf = part.summarise(part.cases, [perfect(Case.of(triple)) for triple in final[:40]]).figures
    assert (deaf["follows"]["all"]["hits"], deaf["keeps_old_motion"]["value"], deaf["listed"]) == (0, 1, 40)


def test_speed_pairs_differ_in_the_adverb_alone(final: list[Triple]):
    part = speed_part(final)
    assert len(part.cases) == 400
    for slow, fast in zip(part.cases[::2], part.cases[1::2], strict=True):
        assert (slow.scene.speed, fast.scene.speed) == (Speed.SLOW, Speed.FAST)
        assert replace(fast.scene, speed=Speed.SLOW) == slow.scene
        assert fast.scene.in_view(TIMES)
        assert slow.seed == fast.seed
        i = next(i for i, adverb in enumerate(ADVERBS[Speed.SLOW]) if adverb in slow.prompt.lower())
        assert exchanged(slow.prompt, ADVERBS[Speed.SLOW], ADVERBS[Speed.FAST][i]) == fast.prompt


def test_speed_ratio_counts_pairs_that_move_right(final: list[Triple]):
    cases = speed_part(final).cases[:8]
    rates = [(0.05, 0.1), (0.05, 0.06), (0.05, 0.2), (0.0, 0.1)]
    records = [
        {**perfect(case), "rate": rates[i // 2][i % 2], "true_rate": (0.05, 0.11)[i % 2]}
        for i, case in enumerate(cases)
    ]
    records[6]["motion"] = "still"
    figures = summarise_speed(cases, records).figures
    assert figures["both_move_right"]["hits"] == 3
    assert (figures["model"]["reached"]["hits"], figures["model"]["median"]) == (2, pytest.approx(2))
    assert figures["truth"]["reached"]["value"] == 1
    assert figures["truth"]["lowest"] == pytest.approx(2.2)


def test_true_pairs_are_twice_as_fast(final: list[Triple], tmp_path: Path):
    part = speed_part(final)
    part = replace(part, cases=part.cases[:4])
    records = measure_all(part, true_clips(part.cases), Journal(tmp_path / "a.jsonl"), batch=2, size=SIZE)
    figures = part.summarise(part.cases, records).figures
    assert figures["both_move_right"]["hits"] == figures["truth"]["reached"]["hits"] == 2
    assert figures["model"]["median"] == figures["truth"]["median"]


def test_positions_stay_in_view_and_true_clips_are_right(final: list[Triple], tmp_path: Path):
    part = positions_part(final)
    assert all(case.scene.in_view(case.times) and not case.held_out for case in part.cases)
    assert {case.keyframe_at: case.times[0] for case in part.cases} == {"first": 0.0, "last": -4.0}
    part = replace(part, cases=[*part.cases[:3], part.cases[-1]])
    animate = ClipStore(tmp_path / "clips").remember(true_clips(part.cases))
    records = measure_all(part, animate, Journal(tmp_path / "a.jsonl"), batch=4, size=SIZE)
    figures = part.summarise(part.cases, records).figures
    assert [figures[at]["right"]["hits"] for at in ("first", "last")] == [3, 1]
    assert [figures[at]["right"]["n"] for at in ("first", "last")] == [3, 1]


def test_failures_are_counted_by_motion_and_shape_and_shown(final: list[Triple]):
    part = clips_part(final[:8])
    records = [perfect(case) for case in part.cases]
    records[2] |= {"motion": "still"}
    records[5] |= {"shape": "", "colour": ""}
    outcome = summarise_clips(part.cases, records)
    assert outcome.figures["failures"] == [2, 5]
    assert outcome.figures["groups"]["all"]["right"]["hits"] == 6
    asked = part.cases[2].scene
    (row,) = [line for line in outcome.markdown.splitlines() if line.startswith(f"| {asked.motion} ") and "(" in line]
    assert [cell.strip() for cell in row.split("|")[2:-1]][2:] == ["1", "0", "0"]  # motion, shape, colour wrong
    sheet = failure_sheet(part.cases, [2, 5], true_clips(part.cases), SIZE)
    assert sheet.shape == (2 * (SIZE // 2 + 2), 9 * SIZE // 2 + 28, 3)
    assert np.array_equal(sheet[: SIZE // 2, 28 : 28 + SIZE // 2], part.cases[2].truth(SIZE)[0, ::2, ::2])
    assert (sheet[: SIZE // 2, :28] < 128).any(), "the strip has no number"


def test_a_stopped_part_goes_on_and_survives_a_torn_line(final: list[Triple], tmp_path: Path):
    part = replace(
        clips_part(final[:5]), measure=lambda case, frames: {"seed": case.seed, "mean": float(frames.mean())}
    )
    asked: list[int] = []

    def until(count: int):
        def animate(shots: Sequence[Shot]) -> list[Frames]:
            if len(asked) >= count:
                raise KeyboardInterrupt
            asked.extend(shot.seed for shot in shots)
            return true_clips(part.cases)(shots)

        return animate

    path = tmp_path / "deep" / "part.jsonl"
    with pytest.raises(KeyboardInterrupt):
        measure_all(part, until(4), Journal(path), batch=2, size=16)
    whole = path.read_text()
    path.write_text(whole + '{"case": 4, "rec')
    journal = Journal(path)
    assert path.read_text() == whole
    records = measure_all(part, until(99), journal, batch=2, size=16)
    assert [record["seed"] for record in records] == asked == [case.seed for case in part.cases]
    assert list(Journal(path).records.values()) == records


def test_stored_clips_are_exact_and_made_once(tmp_path: Path, final: list[Triple]):
    cases = [replace(Case.of(triple), keyframe_at=at) for triple in final[:2] for at in ("first", "last")]
    calls: list[list[str]] = []

    def animate(shots: Sequence[Shot]) -> list[Frames]:
        calls.append([shot.keyframe_at for shot in shots])
        return true_clips(cases)(shots)

    remembered = ClipStore(tmp_path).remember(animate)
    shots = [case.shot(24) for case in cases]
    first, again = remembered(shots), remembered(shots[::-1])[::-1]
    assert calls == [["first", "first"], ["last", "last"]]
    for a, b, case in zip(first, again, cases, strict=True):
        assert np.array_equal(a, case.truth(24))
        assert np.array_equal(b, a)
    remembered([replace(shots[0], seed=1)])
    assert calls[2:] == [["first"]]


def blue(motion: Motion = Motion.RIGHT) -> Scene:
    return replace(read_triples("select")[0].scene, motion=motion, colour=Colour.BLUE, x=0.5, y=0.5, radius=0.14)


def test_psnr_of_a_known_error():
    a = np.zeros((2, 4, 4, 3))
    b = a.copy()
    b[:, 0] = 0.1
    top = np.zeros((4, 4), bool)
    top[0] = True
    assert psnr(a, b, top) == pytest.approx(20)
    assert psnr(a, b) == pytest.approx(20 + 10 * np.log10(4))
    assert psnr(a, b, ~top) == float("inf")


def test_background_excludes_what_the_shape_or_the_drawn_one_covers():
    scene = blue()
    nothing = np.zeros((9, SIZE, SIZE), np.float32)
    region = never_covered(scene, TIMES, nothing)
    assert not any((mask(scene, t, SIZE) > 0)[region].any() for t in TIMES)
    assert 0.4 < region.mean() < 0.9
    nothing[3, 2, 2] = 1
    assert not never_covered(scene, TIMES, nothing)[:5, :5].any()


def test_flicker_is_the_mean_change_of_the_background():
    frames = np.zeros((3, 4, 4, 3))
    frames[1] = 0.2
    frames[:, 0] = np.arange(3)[:, None, None]
    region = np.ones((4, 4), bool)
    region[0] = False
    assert flicker(frames, region) == pytest.approx(0.2)


def test_appearance_of_truth_is_perfect_and_of_known_faults_is_theirs():
    case = Case(blue(), "", 0)
    truth = case.truth(SIZE)
    perfect = measure_appearance(case, truth, lambda frames: frames)
    assert perfect["psnr"] == 99
    assert [perfect[name] for name in ("flicker", "flicker_vae", "colour", "colour_vae")] == [0] * 4
    assert perfect["colour_tracked"] < 0.01
    faulty = truth.astype(int)
    for frame, t in zip(faulty, TIMES, strict=True):
        frame[inner(mask(case.scene, t, SIZE))] += 10
    faulty[::2] += (mask(case.scene, 0.0, SIZE)[None, ..., None] == 0) * np.array([3, 0, 0])
    record = measure_appearance(case, np.clip(faulty, 0, 255).astype(np.uint8), lambda frames: frames)
    assert record["flicker"] == pytest.approx(1 / 255, rel=1e-6)
    assert record["colour"] == pytest.approx(10 / 255, rel=1e-6)
    assert record["colour_tracked"] == pytest.approx(10 / 255, rel=0.2)
    assert 38 < record["psnr"] < 42  # 10 levels on a part of the shape, 3 of one channel elsewhere
    assert record["flicker_vae"] == record["colour_vae"] == 0


def test_appearance_summary_allows_what_the_autoencoder_does():
    record = {"psnr": 30.0, "flicker": 0.003, "flicker_vae": 0.004, "colour": 0.02, "colour_vae": 0.01}
    records = [{**record, "colour_tracked": None, "colour_tracked_vae": 0.01}] * 2
    part = appearance_part(read_triples("select")[:2], lambda frames: frames)
    figures = json.loads(json.dumps(summarise_appearance(part.cases, records).figures, allow_nan=False))
    assert figures["centre_psnr"] == {"median": 30, "quantile_05": 30, "lowest": 30}
    assert figures["allowed"]["flicker"] == pytest.approx(0.008)
    assert figures["allowed"]["colour"] == pytest.approx(0.015 + 2 / 255)
    assert figures["medians"]["colour_tracked"] is None
    assert quantile([]) is None


def test_see_reads_a_true_clip():
    case = Case(blue(), "", 0)
    assert Seen.from_record(see(case, render(case.scene, TIMES, SIZE))).right(case.scene)
    assert np.array_equal(case.truth(SIZE)[KEYFRAME], case.shot(SIZE).keyframe)


def test_one_command_makes_every_figure_and_goes_on(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    kept = tmp_path / "kept"
    arguments = ["--limit", "2", "--steps", "1", "--batch", "2", "--partial", str(kept), "--out", str(tmp_path / "r")]
    parts = ["clips", "exchange", "speed", "positions", "appearance", "chains", "autoencoder"]
    run.main([*arguments, "--parts", *parts])
    result = json.loads((tmp_path / "r.json").read_text())
    assert set(parts) <= set(result)
    assert all(f"## {part.capitalize()}" in (tmp_path / "r.md").read_text() for part in parts)
    assert result["clips"]["failures"] == [0, 1]  # random weights
    assert Image.open(tmp_path / "r-failures.png").width > 200
    times = {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()}
    assert len([path for path in times if path.suffix == ".png"]) >= 4
    run.main([*arguments, "--parts", *parts])
    assert json.loads((tmp_path / "r.json").read_text()) == result
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()} == times
