"""The comparison of two revisions: which cases there are, how files are told apart, and what a verdict needs."""

import json
import math
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from studies.before_after import __main__ as command
from studies.before_after.cases import Case, all_cases, chosen, examples
from studies.before_after.checkout import ROOT, Checkout, RunFailed, checked_out
from studies.before_after.differences import arrays_of, compare_folders
from studies.before_after.host import lossless

in_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy without its history")

MANUAL = """
    microcinema keyframe --prompt "A star" --out star.png
    microcinema animate --image star.png --out frames/
    microcinema animate --image star.png --out star.gif
    microcinema inspect frames/frame-0000.png
    make demo
"""


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same picture, tensors and words."""
    folders = tmp_path / "before" / "case", tmp_path / "after" / "case"
    for folder in folders:
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "frame.png")
        save_file({"z": np.zeros(3, np.float32)}, folder / "z.latent")
        (folder / "said.txt").write_text("made", encoding="utf-8")
    return folders


def checkouts(folder: Path) -> list[Checkout]:
    made = [Checkout(name, ROOT, folder / name, threads=1) for name in ("before", "after")]
    for checkout in made:
        checkout.made.mkdir(exist_ok=True)
    return made


def test_every_example_of_the_manual_is_a_case_and_reads_the_latest_file_of_that_name() -> None:
    cases = examples(MANUAL)
    assert [case.reads for case in cases] == [
        (),
        (("example-01", "star.png"),),
        (("example-01", "star.png"),),
        (("example-02", "frames/"),),
    ]
    again = examples(MANUAL + "    microcinema keyframe --out star.png\n    microcinema inspect star.png\n")
    assert again[-1].reads == (("example-05", "star.png"),)


def test_cases_of_this_repository() -> None:
    cases = all_cases(ROOT)
    lines = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8").count("\n    microcinema ")
    assert len(cases) == lines + 3  # the demo in two forms, and the workflow
    assert len({case.folder for case in cases}) == len(cases)


def test_a_chosen_case_brings_what_it_reads() -> None:
    cases = examples(MANUAL)
    assert [case.folder for case in chosen(cases, "inspect")] == ["example-01", "example-02", "example-04"]
    assert chosen(cases, "") == cases
    assert chosen(cases, "no such") == []


def test_equal_folders(sides: tuple[Path, Path]) -> None:
    assert str(compare_folders(*sides)) == "equal byte for byte"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(sides[1] / "frame.png", compress_level=0)
    found = compare_folders(*sides)
    assert (found.files, found.frames, found.apart, str(found)) == (3, 1, {}, "equal in every value")


def test_the_largest_difference_of_each_file(sides: tuple[Path, Path]) -> None:
    Image.fromarray(np.full((4, 4, 3), 255, np.uint8)).save(sides[0] / "frame.png")  # 0 - 255 must not wrap
    save_file({"z": np.array([0, 0, 2**-24], np.float32)}, sides[1] / "z.latent")
    found = compare_folders(*sides)
    assert found.apart == {"frame.png": 255, "z.latent": 2**-24}
    assert str(found) == "2 of 3 files differ, most of all frame.png: by 255"


@pytest.mark.parametrize("change", ["shape", "name", "nan", "words", "missing"])
def test_differences_that_are_not_of_numbers(sides: tuple[Path, Path], change: str) -> None:
    after = sides[1]
    if change == "words":
        (after / "said.txt").write_text("make", encoding="utf-8")
    elif change == "missing":
        (after / "z.latent").unlink()
    else:
        tensors = {"shape": {"z": np.zeros(4)}, "name": {"y": np.zeros(3)}, "nan": {"z": np.array([0, 0, np.nan])}}
        save_file({name: array.astype(np.float32) for name, array in tensors[change].items()}, after / "z.latent")
    found = compare_folders(*sides)
    assert list(found.apart.values()) == [math.inf]
    assert str(found).endswith("in more than its numbers")


def test_a_video_is_its_frames_and_their_times(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=4, width=32, height=16, pix_fmt="yuv420p")
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8))))
        container.mux(stream.encode())
    arrays = arrays_of(path)
    assert arrays["frames"].shape == (3, 16, 32, 3)
    assert arrays["times"].tolist() == [0, 0.25, 0.5]


def test_a_difference_fails_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ALLOWED", {"--strength 0 ": "another rule"})
    told = Case("tell", "tell", lambda checkout, folder: checkout.name)
    asked = Case("tell --strength 0 ", "allowed", told.make)
    same = Case("same", "same", lambda checkout, folder: f"made in {len(checkout.name)}.5 s")
    rows = command.run([told, asked, same], checkouts(tmp_path))
    assert [row.passed for row in rows] == [False, True, True]
    assert rows[1].verdict.endswith("; allowed: another rule")
    assert rows[2].verdict == "equal byte for byte"
    assert "| tell | 1 files | **1 of 1 files differ" in command.table(rows)


def test_what_a_case_reads_is_there_and_is_not_compared_again(tmp_path: Path) -> None:
    def make(_: Checkout, folder: Path) -> str:
        (folder / "frames").mkdir()
        (folder / "frames" / "0.txt").touch()
        return ""

    def read(_: Checkout, folder: Path) -> str:
        return str(sorted(path.name for path in folder.rglob("*")))

    cases = [Case("make", "one", make), Case("read", "two", read, (("one", "frames/"),))]
    cases.append(Case("lack", "three", read, (("one", "star.png"),)))
    rows = command.run(cases, checkouts(tmp_path))
    assert [row.passed for row in rows] == [True, True, False]
    assert (tmp_path / "after" / "two" / "said.txt").read_text(encoding="utf-8") == "['0.txt', 'frames']"
    assert rows[1].compared == "1 files"
    assert rows[2].verdict == "before: star.png was not made before"


def test_the_program_is_the_checkout_s_own(tmp_path: Path) -> None:
    made = Checkout("before", ROOT, tmp_path, threads=1)
    made.check_own_package()
    assert made.program(["--version"], tmp_path).startswith("microcinema ")
    with pytest.raises(RunFailed, match=r"exit 2: .*no-such"):
        made.program(["inspect", "no-such.png"], tmp_path)
    with pytest.raises(RunFailed, match="leave that one's environment"):
        Checkout("before", tmp_path, tmp_path, threads=1).check_own_package()


@in_git
def test_a_revision_that_is_not_there(tmp_path: Path) -> None:
    lacking = checked_out("before", "no-such-revision", tmp_path, tmp_path, threads=1)
    with pytest.raises(RunFailed, match="no-such-revision"), lacking:
        raise AssertionError


@in_git
def test_a_checkout_goes_when_it_is_no_longer_used(tmp_path: Path) -> None:
    with checked_out("before", "HEAD", tmp_path, tmp_path / "made", 1) as checkout:
        assert (checkout.tree / "Makefile").is_file()
    assert not checkout.tree.exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert str(checkout.tree) not in listed.stdout


def test_the_workflow_also_saves_without_loss() -> None:
    graph = json.loads((ROOT / "docs" / "api" / "toybox-picture-to-video.json").read_text(encoding="utf-8"))
    added = {name: node for name, node in lossless(graph).items() if name not in graph}
    assert {node["class_type"] for node in added.values()} == {"SaveImage", "SaveLatent"}
    asked = [node["inputs"].get("images") or node["inputs"]["samples"] for node in added.values()]
    assert all(source in graph for source, _ in asked)
