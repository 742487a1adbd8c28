"""`animate --fill`: a model makes up what plates lack, once for all frames."""

from pathlib import Path

import numpy as np
import pytest
from animating import frames, refused, result
from PIL import Image
from small_models import write_fill

from microcinema_core.config import Kind
from microcinema_core.media import read_settings


@pytest.fixture
def folder(stages: dict[Kind, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a picture and a fill model."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save("key.png")
    write_fill(tmp_path, stages)
    return tmp_path


def test_a_model_fills_what_the_camera_uncovers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked, model = ("key.png", "--horizontal=0.3", "--frames=5", "--keyframe-at=first"), "--fill=small-fill.safetensors"
    for out, more in (("a", ()), ("b", (model,)), ("c", (model, "--seed=1"))):
        result(capsys, *asked, *more, f"--out={out}/")
    plain, ours, other = (frames(f"{out}/*.png") for out in "abc")
    assert np.array_equal(ours[0], plain[0])  # the keyframe
    assert not np.array_equal(ours[-1], plain[-1])
    assert not np.array_equal(ours[-1], other[-1])
    sides = (slice(0, 40), slice(-40, None))  # on one of them the last frame shows what the picture has
    assert any(np.array_equal(ours[-1][:, side], plain[-1][:, side]) for side in sides)
    told = read_settings(next(iter(sorted((folder / "c").glob("*.png")))))
    assert told["fill"] == {"model": "small-fill.safetensors", "seed": 1}


def test_what_cannot_fill_is_refused(
    folder: Path, stages: dict[Kind, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("key.png", "--horizontal=0.3", "--out=a.mp4")
    assert "that fills nothing" in refused(capsys, *asked, f"--fill={stages[Kind.VIDEO]}")
    assert "does not exist" in refused(capsys, *asked, "--fill=missing.safetensors")
    assert "leave one out" in refused(capsys, *asked, "--fill=small-fill.safetensors", "--plates-in=b")
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(folder))
    monkeypatch.setattr("microcinema_core.checkpoint.embedded.START", folder)
    assert "pocket-fill.safetensors: the embedded fill model is not there" in refused(capsys, *asked, "--fill=pocket")
    said = refused(capsys, *asked, "--model=toybox", "--prompt=a star", "--fill=small-fill.safetensors")
    assert "--fill is for the camera alone" in said
