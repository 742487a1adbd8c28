"""Pocket's training on one card: its driver with stages of no work, what travels there, and what comes back."""

import os
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from microcinema_core.config import Kind
from microcinema_core.errors import InputError
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.provenance import COMMIT, code_commit
from studies.pocket.gpu import __main__ as command
from studies.pocket.gpu.clock import STOPPED, ActiveClock, active_clock
from studies.pocket.gpu.configured import written
from studies.pocket.gpu.pack import few, pack
from studies.pocket.gpu.plan import Place, plan
from studies.pocket.gpu.results import LOG, SHEETS, Results, joined, split
from studies.pocket.gpu.runner import PAUSE, Runner, last_line, spare_cores
from studies.pocket.gpu.stage import Outcome, Stage

TICKS = "import time\nfor i in range({}): print(i, flush=True); time.sleep(.05)"


def stage(name: str, code: str, until: float = 1.0, **more) -> Stage:
    return Stage(name, lambda _: ["-c", code], until, **more)


def run(folder: Path, *stages: Stage, seconds: float = 20.0, **more) -> dict[str, Outcome]:
    outcomes = Runner(stages, folder, seconds, ActiveClock(folder), **{"say": lambda _: None, **more}).run()
    return {outcome.stage.name: outcome for outcome in outcomes}


def test_a_stage_that_fails_or_hangs_stops_no_other(tmp_path: Path) -> None:
    said: list[str] = []
    made = run(
        tmp_path,
        stage("hangs", "import os, time; os.fork(); time.sleep(60)", until=0.1),
        stage("fails", "raise ValueError('no such picture')"),
        stage("after", f"open({str(tmp_path / 'made')!r}, 'w')", after=("hangs", "fails")),
        say=said.append,
    )
    assert made["fails"].told == "exit status 1: ValueError: no such picture"
    assert made["hangs"].told == "cut off: its time was over"
    assert 1.5 < made["hangs"].seconds < 6
    assert made["after"].well
    assert (tmp_path / "made").exists()
    assert any(line.startswith("fails: 20 s for -c") for line in said)


def test_what_cannot_begin_or_be_collected_is_said(tmp_path: Path) -> None:
    said: list[str] = []

    def words(_: float) -> list[str]:
        raise InputError("no pictures")

    def collect() -> None:
        raise OSError("disk full")

    made = run(tmp_path, Stage("first", words, 1.0), stage("second", ""), say=said.append, collect=collect)
    assert made["first"].told == "could not begin: no pictures"
    assert made["second"].well
    assert said.count("not collected: disk full") == 2


def test_what_has_no_time_is_left_out(tmp_path: Path) -> None:
    made = run(tmp_path, stage("slow", TICKS.format(100)), stage("late", "", 0.1, after=("slow",)), seconds=1.5)
    assert made["late"].told == "no time was left"
    assert made["slow"].seconds < 5


def test_each_is_told_the_time_it_has_when_it_starts(tmp_path: Path) -> None:
    told: list[float] = []

    def words(seconds: float) -> list[str]:
        told.append(seconds)
        return ["-c", ""]

    run(tmp_path, stage("first", TICKS.format(10)), Stage("second", words, 0.5, ("first",)))
    assert 7 < told[0] < 9.6


def test_what_runs_aside_has_other_cores_and_no_card(tmp_path: Path) -> None:
    code = (
        "import os, time; time.sleep(.3)\n"
        f"open({str(tmp_path / 'seen')!r}, 'w').write(repr((os.sched_getaffinity(0), os.nice(0), "
        "os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OMP_NUM_THREADS'])))"
    )
    assert run(tmp_path, stage("aside", code, aside=True))["aside"].well
    nice = os.nice(0)
    assert (tmp_path / "seen").read_text() == repr((spare_cores(), max(10, nice), "", "1"))


def test_a_pause_stops_everything_and_does_not_count(tmp_path: Path) -> None:
    """The stage's own clock, as a training run reads it, leaves the pause out, too."""
    code = (
        "import sys, time; from pathlib import Path; from studies.pocket.gpu.clock import active_clock\n"
        f"clock = active_clock(Path({str(tmp_path / STOPPED)!r})); a, b = clock(), time.monotonic()\n"
        "while clock() < a + 1.5: time.sleep(.02)\n"
        f"open({str(tmp_path / 'passed')!r}, 'w').write(str(time.monotonic() - b))"
    )
    pause = tmp_path / PAUSE

    def wanted() -> None:
        time.sleep(1.0)
        pause.touch()
        time.sleep(3.0)
        pause.unlink()

    thread = threading.Thread(target=wanted)
    thread.start()
    begun = time.monotonic()
    made = run(tmp_path, stage("clock", code, until=0.95), seconds=12.0)
    passed = time.monotonic() - begun
    thread.join()
    assert made["clock"].well
    assert made["clock"].seconds < passed - 2.5
    assert 1.4 < float((tmp_path / "passed").read_text()) < 1.5 + 3.5


def test_the_clock_stands_while_it_is_stopped(tmp_path: Path) -> None:
    now = [100.0]
    clock = ActiveClock(tmp_path, lambda: now[0])
    other = active_clock(tmp_path / STOPPED, lambda: now[0])
    assert (clock(), other()) == (0, 100)
    now[0] += 5
    clock.stop()
    now[0] += 7
    assert clock() == 5
    clock.go_on()
    assert (clock(), other()) == (5, 105)
    now[0] += 1
    assert (clock(), other()) == (6, 106)


def test_of_a_bar_the_last_state_is_told() -> None:
    assert last_line("one\ntwo 1/4\rtwo 2/4\r\n") == "two 2/4"
    assert last_line("\n \r") == ""
    assert last_line("\rvideo:   1%|▎ | 13/1000 [00:09<01:26,  8.94it/s, loss=3.5]") == "video 13, 8.94it/s, loss=3.5]"


def weights(path: Path, *sizes: int) -> dict[str, np.ndarray]:
    tensors = {
        f"unet.{i}": np.random.default_rng(i).normal(size=size).astype(np.float16) for i, size in enumerate(sizes)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"microcinema.format": "1"})
    return tensors


def test_a_large_file_travels_in_parts_and_is_whole_again(tmp_path: Path) -> None:
    tensors = weights(tmp_path / "model.safetensors", 500, 400, 700, 10)
    parts = split(tmp_path / "model.safetensors", 2000)
    assert [sorted(part) for part, _ in parts] == [["unet.0", "unet.1"], ["unet.2", "unet.3"]]
    paths = [tmp_path / f"part-{i}.safetensors" for i in range(2)]
    for path, (part, about) in zip(paths, parts, strict=True):
        save_file(part, path, metadata=about)
    joined(paths, tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert all(np.array_equal(again[name], value) for name, value in tensors.items())
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_what_there_is_comes_back_and_what_is_newer_again(tmp_path: Path) -> None:
    model, sheets, logs = tmp_path / "run" / "model.safetensors", tmp_path / "run" / "samples", tmp_path / "logs"
    logs.mkdir()
    (logs / "video.log").write_bytes(b"begins\nbar 1/2\rbar 2/2\nloss 0.5\n")
    results = Results(tmp_path / "out", logs, [("video", model), ("sheets", sheets)], ["  1.0s begun"])
    results.collect()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [LOG, SHEETS]
    log = (tmp_path / "out" / LOG).read_text()
    assert log == "  1.0s begun\n\n== video\nbegins\nbar 2/2\nloss 0.5\n\n"
    weights(model, 3)
    sheets.mkdir()
    (sheets / "step-1.png").write_bytes(b"png")
    results.collect()
    first = (tmp_path / "out" / "video.safetensors").read_bytes()
    with tarfile.open(tmp_path / "out" / SHEETS) as archive:
        assert archive.getnames() == ["sheets/step-1.png"]
    weights(model, 4)
    results.collect()
    assert (tmp_path / "out" / "video.safetensors").read_bytes() != first
    assert results.excess() == ""
    for i in range(8):
        (tmp_path / "out" / str(i)).touch()
    assert results.excess().startswith("11 files")


def test_what_is_packed_keeps_within_its_room_held_out_pictures_first(tmp_path: Path) -> None:
    for kind in ("pictures", "cut-outs"):
        for part, count in (("train", 20), ("final", 3), ("select", 2)):
            (tmp_path / "pool" / kind / part).mkdir(parents=True)
            for i in range(count):
                (tmp_path / "pool" / kind / part / f"{i}.jpg").write_bytes(bytes(100))
    (tmp_path / "start").write_bytes(bytes(500))
    folder = tmp_path / "packed"
    assert pack(tmp_path / "pool", {"start.safetensors": tmp_path / "start"}, folder, 2500) == 2500
    counts = {str(path.relative_to(folder)): len(list(path.iterdir())) for path in folder.glob("*/*")}
    assert (folder / "commit.txt").read_text() == code_commit()
    assert counts == {
        "pictures/final": 3, "pictures/select": 2, "pictures/train": 5, "cut-outs/final": 3, "cut-outs/select": 2,
        "cut-outs/train": 5,
    }  # fmt: skip
    assert command.main(["--pack", str(folder), "--pictures", str(tmp_path / "pool")]) == 0
    assert len(list(folder.rglob("*.jpg"))) == 50
    assert len(list(few(folder, tmp_path / "few", 2).rglob("*.jpg"))) == 12
    assert (tmp_path / "few" / "commit.txt").exists()


def test_code_without_its_history_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMIT, "abc")
    assert code_commit() == "abc"


def test_a_configuration_is_written_for_another_place(tmp_path: Path) -> None:
    config = TrainConfig.load(Path(__file__).parents[2] / "configs" / "toybox-video.toml")
    path = written(config, tmp_path / "a.toml", out=str(tmp_path / "run"), steps=7, data={"clips": 3})
    read = TrainConfig.load(path)
    assert (read.stage, read.steps, read.data.clips, read.out) == (Kind.VIDEO, 7, 3, str(tmp_path / "run"))
    assert read.optimiser == config.optimiser
    assert read.data.other_keyframes == config.data.other_keyframes


def test_only_its_own_work_is_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis").touch()
    with pytest.raises(InputError, match="choose another --work"):
        command.fresh(tmp_path)
    assert (tmp_path / "thesis").exists()
    (tmp_path / STOPPED).touch()
    assert not list(command.fresh(tmp_path).iterdir())


def test_every_stage_follows_on_those_that_it_reads(tmp_path: Path) -> None:
    stages = plan(Place(tmp_path, tmp_path))
    assert "text" in {one.name for one in stages}
    (tmp_path / "text.safetensors").touch()
    stages = plan(Place(tmp_path, tmp_path))
    assert "text" not in {one.name for one in stages}
    assert [one.name for one in stages][-4:] == ["video", "fill", "figures", "round-trip"]
    ends = {one.name: one.until for one in stages}
    assert all(ends[name] <= one.until for one in stages for name in one.after if name in ends)
    assert max(ends.values()) <= 0.95
