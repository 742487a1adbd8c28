"""The command line under ill use: strange prompts and numbers, places that cannot be written, sudden ends.

`docs/hostile-input.md` says the same in words; wrong files and options are in test_cli.py.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from microcinema_core import cli
from microcinema_core.media import read_settings

CLIP = "clip.mp4"


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a keyframe; the small weights stand in for the embedded ones."""
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    work = tmp_path / "work"
    work.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(work / "key.png")
    monkeypatch.chdir(work)
    return work


def animate(**options: str) -> list[str]:
    """The shortest command that works, but for these options."""
    given = {"image": "key.png", "prompt": "a red star", "out": CLIP, "steps": "1", "frames": "3", "passes": "0"}
    given["model"] = "toybox"
    # NAME=VALUE in one word, so that no value is taken for an option.
    return ["animate", *(f"--{name.replace('_', '-')}={value}" for name, value in (given | options).items())]


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "key.png")


def refused(args: list[str], folder: Path, capfd: pytest.CaptureFixture[str], code: int = cli.WRONG_INPUT) -> str:
    """Run what must fail; returns its one line."""
    assert cli.run(args) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("microcinema: error: ")
    assert err.count("\n") == 1
    assert left(folder) == []
    return err


# Prompts

PROMPTS = {
    "emoji": "a 🔴 star ⭐ moves ⬅️ 👩‍👩‍👧‍👦",
    "right to left": "نجمة حمراء تتحرك \u202eto the left\u202c",
    "combining": "a re\u0301\u0302\u0303\u0304d sta\u0336r" + "\u0301" * 500,
    "controls": "a\x00red\x07star\x1b[2J\r\n\tmoves",
    "not characters": "a \ufffe red \U0010ffff star",
    "looks like a token": "<|startoftext|> a red <|endoftext|> star <|endoftext|>",
    "looks like a path": "../../etc/passwd %s %d {} $HOME `id`",
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_any_text_is_a_prompt_and_comes_back_from_the_file(folder: Path, prompt: str) -> None:
    assert cli.run(animate(prompt=prompt)) == 0
    assert read_settings(folder / CLIP)["prompt"] == prompt
    assert left(folder) == [CLIP]


@pytest.mark.parametrize("prompt", ["", "   ", "\n"])
def test_empty_prompts_work_with_a_warning(folder: Path, prompt: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(animate(prompt=prompt)) == 0
    err = capfd.readouterr().err
    assert err.startswith("microcinema: warning: the prompt is empty")
    assert err.count("\n") == 1
    assert left(folder) == [CLIP]


def test_a_prompt_longer_than_the_model_reads_works_with_a_warning(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(animate(prompt="star " * 1000)) == 0
    assert "warning: the prompt is longer than the model reads: its end is ignored" in capfd.readouterr().err


@pytest.mark.parametrize("prompt", ["word " * 10_000, "x" * 10_001, "\U0001f534" * 10_001])
def test_a_prompt_of_ten_thousand_words_is_refused(
    folder: Path, prompt: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert f"has {len(prompt)} characters; give at most 10000" in refused(animate(prompt=prompt), folder, capfd)


@pytest.mark.parametrize("prompt", ["\ud800", "a red \udfff star"])
def test_what_is_no_unicode_is_refused(folder: Path, prompt: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no valid Unicode text" in refused(animate(prompt=prompt), folder, capfd)


# Numbers

BAD = ["-1", "nan", "inf", "1" + "0" * 30, "9" * 5000, "", "half"]
NUMBERS = {
    "steps": [*BAD, "0", "1001", "1.5", "1e3"],
    "frames": [*BAD, "0", "257", "1.5"],
    "seed": [*BAD, str(2**64), "1.5"],
    "cfg": [*BAD, "100.1", "1e308"],
    "gamma": [*BAD, "1.01", "-0.01"],
    "keyframe_at": [*BAD, "3", "1.5", "Centre"],
    "motion": [*BAD, "2.1"],
    "duration": [*BAD, "0", "1e-300", "1e9"],
    "fps": [*BAD, "0", "1e-300", "1e9"],
    "passes": [*BAD, "3"],
    "tsr_steps": [*BAD, "0"],
    "grid": [*BAD, "0", "65"],
    "width": [*BAD, "0", "63", "1000000"],
    "height": [*BAD, "0", "63", "1000000"],
    "extend_after": [*BAD],
}


@pytest.mark.parametrize("option", NUMBERS)
def test_numbers_that_cannot_be_are_refused(folder: Path, option: str, capfd: pytest.CaptureFixture[str]) -> None:
    for value in NUMBERS[option]:
        line = refused(animate(**{option: value}), folder, capfd)
        assert len(line) < 6000, value  # a value is repeated at most once


def test_the_extremes_that_are_allowed(folder: Path) -> None:
    assert cli.run(animate(cfg="100", gamma="1", seed=str(2**64 - 1), frames="1", keyframe_at="0", motion="2")) == 0
    assert (
        cli.run(animate(out="zero.mp4", cfg="0", gamma="0", seed="0", frames="2", keyframe_at="last", motion="0")) == 0
    )
    assert left(folder) == [CLIP, "zero.mp4"]


# Places


def test_missing_folders_are_made(folder: Path) -> None:
    assert cli.run(animate(out="new/and/deep/clip.mp4")) == 0
    assert left(folder) == ["new", "new/and", "new/and/deep", "new/and/deep/clip.mp4"]


def test_a_file_where_a_folder_is_needed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "is a file, not a folder" in refused(animate(out="key.png/clip.mp4"), folder, capfd)
    assert "is a file, not a folder" in refused(animate(out="key.png/"), folder, capfd)


def test_a_folder_where_a_file_is_needed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "sheet.png").mkdir()
    assert cli.run(animate(contact_sheet="sheet.png")) == cli.WRONG_INPUT
    assert "is a folder; give a file name" in capfd.readouterr().err
    assert left(folder) == ["sheet.png"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that not even root may write")
@pytest.mark.parametrize("out", ["/proc/clip.mp4", "/proc/new/clip.mp4", "/proc/frames/", "/proc/clip-%04d.png"])
def test_a_place_that_nobody_can_write_to(folder: Path, out: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(animate(out=out)) in (cli.WRONG_INPUT, cli.FAILED)
    err = capfd.readouterr().err
    assert err.splitlines()[-1].startswith("microcinema: error: ")
    assert "Traceback" not in err
    assert left(folder) == []


def test_a_read_only_folder_of_somebody_elses(tmp_path: Path) -> None:
    """As a user without rights, in a process that asks for nothing else of the machine."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    script = (
        "import os, sys\n"
        "from microcinema_core.errors import InputError\n"
        "from microcinema_core.media import Target\n"
        "if os.geteuid() == 0:\n"
        "    os.setuid(65534)\n"
        "for out in sys.argv[1:]:\n"
        "    try:\n"
        "        Target.of(out)\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path != Path("/") and not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)  # or the other user does not even see it
    outs = [str(closed / CLIP), f"{closed}/frames/", str(closed / "new" / "clip-%04d.png")]
    done = subprocess.run([sys.executable, "-c", script, *outs], capture_output=True, text=True, check=True)
    assert done.stdout.count("is read-only; choose another place") == 3, done.stdout + done.stderr


def test_a_file_that_is_replaced_stays_until_the_new_one_is_whole(folder: Path) -> None:
    (folder / CLIP).write_text("the old one")
    assert cli.run(animate(steps="0")) == cli.WRONG_INPUT
    assert (folder / CLIP).read_text() == "the old one"
    assert cli.run(animate()) == 0
    assert frames_in(folder / CLIP) == 3


# Sudden ends


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


# A shell that runs the tests in the background makes its children ignore Ctrl-C; the program must not inherit that.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from microcinema_core.cli import main; main()"
)


def started(args: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.005)


def named(folder: Path) -> list[str]:
    """What lies under the names that were asked for, not hidden, and not as unfinished work."""
    return [name for name in left(folder) if not name.startswith(".") and "-unfinished" not in name]


LONG = {"steps": "400", "frames": "9"}  # minutes, were they let


@pytest.mark.slow
def test_interrupting_while_frames_are_made(folder: Path) -> None:
    process = started(animate(**LONG))
    until(lambda: (folder / "clip-unfinished").exists(), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == cli.INTERRUPTED
    assert out == ""
    assert err.splitlines()[-1] == "microcinema: error: stopped"
    assert "Traceback" not in err
    assert named(folder) == []
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("out", [CLIP, "clip.gif", "frames/", "still-%04d.png"])
def test_interrupting_while_frames_are_written(
    folder: Path, out: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the second frame of the output, whatever its form."""
    from microcinema_core.media import SheetCollector

    tee = SheetCollector.tee

    def interrupted(collector: SheetCollector, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for i, frame in enumerate(tee(collector, frames)):
            if i == 1:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(SheetCollector, "tee", interrupted)
    assert cli.run(animate(out=out)) == cli.INTERRUPTED
    assert capfd.readouterr().err.splitlines()[-1] == "microcinema: error: stopped"
    assert named(folder) == []
    assert not list(folder.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("out", [CLIP, "frames/"])
def test_killed_at_any_time_nothing_under_the_asked_name_is_not_whole(folder: Path, out: str) -> None:
    """One whole run says how long it takes; others are killed at parts of that, most of them near the end."""
    began = time.monotonic()
    process = started(animate(out=out, frames="9"))
    assert process.wait(timeout=300) == 0
    whole = time.monotonic() - began
    for share in (0.3, 0.7, 0.85, 0.95):
        for name in named(folder):
            path = folder / name
            if path.is_file():
                path.unlink()
        process = started(animate(out=out, frames="9"))
        time.sleep(whole * share)
        process.kill()
        process.communicate()
        check_whole(folder, out)


@pytest.mark.slow
def test_killed_while_the_file_is_being_written(folder: Path) -> None:
    """As soon as a temporary file appears, and with an old clip in the way, which stays."""
    assert cli.run(animate(frames="9")) == 0
    before = (folder / CLIP).read_bytes()
    process = started(animate(frames="9", seed="1"))
    until(lambda: bool(list(folder.glob(".clip*"))), process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (folder / CLIP).read_bytes() == before or frames_in(folder / CLIP) == 9
    assert cli.run(animate(frames="9", seed="1")) == 0  # what it left behind is in nobody's way
    assert frames_in(folder / CLIP) == 9


def check_whole(folder: Path, out: str) -> None:
    if out == CLIP:
        assert not (folder / CLIP).exists() or frames_in(folder / CLIP) == 9
        return
    pictures = list((folder / out).glob("*.png"))
    assert len(pictures) in (0, 9)
    for path in pictures:
        Image.open(path).load()


# What programs read


def test_errors_are_json_where_json_is_asked_for(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.run([*animate(steps="-1"), "--json"])
    assert code == cli.WRONG_INPUT
    answer = json.loads(capfd.readouterr().out)
    assert answer == {"error": "steps must be between 1 and 1000, got -1", "code": code}


def test_a_traceback_only_with_debug(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(animate(gamma="nan")) == cli.WRONG_INPUT
    assert "Traceback" not in capfd.readouterr().err
    assert cli.run([*animate(gamma="nan"), "--debug"]) == cli.WRONG_INPUT
    assert "Traceback" in capfd.readouterr().err
