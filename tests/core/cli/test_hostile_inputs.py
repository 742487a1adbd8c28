"""What is no file where one belongs, and damaged files, given to the program itself: one line, exit 2, no waiting.

`docs/hostile-input.md` says the same in words.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from microcinema_core import cli

ROOT = Path(__file__).parents[3]
PATIENCE = 100  # seconds


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a keyframe and everything that is no file."""
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save("key.png")
    os.mkfifo("pipe")
    Path("circle").symlink_to("other")
    Path("other").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        yield tmp_path


ODD = ("pipe", "circle", "socket", "/dev/zero", "x" * 300, "none/such", "key.png/inside")
MOVE = ["animate", "key.png", "--out", "made/clip.mp4"]
USES = {
    "--image": ["animate", "--prompt", "x", "--out", "made/clip.mp4", "--image"],
    "--model": ["animate", "--prompt", "x", "--out", "made/clip.mp4", "--image", "key.png", "--model"],
    "--tsr-model": [*MOVE, "--prompt=x", "--model=toybox", "--tsr-model"],
    "--depth": [*MOVE, "--depth"],
    "--plan": [*MOVE, "--plan"],
    "--plates-in": [*MOVE, "--plates-in"],
    "--region": [*MOVE, "--region"],
    "keyframe --model": ["keyframe", "--prompt", "x", "--out", "made/key.png", "--model"],
    "inspect": ["inspect"],
    "train": ["train"],
    "inflate": ["inflate", "--out", "made/x.safetensors"],
    "convert": ["convert", "--out", "made/x.safetensors"],
}


@pytest.mark.parametrize("use", USES)
def test_what_is_no_file(folder: Path, use: str, capfd: pytest.CaptureFixture[str]) -> None:
    for odd in ODD:
        assert cli.run([*USES[use], odd]) == cli.WRONG_INPUT, odd
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1), (odd, err)
        assert odd[:40] in err
        assert not (folder / "made").exists()


def program(*words: str) -> subprocess.CompletedProcess[str]:
    """The real one, so that what libraries print by themselves shows."""
    code = "import sys; from microcinema_core.cli import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=PATIENCE)


def spoiled(path: Path, form: str, begin: bytes | int, length: int, **options: object) -> Path:
    """A picture with zeros in it, from behind a mark or a place on."""
    Image.open("key.png").save(path, form, **options)
    data = bytearray(path.read_bytes())
    at = begin if isinstance(begin, int) else data.index(begin) + len(begin)
    data[at : at + length] = bytes(length)
    path.write_bytes(data)
    return path


def test_libraries_print_nothing(folder: Path) -> None:
    pictures = [
        spoiled(folder / "a.tif", "TIFF", 200, 60, compression="tiff_deflate"),
        spoiled(folder / "b.tif", "TIFF", 200, 60, compression="jpeg"),
        spoiled(folder / "a.png", "PNG", b"IDAT", 60),
        spoiled(folder / "a.jpg", "JPEG", 400, 60),
    ]
    if "AVIF" in Image.SAVE:
        pictures.append(spoiled(folder / "a.avif", "AVIF", b"mdat", 40))
    for path in pictures:
        done = program("animate", "--image", str(path), "--prompt", "x", "--out", "made/clip.mp4", "--fps", "0")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (cli.WRONG_INPUT, "", 1), done.stderr


def test_a_damaged_film_in_training(folder: Path, weights: Path) -> None:
    """Found when its frames are read, in the middle of the work: still one line."""
    from microcinema_core.media import save_clip

    (folder / "films").mkdir()
    save_clip("films/film.mp4", np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), np.uint8), 8, {})
    Path("films/film.txt").write_text("It moves")
    data = bytearray(Path("films/film.mp4").read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin:] = np.random.default_rng(0).bytes(len(data) - begin)
    Path("films/film.mp4").write_bytes(data)
    for path in weights.glob("*.safetensors"):
        shutil.copy(path, folder)
    Path("stage.toml").write_text(
        'stage = "video"\nout = "run"\nstart_from = "toybox-video.safetensors"\nvideos = "films"\nsteps = 1\n'
        'batch = 1\nprecision = "fp32"\nreported = 1\n[clip]\nframes = 3\nfps = 2.0\nwidth = 64\nheight = 64\n'
        "[data]\nclips = 2\n"
    )
    done = program("train", "stage.toml")
    assert (done.returncode, done.stdout) == (cli.WRONG_INPUT, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "film.mp4: cannot be read as a video" in done.stderr
