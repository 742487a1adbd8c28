"""The gallery: what is chosen, what is written, and that its commands are the program's."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from microcinema_core.cli import app
from microcinema_core.errors import InputError
from microcinema_core.shot.plan import Loop
from microcinema_core.shot.settings import TSR_SAMPLING, SamplingConfig
from microcinema_core.shot.timing import frame_times
from microcinema_core.worlds.toybox.triples import TIMES, read_triples
from microcinema_core.worlds.toybox.world import Motion, Speed
from studies.cases import Seen
from studies.gallery import sections
from studies.gallery.__main__ import main
from studies.gallery.album import Album, command
from studies.gallery.choice import ATTRIBUTES, right, varied, wrong
from studies.gallery.drawing import GAP, HOLD, at_rate, landscape, side_by_side, write_webp
from studies.gallery.gammas import KEYFRAME, RHO, VARIANCE, mean_error
from studies.gallery.page import anchor
from studies.gallery.sections import SECTIONS, Material

FEW = ["best", "rates", "exact", "gammas", "failures", "photos"]
SD_SIGMA_MAX = 14.6146  # of Stable Diffusion's schedule


def seen_of(scene, **wrongly) -> dict:
    true = {name: str(getattr(scene, name)) for name in ("motion", "speed", "shape", "colour")}
    return {**true, "rate": 0.1, **wrongly}


@pytest.fixture(scope="module")
def material() -> Material:
    """The whole select list, every fourth clip of which does not move."""
    triples = read_triples("select")
    seen = [seen_of(t.scene, **({} if i % 4 else {"motion": "still"})) for i, t in enumerate(triples)]
    return Material(2, triples, lambda: seen)


@pytest.fixture
def small(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command with the small random models."""
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    common = ["--tsr-steps=1", "--passes=1", "--limit=2", f"--out={tmp_path / 'page'}", f"--work={tmp_path / 'work'}"]

    def run(*options: str) -> Path:
        main([*common, *options])
        return tmp_path / "page"

    return run


def times_of(path: Path) -> list[int]:
    """The ms that each frame is shown."""
    with Image.open(path) as image:
        shown = []
        for i in range(image.n_frames):
            image.seek(i)
            image.load()
            shown.append(image.info["duration"])
    return shown


def test_the_command_writes_a_page_whose_pictures_read_back(small):
    page = small("--steps=1", "--sections", *FEW)
    text = (page / "README.md").read_text(encoding="utf-8")
    files = set(re.findall(r"\]\(([^#.)][^#)]*)\)", text)) | set(re.findall(r"--image (\S+)", text))
    assert {"rates.webp", "exact-cross.png", "photo.webp", "keyframes/photo.png"} <= files
    assert all((page / file).is_file() for file in files)
    headings = {anchor(line.removeprefix("## ")) for line in text.splitlines() if line.startswith("## ")}
    assert set(re.findall(r"\(#([^)]+)\)", text)) == headings
    assert len(headings) == len(FEW)
    # Random networks move nothing as asked: both clips of the short list are failures.
    failures = sorted(page.glob("failure-*.webp"))
    assert len(failures) == 2
    for path in failures:  # 33 frames at 8 a second; equal neighbours may be one frame that stays longer
        assert sum(times_of(path)) == pytest.approx(33 * 1000 / 8 + HOLD, abs=1)
    with Image.open(page / "rates.webp") as image:  # keyframe, 2 and 8 frames a second
        assert image.size[0] == 3 * 64 + 2 * GAP
    assert len(times_of(page / "rates.webp")) > 9
    with Image.open(page / "exact-cross.png") as image:
        keyframe, off, on = np.split(np.asarray(image)[:, : 3 * 64 + 2 * GAP], [64 + GAP, 2 * (64 + GAP)], axis=1)
    assert (off[:, :64] != on[:, :64]).any()
    assert not list(page.glob(".*"))  # nothing unfinished
    assert keyframe.shape[1] == 64 + GAP


def test_what_is_there_is_not_made_again(small, tmp_path: Path):
    page = small("--steps=1", "--sections", "exact", "gammas")
    before = {path: path.stat().st_mtime_ns for path in page.rglob("*.png")}
    assert len(before) == 4 + 4
    assert json.loads((page / "manifest.json").read_text())["pictures"].keys() == {
        str(path.relative_to(page)) for path in before
    }
    (page / "exact-cross.png").unlink()
    small("--steps=1", "--sections", "exact", "gammas")
    after = {path: path.stat().st_mtime_ns for path in page.rglob("*.png")}
    assert {path.name for path in before if before[path] != after[path]} == {"exact-cross.png"}
    small("--steps=2", "--sections", "exact", "gammas")  # other settings: pictures anew, keyframes not
    last = {path: path.stat().st_mtime_ns for path in page.rglob("*.png")}
    assert {path for path in after if after[path] != last[path]} == set(page.glob("*.png"))
    assert not list((tmp_path / "work" / "shots").glob("*"))


def test_the_tracker_says_which_words_were_followed(small):
    page = small("--steps=1", "--passes=0", "--sections", "motions")
    text = (page / "README.md").read_text(encoding="utf-8")
    read = json.loads((page / "manifest.json").read_text())["results"]["motions of motions"]["value"]
    followed = sum(one == motion for one, motion in zip(read, Motion, strict=True))
    assert f"The tracker reads {followed} of 8 as asked" in text
    assert text.count(" is read as ") == 8 - followed


def test_without_the_tsr_model_it_says_what_to_do(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(weights, tmp_path / "weights", ignore=shutil.ignore_patterns("*-tsr*"))
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(InputError, match=r"toybox-tsr\.safetensors.*not there.*--passes 0"):
        main([f"--out={tmp_path / 'page'}"])
    assert not (tmp_path / "page").exists()


def test_every_command_is_one_of_the_program_and_asks_for_the_same(material: Material):
    animate = typer.main.get_command(app).commands["animate"]
    defaults = {"passes": 2, "exact_keyframe": False}  # what None means with the embedded models
    asks = [ask for make in SECTIONS.values() for sheet in make(material).sheets for ask in sheet.asks]
    assert len(asks) > 50
    for ask in asks:
        words = shlex.split(command(ask, "clip.mp4", SamplingConfig(), TSR_SAMPLING))
        given = animate.make_context("animate", words[2:], obj={}).params
        assert (given["prompt"], given["seed"], str(given["image"])) == (ask.prompt, ask.seed, ask.keyframe.file)
        for name, value in ask.shot.to_dict().items():
            assert (defaults.get(name) if given[name] is None else given[name]) == value
    (line,) = [command(replace(asks[0], label=""), "x.mp4", SamplingConfig(steps=3), TSR_SAMPLING)]
    assert "--steps 3" in line


def test_names_are_unique_and_keyframes_of_one_name_are_one_picture(material: Material):
    made = [make(material) for make in SECTIONS.values()]
    sheets = [sheet for section in made for sheet in section.sheets]
    assert len({sheet.name for sheet in sheets}) == len(sheets)
    pictures: dict[str, np.ndarray] = {}
    for ask in (ask for sheet in sheets for ask in sheet.asks):
        assert np.array_equal(pictures.setdefault(ask.keyframe.name, ask.keyframe.picture), ask.keyframe.picture)


def test_true_clips_of_the_scenes_stay_in_view():
    """What the page asks for can be drawn: a failure is the model's."""
    first, last = frame_times(9, 2.0, 0), frame_times(9, 2.0, 8)
    assert all(replace(sections.TRIANGLE, motion=motion).in_view(TIMES) for motion in Motion)
    assert all(replace(s, speed=speed).in_view(TIMES) for s in (sections.CROSS, sections.SQUARE) for speed in Speed)
    assert sections.SQUARE.in_view(first)
    assert sections.SQUARE.in_view(last)
    assert sections.CIRCLE.in_view([max(sections.DIAL) * t for t in TIMES])
    assert sections.CROSS.in_view(frame_times(25, 2.0, 12))
    assert sections.STAR.in_view(TIMES)
    scenes = [sections.TRIANGLE, sections.CROSS, sections.SQUARE, sections.CIRCLE, sections.STAR]
    assert not any(scene.held_out for scene in scenes)
    assert not any(replace(sections.TRIANGLE, motion=motion).held_out for motion in Motion)


def test_a_joined_loop_needs_passes_and_the_others_do_not(material: Material):
    loops = [ask.shot.loop for sheet in SECTIONS["loops"](material).sheets for ask in sheet.asks]
    assert loops == [Loop.JOIN, Loop.PING_PONG, Loop.NONE]
    without = SECTIONS["loops"](replace(material, passes=0))
    assert [ask.shot.loop for sheet in without.sheets for ask in sheet.asks] == [Loop.PING_PONG, Loop.NONE]


def test_examples_are_right_and_varied_and_failures_wrong(material: Material):
    triples, seen = material.triples, [Seen.from_record(record) for record in material.read()]
    trained, held_out = right(triples, seen, False), right(triples, seen, True)
    assert all(i % 4 for i in (*trained, *held_out))
    assert len(trained) == len(held_out) == 36
    chosen = varied(triples, trained, 8)
    assert len(set(chosen)) == 8
    for name, least in zip(ATTRIBUTES, (6, 4, 4, 4, 2), strict=True):  # 6 motions are ever right here
        assert len({getattr(triples[i].scene, name) for i in chosen}) >= least
    assert varied(triples, trained, 8) == chosen
    some, count = wrong(triples, seen, 6)
    assert count == 24
    assert len(some) == 6
    assert all(i % 4 == 0 for i in some)
    texts = [sheet.caption for sheet in SECTIONS["failures"](material).sheets]
    assert all("still" in text for text in texts)
    held = [sheet for sheet in SECTIONS["best"](material).sheets if "Held out" in sheet.caption]
    assert len(held) == 4


def test_gamma_repairs_the_mean_in_closed_form():
    """The mean that pure noise loses is rho z_c sqrt(V / (V + sigma_max^2)); gamma = rho / sigma_max restores it."""
    lost = RHO * KEYFRAME * (VARIANCE / (VARIANCE + SD_SIGMA_MAX**2)) ** 0.5
    assert mean_error(0.0) == pytest.approx(-lost, rel=0.02)  # the sampler's own error, at 100 steps
    assert abs(mean_error(RHO / SD_SIGMA_MAX)) < 1e-4
    assert mean_error(0.1) == pytest.approx(2 * mean_error(0.05) - mean_error(0.0), abs=1e-9)  # linear in gamma


def test_pictures_keep_their_times_and_places(tmp_path: Path):
    frames = np.zeros((33, 16, 24, 3), np.uint8)
    frames[np.arange(33), :, np.arange(24).repeat(2)[:33]] = 255  # a line that moves
    frames[1::2] += 20
    write_webp(tmp_path / "clip.webp", frames, 32.0, hold=500)
    shown = times_of(tmp_path / "clip.webp")
    assert len(shown) == 33
    assert set(shown[:-1]) <= {31, 32}
    assert sum(shown) == round(33 * 1000 / 32) + 500
    assert len(at_rate(frames[:9], 2.0, 32.0)) == 144
    sheet = side_by_side([frames[:1], frames, frames[:5] + 1], columns=2)
    assert sheet.shape == (33, 2 * 16 + GAP, 2 * 24 + GAP, 3)
    assert (sheet[:, :16, :24] == frames[0]).all()
    assert (sheet[:, :16, 24 + GAP :] == frames).all()
    assert (sheet[5:, 16 + GAP :, :24] == frames[4] + 1).all()  # the last frame stays
    assert (sheet[:, 16 + GAP :, 24 + GAP :] == 255).all()
    assert landscape().shape == (128, 192, 3)
    assert np.array_equal(landscape(), landscape())


def test_an_album_removes_what_the_page_no_longer_shows(tmp_path: Path):
    album = Album(tmp_path)
    for name in ("a.txt", "b.txt"):
        assert album.picture(name, {"of": name}, lambda path: path.write_text("x"))
    (tmp_path / "mine.txt").write_text("kept: nothing of this program's")
    album = Album(tmp_path)
    album.prune(["a.txt"])
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "mine.txt", "manifest.json"}
    assert not Album(tmp_path).picture("a.txt", {"of": "a.txt"}, lambda path: path.write_text("y"))
    assert album.result("n", [1], lambda: 5) == Album(tmp_path).result("n", [1], lambda: 6) == 5
    assert Album(tmp_path).result("n", [2], lambda: 6) == 6
