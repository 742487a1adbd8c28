"""The camera's studies: what their pages say is what was made."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import typer

from microcinema_core.cli import app
from studies.camera import pictures, speed
from studies.layers.pictures import LAYERS

ROOT = Path(__file__).parents[2]


def test_every_clip_s_command_is_one_of_the_program() -> None:
    animate = typer.main.get_command(app).commands["animate"]
    for moving in (*pictures.README, *pictures.PAGE, *pictures.FAILURES, *LAYERS.front, *LAYERS.good, *LAYERS.bad):
        given = animate.make_context("animate", shlex.split(moving.command)[2:], obj={}).params
        assert Path(given["still"]) == pictures.ASSETS / moving.picture
        assert (ROOT / pictures.ASSETS / moving.picture).is_file()
        assert given["model"] is None


def test_the_page_is_what_the_study_writes() -> None:
    written = (ROOT / "docs" / "results" / "camera" / "README.md").read_text(encoding="utf-8")
    assert written == pictures.CAMERA.text
    living = (ROOT / "docs" / "results" / "layers" / "gallery.md").read_text(encoding="utf-8")
    assert living == LAYERS.text


def test_a_clip_becomes_a_small_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(pictures, "FPS", 1)
    path = pictures.make(pictures.PAGE[0], tmp_path)
    with Image.open(path) as made:
        assert (made.size, made.n_frames) == ((360, 180), 3)


def test_opencv_shows_the_same_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the ratio would compare different work."""
    monkeypatch.setattr(speed, "PICTURE", ROOT / speed.PICTURE)
    take, seen = speed.taken(96, 64, 3), []
    own = speed._laid
    monkeypatch.setattr(speed, "_laid", lambda *given: seen.append(own(*given)) or seen[-1])
    speed.by_opencv(take)
    for frame, theirs in zip(take.frames(range(3)), seen[1::2], strict=True):
        assert np.abs(frame.astype(int) - theirs)[8:-8, 8:-8].mean() < 4


def test_the_measure_is_of_the_whole_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "PICTURE", ROOT / speed.PICTURE)
    found = speed.measured("written", 64, 64, 3)
    assert found.keys() == {"seconds", "prepared", "processor", "peak", "busy"}
    assert min(found["seconds"], found["prepared"]) > 0
    assert found["peak"] > 50
