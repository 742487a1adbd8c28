"""`make gpu-check`: its limits, verdicts and table with parts of no work; every real part in its smallest form."""

import importlib.util
import math
import time
from pathlib import Path

import numpy as np
import pytest

from studies.gpu_check import __main__ as command
from studies.gpu_check import speed
from studies.gpu_check.part import Figure, Part, Task
from studies.gpu_check.pictures import EQUAL, psnr
from studies.gpu_check.plan import plan
from studies.gpu_check.schedule import Check, Outcome
from studies.gpu_check.table import page, rows, table, verdict

PARTS = """
import os, sys, time
from pathlib import Path
from studies.gpu_check.part import Figure, LeftOut

def run(task, gate):
    if task.option == "crash before":
        raise RuntimeError("no such kernel")
    gate()
    yield Figure("device " + task.device, 1.0)
    Path(task.folder / "seen").write_text(str(time.time()))
    if task.option == "crash":
        os.abort()
    if task.option == "hang":
        os.fork() or time.sleep(60)
        time.sleep(60)
    if task.option == "left":
        raise LeftOut("no ComfyUI")
    yield Figure("ratio", 2.0 if task.option == "slow" else 0.5, limit=1.0)
"""


def check(
    folder: Path, parts: list[Part], monkeypatch: pytest.MonkeyPatch, budget: float = 60, **more
) -> list[Outcome]:
    (folder / "trivial.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    task = Task("", "", "cpu", True, folder / "work" / "all")
    return Check(parts, task, budget, **more).run()


def part(name: str, turn: int = 1, limit: float = 30.0, **more) -> Part:
    return Part(name, "trivial", turn, limit, name, **more)


def test_a_part_that_fails_stops_no_other_and_loses_nothing_it_had_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("crash", "crash before", "left", "slow", "fine")
    begin = time.monotonic()
    made = check(tmp_path, [part("hang", limit=4.0), *(part(name) for name in names)], monkeypatch)
    by_name = {outcome.part.name: outcome for outcome in made}
    assert time.monotonic() - begin < 30  # what hangs was ended, with the process that it had started
    assert list(by_name) == ["hang", *names]
    assert [len(by_name[name].figures) for name in by_name] == [1, 1, 0, 1, 2, 2]
    assert by_name["hang"].failed == "did not end within 4 s"
    assert "exit status -6" in by_name["crash"].failed
    assert by_name["crash before"].failed == "RuntimeError: no such kernel (exit status 1)"
    assert by_name["left"].left_out == "no ComfyUI"
    assert [outcome.part.name for outcome in made if not outcome.right] == ["hang", "crash", "crash before", "slow"]
    told = verdict(made)
    assert told.startswith("1 of 6 parts are right; FAIL: hang, crash, crash before, slow; left out")


def test_parts_wait_for_their_turn_and_for_what_they_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [part("second", 2), part("first", 1), part("late", 2, after=("aside",)), part("aside", 1, background=True)]
    made = check(tmp_path, parts, monkeypatch)
    assert all(outcome.right for outcome in made)
    seen = {p.name: float((tmp_path / "work" / p.name / "seen").read_text(encoding="utf-8")) for p in parts}
    assert seen["first"] < seen["second"]
    assert seen["aside"] < seen["late"]


def test_what_has_no_time_or_no_memory_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part("large", memory=100), part("hang", 1), part("after", 3)]
    made = check(tmp_path, parts, monkeypatch, budget=1.5, free=lambda: 99.0)
    assert [outcome.left_out for outcome in made] == [
        "needs 100 MiB of the GPU's memory, 99 are free", "no time was left: cut off", "no time was left",
    ]  # fmt: skip
    assert all(outcome.right for outcome in made)
    assert "0 of 3 parts are right; left out" in verdict(made)


@pytest.mark.parametrize(
    ("figure", "right"),
    [
        (Figure("told", 7.0), True),
        (Figure("at most", 1.0, limit=1.0), True),
        (Figure("at most", 1.01, limit=1.0), False),
        (Figure("at least", 40.0, limit=40.0, least=True), True),
        (Figure("at least", 39.0, limit=40.0, least=True), False),
        (Figure("no number", math.nan), False),
        (Figure("no number", math.inf, limit=40.0, least=True), False),
    ],
)
def test_verdicts(figure: Figure, right: bool) -> None:
    assert figure.right is right
    assert rows(Outcome(part("x"), [figure]))[0][-1] == ("ok" if right else "FAIL")


def test_the_table_has_a_line_for_each_figure_and_for_what_is_missing() -> None:
    frames = Figure("picture | fp32", 41.234, "dB", 40.0, least=True)
    made = [
        Outcome(part("frames"), [frames, Figure("peak", 1234.5, "MiB")], 12.3),
        Outcome(part("shot"), [], 40.2, failed="did not end within 40 s"),
        Outcome(part("host"), left_out="no ComfyUI"),
    ]
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table(made).splitlines()]
    assert len(set(map(len, table(made).splitlines()))) == 1
    assert lines[2] == ["frames, 12 s", "picture \\| fp32", "41.2 dB", "at least 40 dB", "ok"]
    assert lines[3] == ["", "peak", "1234 MiB", "", "ok"]
    assert lines[4] == ["shot, 40 s", "to its end", "", "", "FAIL: did not end within 40 s"]
    assert lines[5] == ["host, 0 s", "all of it", "", "", "left out: no ComfyUI"]
    text = page(made, "Card, torch 2", 100.0, tiny=False)
    assert text.startswith("# GPU check: Card, torch 2\n")
    assert "1 of 3 parts are right; FAIL: shot; left out, all or a part of it: host." in text


def test_the_worst_frame_counts() -> None:
    one = np.zeros((2, 4, 4, 3), np.uint8)
    two = one.copy()
    assert psnr(one, two) == EQUAL
    two[1] = 255
    assert psnr(one, two) == 0.0
    assert math.isnan(psnr(one, two[:1]))


def test_every_part_has_its_module_and_comes_after_those_it_compares_with() -> None:
    for card in (True, False):
        parts = plan(card=card)
        turns = {p.name: 0 if p.background else p.turn for p in parts}
        assert len(turns) == len(parts)
        assert all(importlib.util.find_spec(p.module) for p in parts)
        assert {name for p in parts for name in p.after} <= set(turns)
    sizes = {(m.pixels, m.compiled) for option in ("eager", "320", "512") for m in speed.plan(option) if m.guided}
    assert sizes == {(side, how) for side in speed.AIMS for how in speed.Compiled if how != "both-compiled"}


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.torch.cuda, "is_available", lambda: False)
    assert command.main([]) == 0
    assert "--device cpu --tiny" in capsys.readouterr().out


def test_parts_are_chosen_with_what_they_are_compared_with(capsys: pytest.CaptureFixture[str]) -> None:
    parts = plan(card=True)
    found = command.chosen(parts, ["ComfyUI, float8"])
    assert [p.name for p in found] == ["ComfyUI on the CPU", "ComfyUI", "ComfyUI, float8"]
    assert command.chosen(parts, None) == parts
    with pytest.raises(SystemExit):
        command.main(["--device", "cpu", "--tiny", "--only", "shots"])
    assert "no part is called 'shots'; there are: step, shot," in capsys.readouterr().err


@pytest.mark.slow
def test_every_part_runs_in_its_smallest_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--out", str(tmp_path), "--work", str(tmp_path / "work")]
    status = command.main(["--device", "cpu", "--tiny", "--minutes", "9", *folders])
    assert status == 0, capsys.readouterr().out
    assert "# GPU check: CPU" in (tmp_path / "gpu-check-cpu.md").read_text(encoding="utf-8")
