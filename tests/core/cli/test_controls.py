"""Each control of a shot, by the command line, and what it wrote read back from the file."""

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from microcinema_core import cli
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.config import ClipConfig
from microcinema_core.media import read_settings
from microcinema_core.media.grid import GAP
from microcinema_core.shot.plan import Loop, ShotConfig, plan_shot
from microcinema_core.shot.segments import Segments, linear_frames
from microcinema_core.standalone import pipeline
from microcinema_core.standalone.components import load_codec
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.standalone.tsr import TemporalSuperResolution
from microcinema_core.standalone.workspace import ENDING, Workspace, remembering

PROMPT = "a red star moves left"
SIZES = {"key": (64, 64), "wide": (120, 60), "tall": (60, 120)}


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with keyframes; the small weights stand in for the embedded ones."""
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)
    for name, (width, height) in SIZES.items():
        picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
        picture.paste((250, 20, 20), (width // 4, height // 4, width // 2, height // 2))
        picture.save(f"{name}.png")
    return tmp_path


def animate(out: str, **options: Any) -> list[str]:
    """The quickest command that works, but for these options. A clip of three frames: 3, 9 or 33 after the passes."""
    quick = {"image": "key.png", "prompt": PROMPT, "steps": 1, "tsr_steps": 1, "cfg": 1, "frames": 3, "passes": 0}
    quick["model"] = "toybox"
    given = {name: value for name, value in (quick | options).items() if value is not None}
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in (given | {"out": out}).items()
    ]
    return ["animate", *words]


def wrote(out: str, **options: Any) -> np.ndarray:
    """The command's frames [T, H, W, 3], read back: exact where they are pictures."""
    assert cli.run(animate(out, **options)) == 0
    return pictures(Path(out)) if out.endswith("/") else video(out)[0]


def pictures(folder: Path, pattern: str = "*.png") -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob(pattern))])


def video(path: str) -> tuple[np.ndarray, Fraction]:
    """Frames and frames a second."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]), stream.average_rate


def near(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for rounding: convolutions round otherwise in batches of another size."""
    return a.shape == b.shape and np.abs(a.astype(int) - b).max() <= 1


CASES: dict[str, tuple[dict[str, Any], int, Fraction | int]] = {
    "no pass": ({"passes": 0}, 3, 2),
    "one pass": ({"passes": 1}, 9, 8),
    "two passes": ({"passes": 2}, 33, 32),
    "two passes unasked": ({"passes": None}, 33, 32),
    "shorter than a clip": ({"passes": 2, "duration": 0.5}, 16, 32),
    "longer than a clip": ({"passes": 2, "duration": 3}, 96, 32),
    "longer, keyframe first": ({"passes": 1, "duration": 2.5, "keyframe_at": "first"}, 20, 8),
    "24": ({"passes": 2, "fps": 24}, 25, 24),
    "25": ({"passes": 2, "fps": 25}, 26, 25),
    "30 for 2 s": ({"passes": 2, "fps": 30, "duration": 2}, 60, 30),
    "32": ({"passes": 2, "fps": 32}, 33, 32),
    "23.976": ({"passes": 2, "fps": 23.976}, 24, Fraction(24000, 1001)),
    "60 by blends": ({"passes": 2, "fps": 60, "resampling": "blend"}, 62, 60),
    "12 of the slow frames": ({"passes": 0, "fps": 12, "duration": 1}, 12, 12),
    "joined loop": ({"passes": 1, "loop": "join"}, 12, 8),
    "joined loop of 2.5 s": ({"passes": 1, "loop": "join", "duration": 2.5}, 20, 8),
    "joined loop at 24": ({"passes": 1, "loop": "join", "fps": 24}, 36, 24),
    "ping-pong": ({"passes": 1, "loop": "ping-pong"}, 16, 8),
    "ping-pong of 3 s at 24": ({"passes": 2, "loop": "ping-pong", "fps": 24, "duration": 3}, 72, 24),
    "extended both ways": ({"extend_before": 1, "extend_after": 2, "passes": 1}, 33, 8),
}


@pytest.mark.parametrize(("options", "count", "rate"), CASES.values(), ids=CASES)
def test_frames_and_rate(folder: Path, options: dict[str, Any], count: int, rate: Fraction | int) -> None:
    assert cli.run(animate("clip.mp4", **options)) == 0
    frames, shown = video("clip.mp4")
    assert (frames.shape, shown) == ((count, 64, 64, 3), rate)
    settings = read_settings(Path("clip.mp4"))
    assert (settings["frames"], settings["fps"]) == (count, float(rate))
    assert not list(folder.glob("*unfinished*"))


SHAPES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "crop landscape": ({"image": "wide.png"}, (64, 64)),
    "pad landscape": ({"image": "wide.png", "resize": "pad"}, (64, 64)),
    "pad portrait": ({"image": "tall.png", "resize": "pad"}, (64, 64)),
    "fit landscape": ({"image": "wide.png", "resize": "fit"}, (88, 48)),
    "fit portrait": ({"image": "tall.png", "resize": "fit"}, (48, 88)),
    "fit to a width": ({"image": "wide.png", "resize": "fit", "width": 128}, (128, 64)),
    "portrait size": ({"width": 64, "height": 96}, (64, 96)),
}


@pytest.mark.parametrize(("options", "size"), SHAPES.values(), ids=SHAPES)
def test_sizes_and_resize_policies(folder: Path, options: dict[str, Any], size: tuple[int, int]) -> None:
    frames = wrote("clip.mp4", frames=2, **options)
    assert frames.shape == (2, *size[::-1], 3)
    settings = read_settings(Path("clip.mp4"))
    assert (settings["width"], settings["height"]) == size


@pytest.mark.parametrize("out", ["clip.mp4", "clip.webm", "clip.gif", "clip.png", "clip-%03d.png"])
def test_formats_show_the_same_frames(folder: Path, out: str, capfd: pytest.CaptureFixture[str]) -> None:
    exact = wrote("exact/", passes=1)
    assert cli.run(animate(out, passes=1)) == 0
    if out.endswith(".png"):
        names = [f"clip-{i:03d}.png" if "%03d" in out else f"clip-{i:04d}.png" for i in range(9)]
        assert sorted(path.name for path in folder.glob("clip*")) == names
        assert np.array_equal(pictures(folder, "clip-*.png"), exact)
        out = names[0]
    else:
        shown, rate = video(out)
        assert shown.shape == exact.shape
        if out.endswith(".gif"):  # FFmpeg guesses a rate; the file holds delays, in 1/100 s, here in milliseconds
            with Image.open(out) as image:
                delays = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
            assert sum(delays) in (1120, 1130)
        else:
            assert rate == 8
        errors = np.abs(shown[:, None].astype(int) - exact[None]).mean((2, 3, 4))  # of each with each
        assert (errors.argmin(1) == np.arange(9)).all()
    capfd.readouterr()
    assert cli.run(["inspect", out, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    for name, value in {"prompt": PROMPT, "seed": "0", "steps": "1", "passes": "1", "tsr_steps": "1"}.items():
        assert told[name] == value


def test_ping_pong_goes_there_and_back(folder: Path) -> None:
    there = wrote("there/", frames=5)
    both = wrote("both/", frames=5, loop="ping-pong")
    assert np.array_equal(both, np.concatenate([there, there[3:0:-1]]))


def test_a_joined_loop_leads_from_its_last_frame_to_its_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight lines in the place of the untrained network, so that one can see where they lead."""
    monkeypatch.setattr(
        TemporalSuperResolution, "interpolate", lambda *_: lambda ends, level, indices: linear_frames(ends, 5)
    )
    plain, loop = wrote("plain/", passes=1), wrote("loop/", passes=1, loop="join")
    assert len(loop) == 12
    assert near(loop[:9], plain)
    far = [np.abs(frame.astype(int) - loop[0]).mean() for frame in loop[8:]]
    assert far == sorted(far, reverse=True)
    assert far[-1] < far[0] / 2


def test_the_keyframe_stands_where_it_is_asked_for(folder: Path, weights: Path) -> None:
    file = weights / "toybox-video.safetensors"
    codec = load_codec(file, read_checkpoint(file))
    pixels = torch.from_numpy(np.asarray(Image.open("key.png")).copy()).movedim(-1, 0)[None] / 255
    trip = (codec.decode(codec.encode(pixels))[0] * 255).round().byte().movedim(0, -1).numpy()
    for at, index in {"centre": 1, "first": 0, "last": 2, "1": 1}.items():
        frames = wrote(f"{at}/", keyframe_at=at, exact_keyframe=True)
        assert [i for i in range(3) if near(frames[i], trip)] == [index]
        assert read_settings(Path(at))["keyframe_at"] == index
    assert not near(wrote("free/")[1], trip)


def test_clips_are_chained_to_both_sides(folder: Path) -> None:
    alone, chained = wrote("alone/"), wrote("chained/", extend_before=1, extend_after=1)
    assert len(chained) == 7
    assert near(chained[2:5], alone)
    assert not near(chained[:3], chained[4:])


def test_the_motion_dial_is_recorded_and_changes_the_clip(folder: Path) -> None:
    as_trained, still = wrote("one/", motion=1), wrote("still/", motion=0)
    assert np.array_equal(as_trained, wrote("unasked/"))
    assert not near(as_trained, still)
    assert read_settings(Path("still"))["motion"] == 0


def test_a_grid_shows_the_clips_of_the_following_seeds(folder: Path) -> None:
    grid = wrote("grid/", grid=4, seed=5)
    assert grid.shape == (3, 128 + GAP, 128 + GAP, 3)
    for i in range(4):
        top, left = i // 2 * (64 + GAP), i % 2 * (64 + GAP)
        assert np.array_equal(grid[:, top : top + 64, left : left + 64], wrote(f"{i}/", seed=5 + i))
    assert read_settings(Path("grid"))["seeds"] == [5, 6, 7, 8]


def test_json_and_contact_sheet_of_a_whole_clip(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(animate("clip.mp4", frames=9, passes=2, contact_sheet="sheet.png", seed=7, json=True)) == 0
    told = json.loads(capfd.readouterr().out)
    assert told.pop("seconds") > 0
    assert (told.pop("out"), told.pop("contact_sheet")) == ("clip.mp4", "sheet.png")
    assert told == read_settings(Path("clip.mp4")) == read_settings(Path("sheet.png"))
    frames, rate = video("clip.mp4")
    assert (len(frames), rate) == (told["frames"], told["fps"]) == (129, 32)
    assert {"seed": 7, "prompt": PROMPT, "width": 64, "height": 64}.items() <= told.items()
    sheet = np.asarray(Image.open("sheet.png"))
    assert sheet.shape == (4 * 66 - 2, 9 * 66 - 2, 3)  # 36 frames, 2 pixels apart


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (animate("clip.mp4", image="missing.png"), "missing.png"),
        (animate("clip.mp4", duration="-1"), "duration"),
        (animate("clip.mp4", passes=1, loop="join", duration=2.6), "2.5 s"),
        (animate("clip.mp4", width=60), "width"),
        ([*animate("clip.mp4"), "--magic"], "magic"),
    ],
)
def test_errors_are_json_too(folder: Path, args: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*args, "--json"]) == 2
    told = json.loads(capfd.readouterr().out)
    assert told["code"] == 2
    assert words in told["error"]
    assert not Path("clip.mp4").exists()


@pytest.mark.parametrize("at", ["first", "centre", "last", "1"])
@pytest.mark.parametrize("duration", [1, 1.5, 4, 4.5, 7, 20])
def test_a_joined_loop_of_any_duration_is_all_shown_and_holds_the_keyframe(at: str, duration: float) -> None:
    shot = ShotConfig(keyframe_at=at, duration=duration, loop=Loop.JOIN, before=1)
    plan = plan_shot(shot, ClipConfig(), Segments(5))
    assert plan.frames == plan.made_frames == 32 * duration
    assert 0 <= plan.base_key < plan.base_frames - 1
    assert plan.retiming is None


def test_what_is_kept_belongs_to_all_that_was_asked(folder: Path, weights: Path) -> None:
    """Two lengths of clip that come out at the same number of frames."""
    pipe = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")
    requests = set()
    for frames in (3, 5):
        shot = ShotConfig(frames=frames, duration=1, keyframe_at="first")
        work = pipe.shoot(Image.open("key.png"), PROMPT, shot, workspace=folder / "work").workspace
        requests.add(work and work.request)
    assert len(requests) == 2


def test_a_batch_that_was_stopped_while_it_was_kept_is_made_whole(tmp_path: Path) -> None:
    """Batches of another size would round otherwise; what is there is not written again."""
    made: list[range] = []

    def interpolate(ends: torch.Tensor, level: int, indices: range) -> torch.Tensor:
        made.append(indices)
        return linear_frames(ends, 5)

    workspace = Workspace(tmp_path / "work", {})
    ends = torch.randn(3, 4, 2, 8, 8)
    whole = remembering(interpolate, workspace)(ends, 0, range(8, 11))
    first, second, _ = sorted(workspace.folder.glob("pass-1-*"))
    second.unlink()
    stamp = first.stat().st_mtime_ns
    assert torch.equal(remembering(interpolate, workspace)(ends, 0, range(8, 11)), whole)
    assert torch.equal(remembering(interpolate, workspace)(ends, 0, range(8, 11)), whole)
    assert made == [range(8, 11)] * 2
    assert (first.stat().st_mtime_ns, second.exists()) == (stamp, True)


@pytest.mark.slow
def test_the_manual_s_examples_work_in_their_order(folder: Path) -> None:
    lines = (Path(__file__).parents[3] / "docs" / "usage.md").read_text(encoding="utf-8").splitlines()
    examples = [shlex.split(line)[1:] for line in lines if line.startswith("    microcinema ")]
    assert len(examples) > 15
    for example in examples:
        by_model = example[0] == "animate" and {"--model", "--keyframe-prompt"} & {*example}
        quick = ["--steps=1", "--tsr-steps=1", "--frames=3"] if by_model else []
        assert cli.run([*example, *quick]) == 0, example


def test_a_full_memory_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "sample_latents", lambda *_, **__: torch.empty(2**55))
    assert cli.run(animate("clip.mp4")) == 1
    assert capfd.readouterr().err.startswith("microcinema: error: the memory is full;")
    assert not list(folder.glob("clip*"))


WORK = Path("long-unfinished") / "0"


def finished() -> set[str]:
    return {path.name.removesuffix(ENDING) for path in WORK.glob(f"*{ENDING}") if not path.name.startswith(".")}


# A shell that runs the tests in the background makes its children ignore Ctrl-C; the program must not inherit that.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from microcinema_core.cli import main; main()"
)


def stopped_after(args: list[str], count: int, number: signal.Signals) -> tuple[int, str]:
    """Run a process until it has kept so many results, then send it a signal; returns its code and messages."""
    command = [sys.executable, "-c", PROGRAM, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _until(lambda: len(finished()) >= count or process.poll() is not None)
        process.send_signal(number)
        _, messages = process.communicate()
    return process.returncode, messages


def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)


def test_a_shot_stopped_by_ctrl_c_and_by_a_kill_is_finished_by_the_same_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clip, 8 segments, then 32 in batches of 8: stopped after the first and after the second batch of these."""
    args = animate("long/", frames=9, passes=2, tsr_steps=2)
    code, messages = stopped_after(args, 1 + 8 + 8, signal.SIGINT)
    note, error = messages.splitlines()
    assert code == 130
    assert note.startswith(f"microcinema: note: what is done is kept in {WORK.parent};")
    assert error == "microcinema: error: stopped"
    assert not Path("long").exists()
    stamps = {name: (WORK / f"{name}{ENDING}").stat().st_mtime_ns for name in finished()}

    code, messages = stopped_after(args, len(stamps) + 8, signal.SIGKILL)
    assert (code, messages) == (-signal.SIGKILL, "")
    assert not Path("long").exists()
    assert stamps == {name: (WORK / f"{name}{ENDING}").stat().st_mtime_ns for name in stamps}
    before, again = finished(), set()
    assert len(before) < 41

    keep = Workspace.keep
    monkeypatch.setattr(Workspace, "keep", lambda self, name, made: (again.add(name), keep(self, name, made)))
    assert cli.run(args) == 0
    assert not again & before
    assert len(again | before) == 41
    assert not WORK.parent.exists()
    assert np.array_equal(pictures(Path("long")), wrote("whole/", frames=9, passes=2, tsr_steps=2))
