"""The program paints: which words, where, what is said of it, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from animating import frames, refused, result, run
from PIL import Image

from microcinema_core import cli
from microcinema_core.checkpoint.embedded import POCKET, embedded
from microcinema_core.cli.painting import KNOWN, painted_words
from microcinema_core.config import Kind
from microcinema_core.errors import InputError
from microcinema_core.media import read_settings
from microcinema_core.motion.layer import LayerKind
from microcinema_core.motion.words import read_words

CUP = Path(__file__).parents[3] / "assets" / "pictures" / "coffee.jpg"
WIDE, HIGH = 96, 64
QUICK = ["--steps=1", "--frames=5", "--fps=4"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pocket: Path) -> Path:
    """A working directory with a picture, a mask of its left half, and a small model for the embedded one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(pocket))
    noise = np.random.default_rng(0).integers(60, 190, (HIGH // 8, WIDE // 8, 3), np.uint8)
    Image.fromarray(noise).resize((WIDE, HIGH), Image.Resampling.BICUBIC).save("key.png")
    Image.open(CUP).resize((WIDE, HIGH)).save("cup.png")
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[:, : WIDE // 2] = 255
    Image.fromarray(mask).save("left.png")
    return tmp_path


def test_words_are_painted_in_the_place_of_layers_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "thick fog drifts by, stars twinkle, the camera is still"
    asked = ["key.png", f"--prompt={words}", "--everywhere", *QUICK]
    found, notes = result(capsys, *asked, "--paint", "--seed=3", "--out=a/", "--contact-sheet=sheet.png")
    assert [layer["kind"] for layer in found["plan"]["layers"]] == ["stars"]
    assert found["painted"] == ["fog drifts by strongly"]
    told = {one["text"]: one.get("painted") for one in found["words"]}
    assert (told["thick fog drifts"], told["stars twinkle"]) == ("fog drifts by strongly", None)
    assert (found["model"], found["steps"], found["seed"]) == ("pocket-video.safetensors", 1, 3)
    assert "Pocket cannot paint stars, so that is drawn" in notes
    assert "painted: fog drifts by strongly" in notes
    assert read_settings(folder / "a" / "frame-0000.png")["words"] == found["words"]
    run(*asked, "--model=pocket", "--seed=3", "--out=b/")
    assert np.array_equal(frames("a/*"), frames("b/*"))
    capsys.readouterr()
    assert cli.run(["inspect", "a/frame-0000.png"]) == 0
    assert "fog drifts by strongly" in capsys.readouterr().out


def test_outside_the_mask_frames_are_the_camera_s(folder: Path) -> None:
    asked = ["key.png", "--prompt=it gets darker as the camera pans right", *QUICK]
    run(*asked, "--paint", "--paint-in=left.png", "--out=a/")
    run("key.png", "--prompt=the camera pans right", "--keyframe-at=centre", "--frames=5", "--fps=4", "--out=b/")
    painted, plain = frames("a/*").astype(int), frames("b/*").astype(int)
    # The pan of 12 degrees moves the line by a quarter of the width at most.
    right = np.abs(painted - plain)[:, :, 3 * WIDE // 4 + 2 :]
    assert right.max() <= 1
    assert np.abs(painted - plain)[2, :, : WIDE // 2 - 2].mean() > 3


def test_without_paint_the_same_words_are_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = result(capsys, "key.png", "--prompt=it snows", "--frames=2", "--out=a.gif")
    assert "painted" not in found
    assert "model" not in found
    assert [layer["kind"] for layer in found["plan"]["layers"]] == ["snow"]


def test_a_layer_of_an_option_is_drawn_and_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = result(
        capsys, "key.png", "--prompt=it snows, it rains", "--layer=snow:amount=0.2", *QUICK, "--paint", "--out=a.gif"
    )
    assert [layer["kind"] for layer in found["plan"]["layers"]] == ["snow"]
    assert found["painted"] == ["rain falls"]


def test_words_are_painted_beside_a_plan_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("plan.json").write_text('{"format": "microcinema.motion", "version": 1, "camera": {"pan": 3}}')
    asked = ["key.png", "--plan=plan.json", "--prompt=it snows", "--paint", *QUICK]
    found, _ = result(capsys, *asked, "--out=a.gif")
    assert found["plan"]["camera"] == {"pan": 3}
    assert found["painted"] == ["snow falls"]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("snow falls softly", ["snow falls gently"]),
        ("it rains hard", ["rain falls strongly"]),
        ("it gets darker", ["it gets darker"]),
        ("fog rolls in over the town", ["fog drifts in"]),
        ("candlelight flickers", ["the light flickers"]),
        ("an unsteady lamp", ["an unsteady lamp"]),  # which the grammar of layers does not read
        ("Golden light fills the scene, no snow", ["golden light fills the scene"]),
        ("wind moves the plants and it snows", ["wind moves the plants", "snow falls"]),
    ],
)
def test_what_the_model_is_told(prompt: str, told: list[str]) -> None:
    assert [one.told for one in painted_words(prompt, read_words(prompt))] == told


def test_where_a_learnt_sentence_belongs() -> None:
    (one,) = painted_words("leaves sway in the wind, a dark forest", read_words(""))
    assert (one.layer.kind, one.phrase.text) == (LayerKind.WIND, "leaves sway in the wind")


@pytest.mark.parametrize("prompt", ["a dog runs", "stars twinkle", "the camera pans right", "no snow"])
def test_what_cannot_be_painted_is_said_with_what_can(prompt: str) -> None:
    with pytest.raises(InputError) as error:
        painted_words(prompt, read_words(prompt))
    assert KNOWN in str(error.value)


PAINT = ["key.png", "--prompt=it snows", "--paint", "--out=a.gif"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([*PAINT, "--model=none"], "--paint needs a network, and --model none takes none"),
        (["key.png", "--paint", "--out=a.gif"], "give --prompt: what is to be painted"),
        (["--keyframe-prompt=a star", "--prompt=it snows", "--paint", "--out=a.gif"], "--paint is for a picture"),
        (["--keyframe-prompt=a star", "--prompt=it snows", "--model=none", "--out=a.gif"], "--model none is for a"),
        ([*PAINT, "--loop=ping-pong"], "what is painted cannot loop yet"),
        ([*PAINT, "--duration=8"], "the model paints 4 s at most"),
        ([*PAINT, "--extend-after=1"], "--extend-after is for a video model that makes the scene itself move"),
        ([*PAINT, "--exact-keyframe"], "--exact-keyframe is for a video model that makes the scene itself move"),
        ([*PAINT, "--grid=2"], "--grid is for a video model that makes the scene itself move"),
        ([*PAINT, "--preview"], "--preview shows what the camera alone does"),
        ([*PAINT, "--sampler=magic"], "sampler 'magic' does not exist"),
        ([*PAINT, "--lora=none.safetensors"], "none.safetensors"),
        ([*PAINT, "--paint-in=missing.png"], "missing.png: does not exist"),
        (["key.png", "--prompt=it snows", "--paint-in=left.png", "--out=a.gif"], "--paint-in says where --paint may"),
        (["key.png", "--prompt=a dog", "--paint", "--out=a.gif"], "nothing that Pocket paints"),
        (["cup.png", "--prompt=the water ripples", "--paint", "--out=a.gif"], "belongs to water, and none was found"),
        (["key.png", "--layer=wind", "--model=none", "--out=a.gif"], "--model none looks for nothing in the picture"),
        (["key.png", "--model=none", "--masks-out=m", "--out=a.gif"], "--masks-out writes what a network finds"),
        (["key.png", "--model=none", "--steps=3", "--out=a.gif"], "--steps is for a video model, and none was asked"),
    ],
)
def test_what_does_not_go_together(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], what: str
) -> None:
    assert what in refused(capsys, *words)


def test_a_model_that_does_not_paint(folder: Path, capsys: pytest.CaptureFixture[str], weights: Path) -> None:
    said = refused(capsys, *PAINT, f"--model={weights / 'toybox-video.safetensors'}")
    assert "toybox-video.safetensors: was not taught to paint" in said
    said = refused(capsys, *PAINT, f"--model={weights / 'toybox-image.safetensors'}")
    assert "toybox-image.safetensors" in said


def test_no_network_draws_what_needs_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object, **__: object) -> None:
        raise AssertionError("the network was run")

    run("key.png", "--layer=wind:mask=left.png", "--layer=vignette", "--frames=2", "--fps=4", "--out=a/")
    monkeypatch.setattr("microcinema_core.places.find.find", look)
    monkeypatch.setattr("microcinema_core.places.placing.find", look)
    asked = ["key.png", "--layer=wind:mask=left.png", "--layer=vignette", "--frames=2", "--fps=4"]
    run(*asked, "--model=none", "--out=b/")
    assert np.array_equal(frames("a/*"), frames("b/*"))
    run("key.png", "--layer=snow", "--model=none", "--frames=2", "--fps=4", "--out=c/")


@pytest.mark.parametrize("size", [(1, 1), (3, 700)])
def test_odd_pictures_are_painted_on(folder: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (90, 120, 150)).save("odd.png")
    run("odd.png", "--prompt=it snows", "--paint", "--steps=1", "--frames=2", "--fps=4", "--out=a/")
    assert frames("a/*").shape == (2, max(2, size[1]), 2, 3)


def test_the_embedded_files_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MICROCINEMA_WEIGHTS", raising=False)
    for kind in (Kind.VIDEO, Kind.AUTOENCODER, Kind.TEXT_ENCODER):
        assert embedded(kind, POCKET).name == f"pocket-{kind.word}.safetensors"
