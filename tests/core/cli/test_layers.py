"""The program draws layers: options, words, plans, masks out and in, places that are not there; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from animating import frames, refused, result, run
from PIL import Image

from microcinema_core.cli.layers import ToldLayer
from microcinema_core.media import read_settings
from microcinema_core.motion.layer import Layer, LayerKind, Place
from microcinema_core.motion.plan import MAX_LAYERS
from microcinema_core.places import find as finding

ROOT = Path(__file__).parents[3]
LAKE = ROOT / "assets" / "pictures" / "lake.jpg"
WIDE, HIGH = 96, 64
PLAN = {"format": "microcinema.motion", "version": 1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a picture of nothing, a mask of its middle, and a lake."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(60, 190, (HIGH // 8, WIDE // 8, 3), np.uint8)
    Image.fromarray(noise).resize((WIDE, HIGH), Image.Resampling.BICUBIC).save("key.png")
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[24:40, 32:64] = 255
    Image.fromarray(mask).save("mask.png")
    Image.open(LAKE).resize((288, 144), Image.Resampling.LANCZOS).save("lake.png")
    return tmp_path


def test_options_words_and_a_plan_draw_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = ["key.png", "--frames=3", "--fps=4"]
    run(*still, "--layer=snow:amount=0.7,speed=0.7,direction=left", "--out=a/")
    plan = PLAN | {"layers": [{"kind": "snow", "amount": 0.7, "speed": 0.7, "direction": 180.0}]}
    Path("plan.json").write_text(json.dumps(plan))
    found, notes = result(capsys, *still, "--plan=plan.json", "--out=b/")
    assert np.array_equal(frames("a/*"), frames("b/*"))
    assert (frames("a/*")[1] != frames("a/*")[0]).any()
    assert found["plan"]["layers"] == plan["layers"]
    assert "drawn: snow amount 0.7, speed 0.7, direction 180" in notes


def test_words_are_said_with_what_they_mean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "snow falls softly as the camera pans right, no rain, a dog runs"
    found, notes = result(capsys, "key.png", f"--prompt={words}", "--frames=3", "--out=a.gif")
    assert [layer["kind"] for layer in found["plan"]["layers"]] == ["snow"]
    assert found["plan"]["camera"].keys() == {"pan"}
    means = {one["text"]: one["means"] for one in found["words"]}
    assert means["no rain"] == "no rain"
    assert means["snow falls softly"].startswith("snow amount")
    assert "snow falls softly = snow amount" in notes
    assert "the rest of the prompt needs a video model" in notes
    assert read_settings("a.gif")["words"] == found["words"]


def test_an_option_takes_the_place_of_its_word(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--prompt=snow falls, fog drifts", "--layer=snow:amount=0.2", "--seed=5", "--frames=2"]
    found, _ = result(capsys, *asked, "--out=a.gif")
    fog, snow = found["plan"]["layers"]
    assert (fog["kind"], fog["seed"]) == ("fog", 5)
    assert (snow["kind"], snow["amount"]) == ("snow", 0.2)


def test_layers_alone_leave_the_camera_still(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, notes = result(capsys, "key.png", "--layer=vignette", "--frames=2", "--out=a.gif")
    assert "camera" not in found["plan"]
    assert "pushes in" not in notes


def test_nothing_of_nothing_is_drawn(folder: Path) -> None:
    run("key.png", "--layer=snow:amount=0", "--prompt=the camera is still", "--frames=2", "--out=a/")
    assert np.array_equal(frames("a/*")[0], np.asarray(Image.open("key.png")))


def test_a_mask_says_where(folder: Path) -> None:
    run("key.png", "--layer=darker:amount=2,mask=mask.png", "--frames=2", "--out=a/")
    key, mask = np.asarray(Image.open("key.png")), np.asarray(Image.open("mask.png")) > 0
    made = frames("a/*")[1]
    assert np.array_equal(made[~mask], key[~mask])
    assert (made[mask] < key[mask]).all()


def test_a_plans_layer_has_its_mask_by_number(folder: Path) -> None:
    layers = [{"kind": "snow", "amount": 0}, {"kind": "darker", "amount": 2}]
    Path("plan.json").write_text(json.dumps(PLAN | {"layers": layers}))
    run("key.png", "--plan=plan.json", "--layer=2:mask=mask.png", "--frames=2", "--out=a/")
    run("key.png", "--layer=darker:amount=2,mask=mask.png", "--frames=2", "--out=b/")
    assert np.array_equal(frames("a/*"), frames("b/*"))


def test_a_lake_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "the lake ripples, clouds drift left"
    found, notes = result(capsys, "lake.png", f"--prompt={words}", "--frames=3", "--fps=2", "--out=a/")
    assert found["places"]["water"]["found"]
    assert found["places"]["sky"]["found"]
    assert 0.05 < found["places"]["sky"]["area"] < 0.6
    assert "found: sky" in notes
    moved = (frames("a/*")[2].astype(int) != frames("a/*")[0]).any(axis=2)
    assert moved[110:].mean() > 0.2
    assert moved[:20].mean() > 0.2


def test_masks_go_out_and_come_back_corrected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["lake.png", "--layer=waves", "--frames=2", "--fps=2"]
    found, notes = result(capsys, *asked, "--masks-out=masks", "--out=a/")
    assert found["masks"] == "masks"
    assert "--masks-in masks" in notes
    assert {path.name for path in Path("masks").iterdir()} == {"sky.png", "water.png", "plants.png", "people.png"}
    for read in ("--masks-in=masks", "--layer=snow:mask=masks/sky.png"):
        assert "would be replaced there" in refused(capsys, *asked, read, "--masks-out=masks", "--out=b/")
    run(*asked, "--masks-in=masks", "--out=b/")
    change = np.abs(
        frames("a/*").astype(int) - frames("b/*")
    )  # the mask has 8 bits as a file: a few pixels' edge moves
    assert np.quantile(change, 0.99) <= 2
    assert change.mean() < 0.1
    water = np.zeros((144, 288), np.uint8)
    water[120:, :100] = 255
    Image.fromarray(water).save("masks/water.png")
    run(*asked, "--masks-in=masks", "--out=c/")
    key = np.asarray(Image.open("lake.png"))
    moved = (frames("c/*")[1] != key).any(axis=2)
    assert moved[120:, :100].any()
    assert not moved[water == 0].any()


def test_a_place_that_is_not_there_names_the_ways_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.open(ROOT / "assets/pictures/coffee.jpg").resize((WIDE, HIGH)).save("cup.png")
    said = refused(capsys, "cup.png", "--layer=clouds", "--frames=2", "--out=a/")
    assert said.startswith("layer 1 (clouds) belongs to the sky, and none was found in this picture")
    assert all(way in said for way in ("mask=FILE.png", "--masks-in", "--everywhere", "place=everywhere"))
    run("cup.png", "--layer=clouds", "--everywhere", "--frames=2", "--out=a/")
    run("cup.png", "--layer=clouds:place=everywhere", "--frames=2", "--out=b/")
    assert np.array_equal(frames("a/*"), frames("b/*"))
    Image.new("L", (WIDE, HIGH), 0).save("black.png")
    Path("masks").mkdir()
    Path("black.png").rename("masks/sky.png")
    assert "is empty" in refused(capsys, "cup.png", "--layer=clouds", "--masks-in=masks", "--out=c/")


def test_a_preview_shows_frames_and_places(folder: Path) -> None:
    run("lake.png", "--layer=waves", "--frames=9", "--fps=2", "--preview", "--contact-sheet=sheet.png")
    plain = ["lake.png", "--layer=snow", "--frames=9", "--fps=2", "--preview", "--contact-sheet=plain.png"]
    run(*plain)
    tile = Image.open("sheet.png").size[1]
    assert Image.open("sheet.png").size != Image.open("plain.png").size or tile > 144


BAD_LAYERS = {
    "nonsense": "'nonsense' is no kind of layer; there are snow, rain",
    "": "'' is no kind of layer",
    "snow:": "'' is not KEY=VALUE; the keys are amount",
    "snow:amount": "'amount' is not KEY=VALUE",
    "snow:depth=1": "unknown key 'depth'",
    "snow:amount=1,amount=2": "amount is given twice",
    "snow:amount=much": "amount must be a number, got 'much'",
    "snow:amount=nan": "amount must be a number, got 'nan'",
    "snow:amount=inf": "amount must be a number, got 'inf'",
    "snow:amount=-1": "amount must be between 0 and 10, got -1",
    "snow:amount=1e999": "amount must be between 0 and 10, got inf",
    f"snow:amount={'9' * 5000}": "amount must be a number",
    "snow:seed=1.5": "seed must be a whole number",
    "snow:seed=-1": "seed must be between 0 and",
    "snow:direction=sideways": "direction must be a number, got 'sideways', or one of right, up-right",
    "snow:direction=720": "direction must be between -360 and 360 degrees",
    "snow:colour=red": "a colour is written #rrggbb, as #ff8800, got 'red'",
    "snow:colour=#12345": "a colour is written #rrggbb",
    "snow:place=here": "'here' is no place; there are everywhere, sky",
    "snow:x=0.5": "x and y say together where it is; give both",
    "snow:x=0.5,y=1000": "is two numbers, x and y, between -10 and 10",
    "snow:mask=": "mask= names no file",
    "snow:mask=missing.png": "missing.png: does not exist",
    "snow:mask=text.png": "text.png: not a picture of a known kind",
    "snow:mask=small.png": "small.png: the mask is 9x9, the picture 96x64",
    "snow:mask=black.png": "black.png: the mask is empty",
    "swing": "layer 1 (swing) needs a mask",
    "falls": "layer 1 (falls) needs a mask",
    "1:mask=mask.png": "--layer 1:mask=mask.png: the plan has 0 layers",
    "1:amount=2": "unknown key 'amount'; the keys are mask",
    "x" * 5000: "is no kind of layer",
}


@pytest.mark.parametrize("layer", BAD_LAYERS, ids=lambda text: text[:30] or "empty")
def test_layers_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str], layer: str) -> None:
    Path("text.png").write_text("no picture")
    Image.new("L", (9, 9), 255).save("small.png")
    Image.new("L", (WIDE, HIGH), 0).save("black.png")
    said = refused(capsys, "key.png", f"--layer={layer}", "--out=a.mp4")
    assert BAD_LAYERS[layer] in said
    assert len(said) < 1500


BAD_PLANS = {
    "a kind that is none": ([{"kind": "hail"}], "plan.json.layers[0].kind: 'hail' is none of snow"),
    "no kind": ([{}], "kind"),
    "a negative amount": ([{"kind": "snow", "amount": -1}], "amount must be between 0 and 10"),
    "NaN": ([{"kind": "snow", "amount": float("nan")}], "expected a number, got nan"),
    "a colour of two": ([{"kind": "snow", "colour": [1, 1]}], "a layer's colour is red, green and blue"),
    "a file": ([{"kind": "snow", "mask": "/etc/passwd"}], "unknown key 'mask'"),
    "no list": ({"kind": "snow"}, "expected a list"),
    "too many": ([{"kind": "snow"}] * (MAX_LAYERS + 1), f"{MAX_LAYERS + 1} layers are too many; give {MAX_LAYERS}"),
    "a megabyte": ([{"kind": "snow"}] * 100_000, "is too long"),
}


@pytest.mark.parametrize("plan", BAD_PLANS)
def test_plans_with_layers_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str], plan: str) -> None:
    layers, message = BAD_PLANS[plan]
    Path("plan.json").write_text(json.dumps(PLAN | {"layers": layers}))
    assert message in refused(capsys, "key.png", "--plan=plan.json", "--out=a.mp4")


def test_folders_of_masks_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--layer=snow", "--frames=2", "--out=a/"]
    assert "is no folder" in refused(capsys, *asked, "--masks-in=none")
    Path("others").mkdir()
    Path("others/letter.txt").write_text("mine")
    assert "holds none of sky.png" in refused(capsys, *asked, "--masks-in=others")
    assert "holds other files than masks" in refused(capsys, *asked, "--masks-out=others")
    Image.new("L", (9, 9), 255).save("others/sky.png")
    Path("others/letter.txt").unlink()
    assert "sky.png: the mask is 9x9, the picture 96x64" in refused(capsys, *asked, "--masks-in=others")
    assert "was not made by microcinema" in refused(capsys, *asked, "--masks-out=others")


def test_what_is_read_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--layer=snow:mask=mask.png", "--frames=2"]
    assert "mask.png" in refused(capsys, *asked, "--out=a/", "--contact-sheet=mask.png")


@pytest.mark.parametrize("size", [(1, 1), (3, 700)])
def test_odd_pictures_are_drawn_into(folder: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (90, 120, 150)).save("odd.png")
    layers = [f"--layer={kind}" for kind in ("snow", "rain", "fog", "night", "waves", "wind", "clouds", "stars")]
    run("odd.png", *layers, "--everywhere", "--frames=2", "--width=64", "--height=64", "--out=a/")
    assert frames("a/*").shape == (2, 64, 64, 3)


@pytest.mark.slow
def test_the_largest_picture_is_drawn_into(folder: Path) -> None:
    Image.linear_gradient("L").resize((8192, 8192)).convert("RGB").save("large.png", compress_level=1)
    layers = [f"--layer={kind}" for kind in ("snow", "fog", "waves", "clouds")]
    run("large.png", *layers, "--everywhere", "--frames=1", "--width=512", "--out=a/")
    assert frames("a/*").shape == (1, 512, 512, 3)


def test_as_many_particles_as_can_be_asked_for(folder: Path) -> None:
    """Ten times as much of everything a tenth as large: still drawn."""
    run("key.png", "--layer=dust:amount=10,size=0.1", "--layer=snow:amount=10,size=0.1", "--frames=2", "--out=a/")
    assert frames("a/*").std() > 0


def test_an_option_as_text() -> None:
    assert ToldLayer.parse("snow").layer == Layer(LayerKind.SNOW)
    told = ToldLayer.parse("swing:mask=C:\\a.png,x=0.5,y=-1,colour=#ff0000,place=sky,direction=up-left")
    assert told.mask == Path("C:\\a.png")
    assert told.layer == Layer(
        LayerKind.SWING, direction=135.0, place=Place.SKY, colour=(1.0, 0.0, 0.0), at=(0.5, -1.0)
    )
    assert ToldLayer.parse("2:mask=a.png") == ToldLayer(None, Path("a.png"), 2)


def test_nothing_is_looked_for_that_nobody_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("looked for places")

    monkeypatch.setattr(finding, "embedded", never)
    run("key.png", "--layer=vignette", "--layer=waves:mask=mask.png", "--frames=2", "--out=a/")
