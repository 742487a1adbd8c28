"""The program teaches a motion: a folder of clips in, a file and a sheet out, a picture moved; and what is refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from animating import frames, refused
from animating import run as animate
from numpy.typing import NDArray
from PIL import Image

from microcinema_core import cli
from microcinema_core.footage import clips as reading
from microcinema_core.media import save_clip
from microcinema_core.motion.taught import Taught

HIGH, WIDE, FPS, FRAMES = 64, 80, 12.0, 30
RATE = 1.5
GOOD = Taught(0.02, ((RATE, 1.0, 0.0, 0.2, 1.0, 0.0),))


@cache
def texture(width: int = 2 * WIDE, height: int = 2 * HIGH) -> NDArray[np.uint8]:
    small = np.random.default_rng(3).integers(0, 255, (height // 4, width // 4), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def clip(far: float = 1.5, away: float = 0.0, camera: float = 0.0, scale: int = 1, count: int = FRAMES) -> Any:
    """Waves go through the middle of a texture, which may flow away; the camera may shake."""
    y, x = np.mgrid[:HIGH, :WIDE].astype(float)
    there = np.clip(np.minimum(np.minimum(x - 14, 66 - x), np.minimum(y - 12, 52 - y)) / 4, 0, 1)
    made = []
    for t in np.arange(count) / FPS:
        down = there * (far * np.sin(2 * np.pi * (RATE * t - x / 40)) + away * t)
        side = camera * np.sin(2 * np.pi * 0.8 * t)
        at = np.clip(np.rint(2 * (y - down)), 0, 2 * HIGH - 1).astype(int)
        made.append(texture()[at, np.clip(np.rint(2 * (x - side)), 0, 2 * WIDE - 1).astype(int)])
    grey = np.repeat(np.repeat(np.stack(made), scale, 1), scale, 2)
    return np.repeat(grey[..., None], 3, 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of one clip, a picture and a mask of its middle."""
    monkeypatch.chdir(tmp_path)
    save_clip("clips/a.mp4", clip(), FPS, {})
    Image.fromarray(np.repeat(texture()[:HIGH, :WIDE, None], 3, 2)).save("key.png")
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[10:54, 12:68] = 255
    Image.fromarray(mask).save("mask.png")
    return tmp_path


def teach(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert cli.run(["teach", *words]) == code
    return capsys.readouterr()


def test_a_folder_of_clips_moves_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, notes = teach(capsys, "clips", "--out=wave.json", "--json")
    told = json.loads(out)
    assert told["rates"][0] == pytest.approx(RATE, abs=0.1)
    assert told["clips"] == 1
    assert "1 clips are few" in notes
    assert Image.open("wave.png").size[0] >= 360
    assert Taught.read(Path("wave.json")).size == told["size"]
    animate("key.png", "--layer=taught:file=wave.json,amount=2,mask=mask.png", "--frames=6", "--fps=12", "--out=a/")
    key, mask = np.asarray(Image.open("key.png")), np.asarray(Image.open("mask.png")) > 0
    made = frames("a/*").astype(int)
    assert (made[:, ~mask] == key[~mask]).all()
    assert np.abs(np.diff(made[:, mask], axis=0)).max() > 10


def test_a_layer_and_its_file_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    GOOD.write(Path("good.json"))
    for layer, said in (
        ("taught", "--layer taught: a taught layer needs its motion: give a file of `microcinema teach`"),
        ("snow:file=good.json", "--layer snow:file=good.json: snow takes no taught motion"),
        ("taught:file=", "file= names no file"),
        ("taught:file=none.json", "none.json: does not exist; give a motion that `microcinema teach` wrote"),
        ("taught:file=key.png", "key.png: is no text in UTF-8"),
        ("taught:file=good.json", "layer 1 (taught) needs a mask"),
    ):
        assert said in refused(capsys, "key.png", f"--layer={layer}", "--frames=2", "--out=a/")
    said = refused(capsys, "key.png", "--layer=taught:file=good.json,mask=mask.png", "--frames=2", "--out=good.json/")
    assert "good.json" in said


def test_folders_that_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty").mkdir()
    monkeypatch.setattr(reading, "MOST", 0)
    for place, said in (
        ("none", "none: is no folder; give one that holds short clips"),
        ("key.png", "key.png: is no folder"),
        ("empty", "empty: holds no videos; put 8 to 20 short clips there"),
        ("clips", "clips: holds 1 videos; 0 are enough: take the others away"),
    ):
        assert said in teach(capsys, place, "--out=x.json", code=2)[1]
    assert not Path("x.json").exists()


def test_a_clip_that_cannot_be_used_is_left_out_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("clips/b.mp4").write_bytes(b"hello")
    save_clip("clips/c.mp4", clip(count=8), FPS, {})
    save_clip("clips/d.mp4", clip(far=0), FPS, {})
    save_clip("clips/e.mp4", clip(far=0, away=9), FPS, {})
    save_clip("clips/f.gif", clip(count=20), 0.5, {})
    out, notes = teach(capsys, "clips", "--out=x.json")
    assert out.startswith("x.json: 1 clips, 5 left out; it moves 1.")
    lines = [line for line in notes.splitlines() if "left out: " in line]
    for line, said in zip(
        lines, ("cannot be read as a video", "too short", "nothing moves", "flows on", "too slow"), strict=True
    ):
        assert said in line
    Path("clips/a.mp4").unlink()
    assert "clips: none of its 5 clips can be used; the first: clips/b.mp4: cannot be read" in teach(
        capsys, "clips", "--out=y.json", code=2
    )[1].replace("\\", "/")
    assert not Path("y.json").exists()


def test_clips_of_several_sizes_and_a_camera_that_moves(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_clip("clips/b.mp4", clip(scale=2), 1.5 * FPS, {})
    save_clip("clips/c.mp4", clip(camera=3), FPS, {})
    white = Image.open("mask.png")
    white.save("clips/c.png")
    notes = teach(capsys, "clips", "--out=x.json")[1]
    assert "c.mp4: the camera moves; its motion was taken out" in notes
    assert "left out" not in notes
    assert Taught.read(Path("x.json")).clips == 3


def test_masks_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("clips/a.png").write_bytes(b"hello")
    assert "a.png" in teach(capsys, "clips", "--out=x.json", code=2)[1]
    Image.new("L", (WIDE, WIDE), 255).save("clips/a.png")
    assert (
        f"the mask is {WIDE}x{WIDE}, of another shape than a.mp4" in teach(capsys, "clips", "--out=x.json", code=2)[1]
    )
    Image.new("L", (WIDE, HIGH), 0).save("clips/a.png")
    assert "nothing is white in the mask; paint where" in teach(capsys, "clips", "--out=x.json", code=2)[1]


def test_places_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "x.mp4: must end in .json" in teach(capsys, "clips", "--out=x.mp4", code=2)[1]
    Path("clips/a.json").touch()
    assert "is the source itself, or a part of it" in teach(capsys, "clips", "--out=clips/a.json", code=2)[1]
    assert "must end in .png" in teach(capsys, "clips", "--out=x.json", "--sheet=x.gif", code=2)[1]
    assert "must end in .json" in teach(capsys, "clips", "--out=.", code=2)[1]
    assert "would be read as a mask" in teach(capsys, "clips", "--out=clips/b.json", code=2)[1]
