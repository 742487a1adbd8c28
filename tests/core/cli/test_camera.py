"""The program without a model: what moves, what is written and what is said; and what is refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from animating import frames, refused, result, run
from PIL import Image

from microcinema_core import cli
from microcinema_core.cli.directions import directed
from microcinema_core.cli.regions import Told
from microcinema_core.errors import InputError
from microcinema_core.media import read_mask, read_settings
from microcinema_core.motion.plan import Plan, Region
from microcinema_core.standalone import camera

WIDE, HIGH = 96, 64


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a picture and a mask of its middle."""
    monkeypatch.chdir(tmp_path)
    coarse = np.random.default_rng(0).integers(0, 256, (HIGH // 8, WIDE // 8, 3), np.uint8)
    Image.fromarray(coarse).resize((WIDE, HIGH), Image.Resampling.BICUBIC).save("key.png")
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[24:40, 32:64] = 255
    Image.fromarray(mask).save("mask.png")
    return tmp_path


def key() -> np.ndarray:
    return np.asarray(Image.open("key.png"))


def test_a_picture_moves_at_its_own_size_and_no_model_is_loaded(folder: Path) -> None:
    script = (
        "import sys; from microcinema_core.cli import run; code = run(['animate', 'key.png', '--out', 'clip.mp4']);"
        "heavy = {'diffusers', 'transformers', 'tokenizers', 'microcinema_core.models.unet'} & {*sys.modules};"
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clip.mp4: 129 frames of 96x64 at 32 fps, made in ")
    assert done.stderr.splitlines() == [
        "camera: zoom 1.12",
        "microcinema: note: nothing was asked of the camera, so it pushes in slowly; --help lists its moves",
    ]
    made = read_settings("clip.mp4")
    assert made["plan"]["camera"] == {"zoom": 1.12}
    assert made["keyframe"] == 0


def test_picture_and_image_are_the_same_and_go_not_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("key.png", "--pan=5", "--frames=3", "--out=a/")
    run("--image=key.png", "--pan=5", "--frames=3", "--out=b/")
    assert np.array_equal(frames("a/*"), frames("b/*"))
    assert "the same" in refused(capsys, "key.png", "--image=key.png", "--out=c/")
    assert refused(capsys, "--out=c/") == "give either a picture or --keyframe-prompt"


def test_words_are_read_where_no_dial_is_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["key.png", "--prompt=slow zoom in while a dog runs", "--frames=3", "--out=a.gif"]
    found, notes = result(capsys, *words)
    assert found["plan"]["camera"].keys() == {"zoom"}
    assert found["plan"]["camera"]["zoom"] > 1
    assert found["words"] == [{"text": "slow zoom in", "means": "zoom 1.12"}]
    assert "(read: slow zoom in = zoom 1.12)" in notes
    assert "the rest of the prompt needs a video model (--model)" in notes
    assert read_settings("a.gif")["words"] == found["words"]
    found, notes = result(capsys, *words, "--zoom=2", "--pan=3", "--prompt=slow zoom in")
    assert found["plan"]["camera"] == {"zoom": 2.0, "pan": 3.0}
    assert "--model" not in notes
    found, _ = result(capsys, *words, "--prompt=static shot")
    assert "camera" not in found["plan"]
    assert found["unknown"] == 0


def test_the_keyframe_is_there_bit_for_bit_where_it_is_asked_for(folder: Path) -> None:
    for at, index in (("first", 0), ("last", 8), ("centre", 4), ("6", 6)):
        run("key.png", "--horizontal=0.2", "--frames=9", f"--keyframe-at={at}", f"--out={at}-%d.png")
        shown = frames(f"{at}-*.png")
        assert [i for i in range(9) if np.array_equal(shown[i], key())] == [index]
        shutil.rmtree("unfinished", ignore_errors=True)


@pytest.mark.parametrize(
    ("dials", "index"),
    [(["--zoom=1.3"], 0), (["--dolly=0.2"], 0), (["--zoom=0.8"], 4), (["--dolly=-0.2"], 4), (["--pan=4"], 2)],
)
def test_where_nobody_places_it_it_is_where_least_is_made_up(folder: Path, dials: list[str], index: int) -> None:
    run("key.png", *dials, "--frames=5", "--out=a/")
    assert np.array_equal(frames("a/*")[index], key())


@pytest.mark.parametrize(
    ("words", "count", "fps"),
    [
        ([], 129, 32.0),
        (["--duration=2"], 64, 32.0),
        (["--duration=2", "--fps=25"], 50, 25.0),
        (["--fps=24"], 97, 24.0),
        (["--frames=7"], 7, 32.0),
        (["--frames=7", "--fps=23.976"], 7, 24000 / 1001),
        (["--loop=ping-pong"], 258, 32.0),
        (["--loop=join", "--duration=1"], 32, 32.0),
    ],
)
def test_rates_and_durations(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], count: int, fps: float
) -> None:
    found, _ = result(capsys, "key.png", "--out=a.mp4", *words)
    assert (found["frames"], found["fps"]) == (count, pytest.approx(fps))


def test_a_loop_goes_there_and_back_without_a_seam(folder: Path) -> None:
    run("key.png", "--horizontal=0.3", "--loop=ping-pong", "--frames=32", "--keyframe-at=first", "--out=a/")
    shown = frames("a/*").astype(int)
    assert np.array_equal(shown[0], key())
    assert np.array_equal(shown[1:16], shown[:16:-1])
    steps = np.abs(np.diff(np.concatenate([shown, shown[:1]]), axis=0)).mean(axis=(1, 2, 3))
    assert steps[-1] < steps.max() / 3  # eased: slowest where it turns
    assert steps[-1] == steps[0]


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([], (96, 64)),
        (["--width=64"], (64, 42)),
        (["--height=128"], (192, 128)),
        (["--width=70", "--height=70"], (70, 70)),
        (["--width=70", "--height=70", "--resize=pad"], (70, 70)),
        (["--width=70", "--height=70", "--resize=fit"], (70, 46)),
    ],
)
def test_sizes(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], size: tuple[int, int]) -> None:
    found, _ = result(capsys, "key.png", "--zoom=0.9", "--frames=2", "--out=a/", *words)
    assert (found["width"], found["height"]) == size
    assert frames("a/*").shape == (2, size[1], size[0], 3)


def test_odd_and_large_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (75, 1)).save("odd.png")
    found, notes = result(capsys, "odd.png", "--frames=2", "--out=a.mp4")
    assert (found["width"], found["height"]) == (74, 2)
    assert "is shown at" not in notes
    Image.new("RGB", (4000, 2000)).save("large.png")
    found, notes = result(capsys, "large.png", "--preview", "--out=a.mp4")
    assert (found["width"], found["height"]) == (288, 144)
    assert "a picture of 4000x2000 is shown at 2714x1356; --width or --height: more" in notes


def test_pad_shows_it_whole_and_crop_fills_the_frame(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = ["key.png", "--prompt=static shot", "--frames=2", "--width=64", "--height=64", "--out=a/"]
    found, _ = result(capsys, *still)
    assert found["unknown"] == 0
    found, _ = result(capsys, *still, "--resize=pad")
    assert found["unknown"] == pytest.approx(1 / 3, abs=0.02)


def test_a_region_goes_its_own_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, notes = result(
        capsys,
        "key.png",
        "--region=mask.png:horizontal=0.25,ease=linear",
        "--frames=9",
        "--keyframe-at=first",
        "--out=a/",
    )
    shown = frames("a/*")
    assert found["plan"]["regions"] == [{"horizontal": 0.25, "ease": "linear"}]
    assert "camera: still; 1 region\n" in notes
    assert np.array_equal(shown[0], key())
    # 24 pixels to the right: what it covers beside its soft edge is moved whole, and the rest stays.
    assert np.abs(shown[8, 26:38, 58:86].astype(int) - key()[26:38, 34:62]).max() <= 1
    assert np.array_equal(shown[8, :20], key()[:20])


def test_a_region_that_leaves_the_frame_is_a_note(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, notes = result(capsys, "key.png", "--region=mask.png:horizontal=3", "--frames=3", "--out=a/")
    assert "note: region 1 is outside the frame at frame 0" in notes
    _, notes = result(capsys, "key.png", "--region=mask.png:horizontal=0.1", "--frames=3", "--out=a/")
    assert "leaves" not in notes


def test_masks_are_the_opacity_or_else_the_brightness(folder: Path) -> None:
    grey = np.linspace(0, 255, HIGH * WIDE).reshape(HIGH, WIDE).astype(np.uint8)
    Image.fromarray(grey).save("grey.png")
    Image.fromarray(np.stack([255 - grey] * 3 + [np.full_like(grey, 255)], -1)).save("opaque.png")
    Image.fromarray(np.stack([255 - grey] * 3 + [grey], -1)).save("clear.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save("deep.png")
    expected = torch.from_numpy(grey / np.float32(255))
    assert torch.equal(read_mask(Path("grey.png")), expected)
    assert torch.allclose(read_mask(Path("opaque.png")), 1 - expected)
    assert torch.equal(read_mask(Path("clear.png")), expected)
    assert torch.allclose(read_mask(Path("deep.png")), expected)


PLAN = {
    "format": "microcinema.motion",
    "version": 1,
    "camera": {"zoom": 1.5, "roll": 10.0},
    "regions": [{"zoom": 1.2}, {"polygon": [[0.1, 0.1], [0.4, 0.1], [0.2, 0.5]], "roll": 20.0}],
    "ease": "linear",
    "keyframe_at": 1.0,
    "duration": 0.5,
}


def test_a_plan_with_its_masks_in_order_and_options_before_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("plan.json").write_text(json.dumps(PLAN))
    found, _ = result(
        capsys, "key.png", "--plan=plan.json", "--region=mask.png", "--roll=5", "--region=mask.png:order=3", "--out=a/",
        "--prompt=the camera pans left",
    )  # fmt: skip
    assert found["plan"] == PLAN | {
        "camera": {"zoom": 1.5, "roll": 5.0},
        "regions": [*PLAN["regions"], {"order": 3}],  # type: ignore[misc]
    }
    assert (found["frames"], found["keyframe"]) == (16, 15)
    assert Plan.from_json(json.dumps(found["plan"])) == directed_plan()
    assert "give its mask by --region" in refused(capsys, "key.png", "--plan=plan.json", "--out=b/")
    assert "1 regions that need one" in refused(
        capsys, "key.png", "--plan=plan.json", "--region=mask.png", "--region=mask.png", "--out=b/"
    )


def directed_plan() -> Plan:
    return Plan.from_json(json.dumps(read_settings("a")["plan"]))


def test_plates_go_out_and_come_back_filled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--horizontal=0.2", "--region=mask.png:horizontal=0.2"]
    run(*asked, "--plates-out=plates", "--json")
    out, err = capsys.readouterr()
    assert json.loads(out)["plates"] == "plates"
    assert "then give --plates-in plates" in err
    names = sorted(path.name for path in Path("plates").iterdir())
    assert names == ["fill-0.png", "fill-1.png", "plan.json", "plate-0.png", "plate-1.png"] or names == [
        "fill-0.png",
        "plan.json",
        "plate-0.png",
    ]
    assert Plan.from_json(Path("plates/plan.json").read_text()).regions == (Region(horizontal=0.2),)
    for plate in Path("plates").glob("plate-*.png"):
        picture, fill = np.array(Image.open(plate)), np.asarray(Image.open(plate.with_name(f"fill{plate.name[5:]}")))
        assert set(np.unique(fill)) <= {0, 255}
        assert picture.shape == fill.shape
        picture[fill == 255] = np.broadcast_to([255, 0, 255], picture.shape)[fill == 255]
        Image.fromarray(picture).save(plate)
    found, _ = result(capsys, *asked, "--plates-in=plates", "--frames=9", "--out=a/")
    assert found["unknown"] == 0
    shown = frames("a/*")
    assert np.array_equal(shown[4], key())
    for seen in (shown[8][32, -5], shown[0][32, 5]):  # beyond the edges, where a kernel still rings
        assert np.abs(seen.astype(int) - [255, 0, 255]).max() <= 4
    assert "was not made by microcinema" in refused(capsys, *asked, "--plates-out=plates")  # somebody's work now


def test_a_sheet_of_a_few_frames_in_place_of_the_clip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--horizontal=0.5", "--preview"]
    run(*asked, "--out=clip.mp4")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("clip-preview.png: 9 of 129 frames, made in ")
    assert lines[1].endswith("25.0, 22.9, 17.2, 9.2, 0.0, 9.2, 17.2, 22.9, 25.0 %")
    assert sorted(path.name for path in folder.iterdir()) == ["clip-preview.png", "key.png", "mask.png"]
    found, _ = result(capsys, *asked, "--contact-sheet=sheet.png", "--frames=3")
    assert found["preview_unknown"] == [0.25, 0.0, 0.25]
    assert found["preview_frames"] == [0, 1, 2]
    assert found["unknown"] == 0.25
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (3 * WIDE + 2 * 2, HIGH)


@pytest.mark.parametrize(
    "option",
    [
        "--steps=3", "--cfg=2", "--sampler=euler", "--gamma=0", "--strength=1", "--motion=1", "--share-attention",
        "--exact-keyframe", "--no-exact-keyframe", "--extend-before=0", "--extend-after=1", "--passes=2",
        "--tsr-steps=4", "--tsr-model=x.safetensors", "--resampling=blend", "--grid=1", "--attention=sdpa",
        "--precision=auto",
    ],
)  # fmt: skip
def test_what_means_something_to_a_model_alone(folder: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Also at its default: somebody who writes it wants a model."""
    name = option.partition("=")[0].replace("--no-exact", "--exact")
    said = refused(capsys, "key.png", option, "--out=a.mp4")
    assert said.startswith(f"{name} is for a video model, and none was asked for")
    assert "--model toybox" in said


BAD_REGIONS = {
    "mask.png:nonsense=1": "unknown key 'nonsense'; the keys are horizontal",
    "mask.png:polygon=1": "unknown key 'polygon'",
    "mask.png:zoom=1,zoom=2": "zoom is given twice",
    "mask.png:zoom": "'zoom' is not KEY=VALUE",
    "mask.png:zoom=1,,roll=2": "'' is not KEY=VALUE",
    "mask.png:": "'' is not KEY=VALUE",
    "mask.png:zoom=large": "zoom must be a number, got 'large'",
    "mask.png:zoom=nan": "zoom must be a number, got 'nan'",
    "mask.png:zoom=inf": "zoom must be a number, got 'inf'",
    "mask.png:zoom=1_0": "zoom must be a number",
    "mask.png:zoom=0": "zoom must be between 0.1 and 10, got 0",
    "mask.png:horizontal=1e999": "horizontal must be between -4 and 4, got inf",
    f"mask.png:horizontal={'9' * 5000}": "horizontal must be a number",
    "mask.png:order=1.5": "order must be a whole number",
    "mask.png:ease=bounce": "ease 'bounce' is none of linear",
    "missing.png:zoom=2": "missing.png: does not exist",
    "missing.png": "missing.png: is a mask alone, and there is no plan",
    "mask.png": "mask.png: is a mask alone, and there is no plan to need one",
    "text.png:zoom=2": "text.png: not a picture of a known kind",
    "small.png:zoom=2": "small.png: the mask is 9x9, the picture 96x64",
    "black.png:zoom=2": "black.png: the mask is empty",
}


@pytest.mark.parametrize("region", BAD_REGIONS)
def test_regions_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str], region: str) -> None:
    Path("text.png").write_text("no picture")
    Image.new("L", (9, 9), 255).save("small.png")
    Image.new("L", (WIDE, HIGH), 0).save("black.png")
    assert BAD_REGIONS[region] in refused(capsys, "key.png", f"--region={region}", "--out=a.mp4")


def test_a_name_with_a_colon_is_a_name(folder: Path) -> None:
    assert Told.parse(r"C:\mask.png") == Told(Path(r"C:\mask.png"), None)
    assert Told.parse(r"C:\mask.png:zoom=2") == Told(Path(r"C:\mask.png"), Region(zoom=2.0))
    assert Told.parse("a:b.png:zoom=2,order=-1") == Told(Path("a:b.png"), Region(zoom=2.0, order=-1))
    with pytest.raises(InputError, match=r"--region mask\.png:zoom: 'zoom' is not KEY=VALUE"):
        Told.parse("mask.png:zoom")


BAD_PLANS = {
    "no JSON": ("{", "is not JSON"),
    "no plan": ("[]", "is no motion plan"),
    "another format": ('{"format": "x"}', "is no motion plan"),
    "a later version": ('{"format": "microcinema.motion", "version": 2}', "version 2 is not known here"),
    "an unknown key": (json.dumps(PLAN | {"speed": 1}), "unknown key 'speed'"),
    "a file path": (json.dumps(PLAN | {"regions": [{"mask": "/etc/passwd"}]}), "unknown key 'mask'"),
    "NaN": (json.dumps(PLAN | {"camera": {"zoom": float("nan")}}), "expected a number, got nan"),
    "zoom 0": (json.dumps(PLAN | {"camera": {"zoom": 0}}), "zoom must be between 0.1 and 10, got 0"),
    "a field of view of 180": (json.dumps(PLAN | {"camera": {"fov": 180}}), "fov must be between 10 and 150 degrees"),
    "a million regions": (json.dumps(PLAN | {"regions": [{}] * 100_000}), "100000 regions are too many"),
    "brackets in brackets": ("[" * 100_000, "is not JSON"),
    "too long": (" " * 5_000_000, "is too long"),
    "no text": ("\udcff", "is no text in UTF-8"),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_plans_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text, message = BAD_PLANS[name]
    Path("plan.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    said = refused(capsys, "key.png", "--plan=plan.json", "--out=a.mp4")
    assert said.startswith("plan.json")
    assert message in said


NUMBERS = {
    "--zoom=0": "zoom must be between 0.1 and 10, got 0.0",
    "--zoom=nan": "zoom must be between 0.1 and 10, got nan",
    "--fov=180": "fov must be between 10 and 150 degrees, got 180.0",
    "--horizontal=inf": "horizontal must be between -2 and 2, got inf",
    "--dolly=1": "dolly must be between -4 and 0.9, got 1.0",
    "--shake=-1": "shake must be between 0 and 1, got -1.0",
    "--depth-planes=1000000": "planes must be between 2 and 64, got 1000000",
    "--frames=0": "frames must be between 1 and 256",
    "--fps=nan": "the frame rate must be above 0",
    "--duration=0": "the duration must be above 0",
    "--width=10": "width must be between 64 and 4096",
    "--keyframe-at=129": "an index from 0 to 128",
    "--keyframe-at=middle": "the keyframe's position must be centre, first, last",
    "--seed=-1": "seed must be between 0",
}


@pytest.mark.parametrize("option", NUMBERS)
def test_numbers_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert NUMBERS[option] in refused(capsys, "key.png", option, "--out=a.mp4")


def test_the_camera_runs_into_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "key.png", "--dolly=0.6", "--region=mask.png:distance=0.5", "--out=a.mp4")
    assert "runs into a region at distance 0.5" in said


def test_depth_pictures_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (WIDE, HIGH), 90).save("flat.png")
    Image.new("L", (9, 9), 90).save("small.png")
    asked = ["key.png", "--dolly=0.2", "--out=a.mp4"]
    assert "the depth picture is 9x9, of another shape than the picture, 96x64" in refused(
        capsys, *asked, "--depth=small.png"
    )
    assert "planes must be between 2 and 64" in refused(capsys, *asked, "--depth=flat.png", "--depth-planes=1000000")
    assert "is one grey all over" in refused(capsys, *asked, "--depth=flat.png")


def test_options_that_do_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in {
        ("--out=a.mp4", "--frames=3", "--duration=2"): "give either frames or a duration",
        ("--preview",): "give --out or --contact-sheet",
        ("--pan=1",): "give --out: where the clip goes",
        ("--plates-out=a", "--plates-in=b"): "--plates-out writes what is to be filled",
        ("--plates-out=a", "--preview"): "--plates-out writes what is to be filled",
        ("--model=toybox", "--prompt=x", "--out=a.mp4", "--preview"): "leave --model out",
        ("--model=toybox", "--out=a.mp4"): "give --prompt",
    }.items():
        assert message in refused(capsys, "key.png", *words)


def test_what_is_read_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("0", "1"):
        shutil.copy("mask.png", f"frame-000{number}.png")
        shutil.copy("key.png", f"plate-{number}.png")
    region = "--region=frame-0001.png:zoom=2"
    assert "would be replaced" in refused(capsys, "key.png", region, "--out=frame-%04d.png")
    assert "would be replaced" in refused(capsys, "key.png", "--plates-in=.", "--out=plate-%d.png")
    assert "would be replaced" in refused(capsys, "key.png", "--depth=frame-0001.png", "--out=frame-%04d.png")
    for option in ("--contact-sheet", "--preview"):
        words = [option, "--contact-sheet=mask.png"] if option == "--preview" else ["--contact-sheet=mask.png"]
        assert "is the source itself" in refused(capsys, "key.png", "--region=mask.png:zoom=2", "--out=a.mp4", *words)


def test_plates_go_into_a_folder_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--horizontal=0.2"]
    assert "holds other files than plates (" in refused(capsys, *asked, "--plates-out=.")
    Path("theirs").mkdir()
    shutil.copy("key.png", "theirs/plate-0.png")
    assert "plate-0.png: was not made by microcinema" in refused(capsys, *asked, "--plates-out=theirs")
    Path("theirs/plate-0.png").unlink()
    Path("theirs/plan.json").write_text("{}")
    assert "plan.json: was not made by microcinema" in refused(capsys, *asked, "--plates-out=theirs")
    assert "is a file, not a folder" in refused(capsys, *asked, "--plates-out=key.png")
    run(*asked, "--plates-out=ours")
    Path("ours/.hidden").write_text("")
    Image.open("ours/plate-0.png").save("ours/plate-7.png", pnginfo=None)
    assert "plate-7.png: was not made" in refused(capsys, *asked, "--plates-out=ours")
    Path("ours/plate-7.png").unlink()
    shutil.copy("ours/plate-0.png", "ours/plate-7.png")  # of an earlier plan with more of them
    run(*asked, "--plates-out=ours")
    assert sorted(p.name for p in Path("ours").iterdir()) == [".hidden", "fill-0.png", "plan.json", "plate-0.png"]


def test_plates_that_do_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["key.png", "--horizontal=0.2", "--out=a.mp4"]
    run("key.png", "--horizontal=0.2", "--plates-out=plates")
    assert "is no folder" in refused(capsys, *asked, "--plates-in=missing")
    Path("empty").mkdir()
    assert "plate-0.png: does not exist" in refused(capsys, *asked, "--plates-in=empty")
    shutil.copy("key.png", "empty/plate-0.png")
    assert f"plate-0.png: is {WIDE}x{HIGH}, this motion and picture need" in refused(
        capsys, *asked, "--plates-in=empty"
    )
    shutil.copy("plates/plate-0.png", "plates/plate-1.png")
    assert "the filled plates are 2 of" in refused(capsys, *asked, "--plates-in=plates")
    Path("plates/plate-1.png").write_text("text")
    assert "not a picture of a known kind" in refused(capsys, *asked, "--plates-in=plates")


def test_with_a_model_the_camera_leads_it(
    folder: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    asked = ["key.png", "--model=toybox", "--steps=1", "--cfg=1", "--frames=3", "--passes=0"]
    plain, notes = result(capsys, *asked, "--prompt=a red star", "--out=a/")
    assert "plan" not in plain
    assert notes == ""
    led, notes = result(capsys, *asked, "--prompt=a red star", "--zoom=2", "--out=b/")
    assert led["plan"]["camera"] == {"zoom": 2.0}
    assert notes == "camera: zoom 2\n"
    assert not np.array_equal(frames("a/*"), frames("b/*"))
    said, _ = result(capsys, *asked, "--prompt=a red star, slow zoom in", "--out=c/")
    assert said["plan"]["camera"].keys() == {"zoom"}
    still, _ = result(capsys, *asked, "--prompt=a red star, static shot", "--out=c/")
    assert "plan" not in still
    Path("plan.json").write_text(json.dumps({**PLAN, "regions": [], "duration": None}))
    planned, _ = result(capsys, *asked, "--prompt=a red star", "--plan=plan.json", "--out=c/")
    assert planned["keyframe_at"] == 2
    assert "leads a single clip" in refused(capsys, *asked, "--prompt=x", "--pan=3", "--extend-after=1", "--out=d/")


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from microcinema_core.motion.render import Renderer
own = Renderer.at
Renderer.at = lambda self, moment: (time.sleep(0.05), own(self, moment))[1]
from microcinema_core.cli import main
print("ready", flush=True)
main()
"""


@pytest.mark.parametrize("out", ["clip.mp4", "clip.gif", "frames/"])
def test_ctrl_c_leaves_nothing(folder: Path, out: str) -> None:
    command = [sys.executable, "-c", SLOW, "animate", "key.png", "--out", out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "microcinema: error: stopped"
    assert sorted(path.name for path in folder.iterdir()) == ["key.png", "mask.png"]


def test_what_a_frame_raises_is_said_and_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(camera.Renderer, "at", broken)
    run("key.png", "--out=a.mp4", code=cli.FAILED)
    assert "the memory is full" in capsys.readouterr().err
    assert not Path("a.mp4").exists()


def test_directions_say_what_a_plan_would(folder: Path) -> None:
    from microcinema_core.cli.directions import Dials, Directions
    from microcinema_core.motion.easing import Ease
    from microcinema_core.motion.plan import Camera, Relief

    dials = Dials(Camera(pan=2.0), Relief(), Ease.LINEAR, 5, frozenset({"pan", "ease", "seed"}))
    found = directed(Directions(region=["mask.png:roll=9"]), dials, "", (WIDE, HIGH))
    assert found.motion.plan == Plan(Camera(pan=2.0), (Region(roll=9.0),), ease=Ease.LINEAR, seed=5)
    assert (found.asked, found.read, found.rest) == (True, (), False)
