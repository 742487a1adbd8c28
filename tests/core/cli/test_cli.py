"""The program as its users meet it: what it writes, and what it says when it cannot."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from microcinema_core import __version__, cli
from microcinema_core.config import Kind
from microcinema_core.media import read_settings
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone import pipeline, precision
from microcinema_core.standalone.pipeline import ImagePipeline, MicroCinemaPipeline

PROMPT = "a red star moves left"


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, with the small weights in the place of the embedded ones."""
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """Good and bad input files."""
    made = tmp_path_factory.mktemp("material")
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(picture).save(made / "key.png")
    png = (made / "key.png").read_bytes()
    (made / "half.png").write_bytes(png[: len(png) // 2])
    (made / "text.png").write_text("no picture")
    video = (weights / "toybox-video.safetensors").read_bytes()
    (made / "half.safetensors").write_bytes(video[: len(video) // 2])
    (made / "alone.safetensors").write_bytes(video)
    torch.save({"w": torch.zeros(2)}, made / "pickle.ckpt")
    save_file({"conv_in.weight": torch.zeros(2)}, made / "foreign.safetensors")
    (made / "bad.toml").write_text("stage = ")
    (made / "empty").mkdir()
    return made


def animate(material: Path, **options: str | None) -> list[str]:
    """A command line that works, but for these options; None leaves one out."""
    given = {"image": str(material / "key.png"), "prompt": PROMPT, "out": "clip.mp4", "steps": "2", "frames": "3"}
    given["model"] = "toybox"
    pairs = {name.replace("_", "-"): value for name, value in {**given, **options}.items() if value is not None}
    return ["animate", *(part for name, value in pairs.items() for part in (f"--{name}", value))]


WRONG_ANIMATE = {
    "picture missing": {"image": "missing.png"},
    "picture truncated": {"image": "{material}/half.png"},
    "picture is text": {"image": "{material}/text.png"},
    "picture is a folder": {"image": "{material}"},
    "picture is a model": {"image": "{weights}/toybox-video.safetensors"},
    "model missing": {"model": "missing.safetensors"},
    "model truncated": {"model": "{material}/half.safetensors"},
    "model is a pickle": {"model": "{material}/pickle.ckpt"},
    "model is another's": {"model": "{material}/foreign.safetensors"},
    "model is of another stage": {"model": "{weights}/toybox-image.safetensors"},
    "model is a folder": {"model": "{material}"},
    "model without companions": {"model": "{material}/alone.safetensors"},
    "steps 0": {"steps": "0"},
    "steps enormous": {"steps": "1" + "0" * 30},
    "steps not a number": {"steps": "many"},
    "cfg nan": {"cfg": "nan"},
    "cfg infinite": {"cfg": "inf"},
    "gamma nan": {"gamma": "nan"},
    "gamma negative": {"gamma": "-1"},
    "sampler unknown": {"sampler": "magic"},
    "sampler of diffusers unknown": {"sampler": "diffusers:magic"},
    "sampler cannot do these steps": {"sampler": "diffusers:ddim", "steps": "61"},
    "seed negative": {"seed": "-1"},
    "seed enormous": {"seed": str(2**64)},
    "frames 0": {"frames": "0"},
    "frames enormous": {"frames": "1000000"},
    "position outside": {"keyframe_at": "3"},
    "position unknown": {"keyframe_at": "middle"},
    "attention unknown": {"attention": "magic"},
    "precision unknown": {"precision": "fp8"},
    "precision of GPUs": {"precision": "fp16"},
    "prompt enormous": {"prompt": "x" * 20_000},
    "prompt not Unicode": {"prompt": "\udcff"},
    "prompt left out": {"prompt": None},
    "picture left out": {"image": None},
    "picture twice": {"keyframe_prompt": "a red star"},
    "keyframe-out without prompt": {"keyframe_out": "key.png"},
    "keyframe-out of another type": {"image": None, "keyframe_prompt": "a red star", "keyframe_out": "key.jpg"},
    "out of another type": {"out": "clip.avi"},
    "out below a file": {"out": "{material}/key.png/clip.mp4"},
    "out in a folder of others": {"out": "{material}/"},
    "sheet of another type": {"contact_sheet": "sheet.jpg"},
    "option unknown": {"magic": "1"},
}
WRONG_OTHER = {
    "command unknown": ["conjure"],
    "keyframe steps 0": ["keyframe", "--prompt", PROMPT, "--out", "key.png", "--steps", "0"],
    "keyframe of another size": ["keyframe", "--prompt", PROMPT, "--out", "key.png", "--width", "128"],
    "keyframe of another type": ["keyframe", "--prompt", PROMPT, "--out", "key.webp"],
    "keyframe from no model": ["keyframe", "--prompt", PROMPT, "--out", "key.png", "--model", "{material}/empty"],
    "keyframe from a video model": [
        "keyframe", "--prompt", PROMPT, "--out", "key.png", "--model", "{weights}/toybox-video.safetensors",
    ],
    "inspect nothing": ["inspect", "missing"],
    "inspect truncated": ["inspect", "{material}/half.safetensors"],
    "inspect text": ["inspect", "{material}/bad.toml"],
    "inspect a picture of others": ["inspect", "{material}/key.png"],
    "inspect a folder of others": ["inspect", "{material}/empty"],
    "train nothing": ["train", "missing.toml"],
    "train no TOML": ["train", "{material}/bad.toml"],
    "publish mixed up": [
        "publish", "--to", "public", "--autoencoder", "{weights}/toybox-text.safetensors",
        "--text", "{weights}/toybox-text.safetensors", "--image", "{weights}/toybox-image.safetensors",
        "--video", "{weights}/toybox-video.safetensors",
    ],
}  # fmt: skip


def refused(args: list[str], folder: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """Run what must fail; returns its one line."""
    code = cli.run(args)
    out, err = capfd.readouterr()
    assert code == cli.WRONG_INPUT
    assert out == ""
    assert err.startswith("microcinema: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert "Traceback" not in err
    assert not list(folder.rglob("*"))
    return err


@pytest.mark.parametrize("options", WRONG_ANIMATE.values(), ids=WRONG_ANIMATE)
def test_wrong_input_to_animate(
    folder: Path, material: Path, weights: Path, capfd: pytest.CaptureFixture[str], options: dict[str, str | None]
) -> None:
    filled = {k: v and v.format(material=material, weights=weights) for k, v in options.items()}
    before = sorted(material.rglob("*"))
    refused(animate(material, **filled), folder, capfd)
    assert sorted(material.rglob("*")) == before


@pytest.mark.parametrize("args", WRONG_OTHER.values(), ids=WRONG_OTHER)
def test_wrong_input_elsewhere(
    folder: Path, material: Path, weights: Path, capfd: pytest.CaptureFixture[str], args: list[str]
) -> None:
    refused([arg.format(material=material, weights=weights) for arg in args], folder, capfd)


def test_missing_weights_are_explained(
    folder: Path, material: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(material))
    assert "MICROCINEMA_WEIGHTS" in refused(animate(material), folder, capfd)


def test_missing_training_libraries_are_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("microcinema_core.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert "microcinema[train]" in refused(["train", "any.toml"], folder, capfd)


def test_debug_shows_the_traceback(folder: Path, material: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*animate(material, steps="0"), "--debug"]) == cli.WRONG_INPUT
    assert "Traceback" in capfd.readouterr().err


def test_a_full_disk_is_one_line_and_leaves_nothing(
    folder: Path, material: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(file: object, *args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert cli.run(animate(material)) == cli.FAILED
    assert capfd.readouterr().err.count("\n") == 1
    assert not list(folder.iterdir())


def test_interrupting_leaves_nothing(
    folder: Path, material: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "sample_latents", interrupted)
    assert cli.run(animate(material)) == cli.INTERRUPTED
    assert capfd.readouterr().err == "microcinema: error: stopped\n"
    assert not list(folder.iterdir())


def frames_of(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def test_program_and_library_make_the_same_clip(folder: Path, material: Path, weights: Path) -> None:
    """The program in a process of its own; pictures are exact, the video within its compression's loss."""
    command = [sys.executable, "-m", "microcinema_core.cli"]
    args = animate(material, out="frames/", seed="3", keyframe_at="first", sampler="euler_ancestral", gamma="0.1")
    done = subprocess.run([*command, *args], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("frames: 33 frames of 64x64 at 32 fps")
    made = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors").shoot(
        Image.open(material / "key.png"),
        PROMPT,
        ShotConfig(frames=3, keyframe_at="first"),
        sampling=SamplingConfig(steps=2, sampler="euler_ancestral", gamma=0.1),
        seed=3,
    )
    assert np.array_equal(frames_of(folder / "frames"), np.stack(list(made)))
    settings = read_settings(folder / "frames" / "frame-0001.png")
    assert settings == {**made.settings, "frame": 1}


def test_video_with_contact_sheet(
    folder: Path, material: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(animate(material, out="new/clip.mp4", contact_sheet="new/sheet.png", frames="9", passes="0")) == 0
    assert sorted(path.name for path in (folder / "new").iterdir()) == ["clip.mp4", "sheet.png"]
    made = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")(
        Image.open(material / "key.png"), PROMPT, sampling=SamplingConfig(steps=2)
    )
    with av.open("new/clip.mp4") as container:
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert shown.shape == made.frames[0].shape
    error = np.square(shown.astype(float) - made.frames[0]).mean()
    # Untrained networks paint noise, whose colours 4:2:0 halves; test_media.py asserts 35 dB for real pictures.
    assert 10 * np.log10(255**2 / error) > 15
    assert read_settings(Path("new/clip.mp4")) == made.settings[0]
    capfd.readouterr()
    assert cli.run(["inspect", "new/clip.mp4"]) == 0
    assert f"prompt: {PROMPT}" in capfd.readouterr().out


def test_keyframe_and_clip_in_one(folder: Path, material: Path, weights: Path) -> None:
    in_one = animate(material, image=None, keyframe_prompt="a red star", out="one/", seed="4")
    assert cli.run(in_one) == 0
    assert cli.run(["keyframe", "--prompt", "a red star", "--out", "key.png", "--seed", "4"]) == 0
    assert cli.run(animate(material, image="key.png", out="two/", seed="4")) == 0
    picture = ImagePipeline.from_pretrained(weights / "toybox-image.safetensors")("a red star", seed=4).pictures[0]
    for kept in ("one-keyframe.png", "key.png"):
        assert np.array_equal(np.asarray(Image.open(kept)), picture)
    assert np.array_equal(frames_of(folder / "one"), frames_of(folder / "two"))
    assert read_settings(Path("key.png"))["seed"] == 4


def test_empty_prompts_are_allowed_with_a_warning(
    folder: Path, material: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(animate(material, prompt="", frames="1")) == 0
    err = capfd.readouterr().err
    assert err.startswith("microcinema: warning: the prompt is empty")
    assert err.count("\n") == 1


def test_inspect_names_a_model(weights: Path, material: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", str(weights / "toybox-video.safetensors")]) == 0
    assert "9 frames at 2 fps" in capfd.readouterr().out
    assert cli.run(["inspect", str(material / "pickle.ckpt")]) == 0
    assert "never loaded" in capfd.readouterr().out


def test_publish_gives_files_that_work_together(folder: Path, stages: dict[Kind, Path]) -> None:
    args = [part for kind, path in stages.items() for part in (f"--{kind.word}", str(path))]
    assert cli.run(["publish", *args, "--to", "public", "--name", "tiny"]) == 0
    assert sorted(path.name for path in (folder / "public").iterdir()) == [
        f"tiny-{word}.safetensors" for word in ("autoencoder", "image", "text", "tsr", "video")
    ]
    shutil.move("public", "moved")
    MicroCinemaPipeline.from_pretrained("moved/tiny-video.safetensors")


def test_publish_refuses_stages_of_different_runs(
    folder: Path, stages: dict[Kind, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    other = folder.parent / "other.safetensors"
    data = stages[Kind.TEXT_ENCODER].read_bytes()
    other.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    mixed = stages | {Kind.TEXT_ENCODER: other}
    args = [part for kind, path in mixed.items() for part in (f"--{kind.word}", str(path))]
    code = cli.run(["publish", *args, "--to", "public"])
    assert code == cli.WRONG_INPUT
    assert "trained with another text file" in capfd.readouterr().err
    assert not list(folder.rglob("*.safetensors"))


def test_help_and_input_errors_answer_without_the_large_libraries(folder: Path, material: Path, weights: Path) -> None:
    wrong = animate(material, model=str(weights / "toybox-image.safetensors"))
    script = (
        "import json, sys; from microcinema_core.cli import run\n"
        f"codes = [run([]), run(['--version']), run({animate(material, steps='0')!r})]\n"
        "light = 'torch' not in sys.modules\n"
        f"codes.append(run({wrong!r}))\n"
        "heavy = {'diffusers', 'transformers', 'accelerate'} & set(sys.modules)\n"
        "print(json.dumps([codes, light, sorted(heavy)]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *shown, last = done.stdout.splitlines()
    assert json.loads(last) == [[0, 0, 2, 2], True, []]
    assert f"microcinema {__version__}" in shown
    for command in ("animate", "keyframe", "inspect", "train"):
        assert any(command in line for line in shown)
    assert not any("publish" in line for line in shown)


@pytest.mark.parametrize(("asked", "written"), [("auto", "float32"), ("bf16", "bfloat16")])
def test_a_clip_says_what_precision_made_it(folder, material, monkeypatch, asked, written):
    monkeypatch.setattr(precision, "bfloat16_pays", lambda device: True)  # three small frames: slow is fast enough
    assert cli.run(animate(material, precision=asked, passes="0")) == 0
    assert read_settings(folder / "clip.mp4")["precision"] == written
