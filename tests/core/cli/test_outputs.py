"""Where results go: nothing that is read or a stranger's is replaced, links and folders stay what they are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from microcinema_core import cli
from microcinema_core.media import read_settings
from microcinema_core.standalone.keyframe import ImagePipeline
from microcinema_core.standalone.pipeline import MicroCinemaPipeline


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a keyframe; the small weights stand in for the embedded ones."""
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    work = tmp_path / "work"
    work.mkdir()
    picture(work / "key.png")
    monkeypatch.chdir(work)
    return work


def picture(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)


def animate(**options: str | None) -> list[str]:
    """The shortest command that works, but for these options; None leaves one out."""
    given = {"image": "key.png", "prompt": "a red star", "out": "clip.mp4", "steps": "1", "frames": "3", "passes": "0"}
    given["model"] = "toybox"
    named = {name.replace("_", "-"): value for name, value in (given | options).items() if value is not None}
    return ["animate", *(f"--{name}={value}" for name, value in named.items())]


def made_keyframe(**options: str | None) -> list[str]:
    return animate(**{"image": None, "keyframe_prompt": "a red star"} | options)


def refused(args: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Run what must fail and change nothing; returns its one line."""
    before = state()
    assert cli.run(args) == cli.WRONG_INPUT
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("microcinema: error: ")
    assert err.count("\n") == 1
    assert state() == before
    return err


def state() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


# Folders


def test_the_shell_s_working_folder_stays_the_same_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = folder / "frames"
    frames.mkdir()
    monkeypatch.chdir(frames)
    before = frames.stat().st_ino
    assert cli.run(animate(image="../key.png", out=".")) == 0
    assert frames.stat().st_ino == before
    assert sorted(os.listdir()) == ["frame-0000.png", "frame-0001.png", "frame-0002.png"]  # noqa: PTH208
    assert cli.run(animate(image="../key.png", out="./", frames="2")) == 0
    assert sorted(path.name for path in frames.iterdir()) == ["frame-0000.png", "frame-0001.png"]
    assert sorted(path.name for path in folder.iterdir()) == ["frames", "key.png"]


def test_hidden_files_in_a_folder_of_frames_stay(folder: Path) -> None:
    (folder / "frames").mkdir()
    (folder / "frames" / ".DS_Store").write_bytes(b"x")
    assert cli.run(animate(out="frames/")) == 0
    assert (folder / "frames" / ".DS_Store").read_bytes() == b"x"


def test_a_stranger_s_frames_are_not_replaced(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "frames").mkdir()
    picture(folder / "frames" / "frame-0007.png")
    assert "frame-0007.png: was not made by microcinema" in refused(animate(out="frames/"), capfd)


def test_a_stranger_s_files_beside_unfinished_work_stay(folder: Path) -> None:
    mine = folder / "clip-unfinished" / "0" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("not to be lost")
    (mine.parent / "request.json").write_text("{}")
    assert cli.run(animate()) == 0
    assert sorted(path.name for path in mine.parent.iterdir()) == ["mine.txt", "request.json"]


# Links and what is no file


def test_links_are_followed(folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "there" / "clip.mp4").write_bytes(b"the old one")
    links = {
        "file.mp4": "there/clip.mp4",
        "none-yet.mp4": "there/new.mp4",
        "frames": "there/frames",
        "sheet.png": "there/sheet.png",
    }
    for name, to in links.items():
        (folder / name).symlink_to(folder / to)
    assert cli.run(animate(out="file.mp4", contact_sheet="sheet.png")) == 0
    assert cli.run(animate(out="none-yet.mp4")) == 0
    assert cli.run(animate(out="frames/")) == 0
    assert cli.run(animate(out="frames/", seed="1")) == 0
    assert all((folder / name).is_symlink() for name in links)
    assert read_settings(folder / "there" / "clip.mp4")["prompt"] == "a red star"
    assert read_settings(folder / "there" / "frames")["seed"] == 1
    assert sorted(path.name for path in (folder / "there").iterdir()) == ["clip.mp4", "frames", "new.mp4", "sheet.png"]


@pytest.mark.parametrize("out", ["loop.mp4", "loop.mp4/", "loop.mp4/clip.mp4"])
def test_links_that_lead_round_are_refused(folder: Path, out: str, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "loop.mp4").symlink_to(folder / "pool.mp4")
    (folder / "pool.mp4").symlink_to(folder / "loop.mp4")
    assert "Too many levels of symbolic links" in refused(animate(out=out), capfd)


def test_a_pipe_is_not_replaced(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "clip.mp4")
    assert "clip.mp4: is no regular file" in refused(animate(), capfd)


# What is read


@pytest.mark.parametrize(
    "options",
    [
        {"image": "key.gif", "out": "key.gif"},
        {"image": "link.png", "out": "clip.mp4", "contact_sheet": "key.png"},
        {"contact_sheet": "key.png"},
        {"image": "key-0001.png", "out": "key-%04d.png"},
        {"image": "key-0001.png", "out": "key.png"},
        {"image": "frames/frame-0003.png", "out": "frames/"},
        {"image": "frames/frame-0003.png", "out": "frames"},
        {"image": "clip.mp4", "out": "./sub/../clip.mp4"},
        {"out": "clip-%04d.png", "contact_sheet": "clip-0000.png"},
        {"out": "frames/", "contact_sheet": "frames/frame-0001.png"},
        {"image": None, "keyframe_prompt": "a star", "keyframe_out": "clip-1.png", "out": "clip-%d.png"},
        {"image": None, "keyframe_prompt": "a star", "keyframe_out": "a.png", "contact_sheet": "a.png"},
    ],
)
def test_one_file_is_not_written_over_another(
    folder: Path, options: dict[str, str | None], capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("sub", "frames"):
        (folder / name).mkdir()
    assert cli.run(animate(image="key.png", out="frames/", frames="5")) == 0
    for name in ("key.gif", "key-0001.png"):
        picture(folder / name)
    (folder / "clip.mp4").write_bytes((folder / "key.png").read_bytes())
    (folder / "link.png").symlink_to(folder / "key.png")
    capfd.readouterr()
    said = refused(animate(**options), capfd)
    assert any(words in said for words in ("would be replaced", "is the source itself", "goes; give")), said


def test_models_are_not_written_over(folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "sd").mkdir()
    inside = folder / "sd" / "model.safetensors"
    inside.write_bytes(b"x")
    lora = folder / "lora.safetensors"
    lora.write_bytes(b"x")
    for args in (
        ["inflate", "sd", f"--out={inside}"],
        ["inflate", str(inside), f"--out={lora}", f"--lora={lora}:0.5"],
        ["inflate", str(inside), f"--out={lora}", f"--merge={lora}"],
        ["inflate", str(lora), f"--out={inside}", "--text-encoder=sd"],
        ["inflate", str(lora), f"--out={inside}", "--tokenizer=sd"],
        ["convert", "sd", f"--out={inside}"],
        ["convert", str(lora), f"--out={inside}", f"--text-encoder={inside}"],
    ):
        assert "is the source itself, or a part of it" in refused(args, capfd)


def test_the_made_keyframe_replaces_only_that_of_the_clip_replaced(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = folder / "clip-keyframe.png"
    picture(mine)
    assert "clip-keyframe.png: is another picture" in refused(made_keyframe(), capfd)
    mine.unlink()
    assert cli.run(["keyframe", "--prompt=a blue star", "--out=clip-keyframe.png", "--steps=1"]) == 0
    capfd.readouterr()
    assert "clip-keyframe.png: is another picture" in refused(made_keyframe(), capfd)
    mine.unlink()
    assert cli.run(made_keyframe()) == 0
    assert cli.run(made_keyframe(seed="3")) == 0
    assert read_settings(mine)["seed"] == 3


# In which order, and what a terminal can print


@pytest.mark.parametrize("fault", ["unfinished", "companion", "sheet", "kind"])
def test_what_can_be_known_is_checked_before_a_keyframe_is_made(
    folder: Path, weights: Path, fault: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a keyframe was made")

    monkeypatch.setattr(ImagePipeline, "from_pretrained", never)
    options: dict[str, str | None] = {}
    match fault:
        case "unfinished":
            (folder / "clip-unfinished").write_bytes(b"")
        case "companion":
            alone = folder / "toybox-video.safetensors"
            alone.write_bytes((weights / alone.name).read_bytes())
            options = {"model": str(alone)}
        case "sheet":
            options = {"contact_sheet": "key.png/sheet.png"}
        case "kind":
            options = {"keyframe_model": str(weights / "toybox-video.safetensors")}
    refused(made_keyframe(**options), capfd)


@pytest.mark.parametrize("name", [b"\xc3\xbc.mp4", b"\xff.mp4", b"a\nb.mp4", b"\xff/", b"\xff.gif", b"\xff-%d.png"])
def test_a_name_that_the_terminal_cannot_print(folder: Path, weights: Path, name: bytes) -> None:
    command = [sys.executable, "-m", "microcinema_core.cli", *animate(out=os.fsdecode(name))]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "MICROCINEMA_WEIGHTS": str(weights)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert done.stdout.isascii()


# Sizes and disks


@pytest.mark.parametrize(
    "options", [{"grid": "25", "width": "4096"}, {"grid": "64", "width": "4096", "height": "4096", "out": "clip.gif"}]
)
def test_a_clip_too_large_for_its_file_is_refused_at_once(
    folder: Path, options: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(MicroCinemaPipeline, "from_pretrained", never)
    assert "pixels are too large for this kind of file" in refused(animate(**options), capfd)


@pytest.mark.parametrize(
    "out", ["a.mp4", "frames/", *(pytest.param(out, marks=pytest.mark.slow) for out in ("b.webm", "c.gif", "d-%d.png"))]
)
def test_a_full_disk_is_one_line(out: str, folder: Path, weights: Path) -> None:
    """The limit of a process's files, in the place of a disk's, once the first work is kept."""
    script = f"""
import resource, signal, sys
from microcinema_core import cli
from microcinema_core.standalone import workspace
def kept(path, *rest, write=workspace.write_kept):
    write(path, *rest)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
workspace.write_kept = kept
sys.exit(cli.run({animate(out="OUT")!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script.replace("OUT", out)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == cli.FAILED, done.stderr
    note, line = done.stderr.splitlines()
    assert note.startswith("microcinema: note: what is done is kept in ")
    assert "not written (" in line
    assert line.endswith("make space or choose another place, and try again")
    assert not [path.name for path in folder.iterdir() if "-unfinished" not in path.name and path.name != "key.png"]


def test_no_text_of_a_file_reaches_the_terminal_raw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a terminal gets it: what goes to a file has its colours taken out below."""
    info = PngInfo()
    info.add_text(
        "microcinema", json.dumps({"prompt": "a\x1b]0;owned\x07 star\x1b[2J\nforged: line\u202e", "\x1b[31mkey": 1})
    )
    Image.new("RGB", (8, 8)).save(folder / "escapes.png", pnginfo=info)
    said: list[str] = []
    monkeypatch.setattr("typer.echo", lambda text, **_: said.append(text))
    assert cli.run(["inspect", "escapes.png"]) == 0
    (text,) = said
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count("\n") == 2


def test_a_traceback_too_shows_names_in_what_can_be_printed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*animate(image="\x1b[31m\udcff.png"), "--debug"]) == cli.WRONG_INPUT
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "\x1b" not in err
    assert r"[31m\xff.png: does not exist" in err
