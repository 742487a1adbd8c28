"""Unfinished work: what is damaged or of another request is made again, a stranger's files stay, one run at a time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from microcinema_core.errors import InputError
from microcinema_core.standalone.workspace import LOCK, Workspace, in_use, lock_of, remembered

REQUEST = {"seed": 1}


def latents(value: float = 1.0) -> torch.Tensor:
    return torch.full((4, 3, 2, 2), value)


def kept_by(folder: Path, value: float = 1.0) -> Path:
    """A folder with one result; returns its file."""
    workspace = Workspace(folder, REQUEST)
    workspace.keep("clip+0000", latents(value))
    return workspace.path("clip+0000")


def test_what_is_kept_comes_back_for_the_same_request_only(tmp_path: Path) -> None:
    kept_by(tmp_path)
    found = Workspace(tmp_path, REQUEST).kept("clip+0000")
    assert found is not None
    assert torch.equal(found, latents())
    assert Workspace(tmp_path, {"seed": 2}).kept("clip+0000") is None
    assert Workspace(tmp_path, REQUEST).kept("clip+0001") is None


def test_two_hundred_damages_are_found_and_mended(tmp_path: Path) -> None:
    """A flipped bit, a cut, bytes put in or taken out, anywhere: never used, never in the way."""
    path = kept_by(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(200):
        at, data = int(rng.integers(len(whole))), bytearray(whole)
        match number % 4:
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case _:
                data[at] ^= 0xFF
                data[-1] ^= 1
        path.write_bytes(data)
        found = Workspace(tmp_path, REQUEST).kept("clip+0000")
        assert found is None or torch.equal(found, latents()), number  # a bit of the padding says nothing
        made = remembered("clip+0000", latents, Workspace(tmp_path, REQUEST))
        assert torch.equal(made, latents())
        again = Workspace(tmp_path, REQUEST).kept("clip+0000")
        assert again is not None
        assert torch.equal(again, latents()), number


def test_latents_of_another_shape_are_made_again(tmp_path: Path) -> None:
    """As another program would write them, and as somebody would who edits the file."""
    path = kept_by(tmp_path)
    save_file({"latents": torch.zeros(1, 1, 1, 1)}, path)
    assert torch.equal(remembered("clip+0000", latents, Workspace(tmp_path, REQUEST)), latents())
    path.unlink()
    path.mkdir()
    assert Workspace(tmp_path, REQUEST).kept("clip+0000") is None


@pytest.mark.parametrize("name", ["request.json", "notes.txt", "clip+0000.safetensors", ".git", "pictures/a.png"])
def test_only_what_was_written_here_is_ever_removed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "work"
    strange = folder / name
    strange.parent.mkdir(parents=True)
    if name == ".git":
        strange.mkdir()
    else:
        strange.write_bytes(b"a stranger's")
    path = kept_by(folder)
    (folder / ".clip+0001.microcinema-abc_1234.safetensors").write_bytes(b"what a sudden end left")
    workspace = Workspace(folder, {"seed": 2})
    workspace.keep("clip+0001", latents())
    workspace.remove()
    assert not path.exists()
    assert [item for item in folder.rglob("*") if item.is_file()] == ([] if name == ".git" else [strange])
    assert strange.exists()


def test_nothing_is_left_where_nothing_else_was(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    kept_by(folder)
    Workspace(folder, REQUEST).remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_would_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(b"")
    with pytest.raises(InputError, match="is a file where unfinished work would be kept"):
        Workspace(tmp_path / "work", REQUEST)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """Whoever holds the folder may take it again; the lock goes with the last hold, and a dead run's is no lock."""
    folder = tmp_path / "work"
    workspace, other = Workspace(folder, REQUEST), Workspace(folder, REQUEST)
    with workspace.in_use():
        workspace.keep("a", latents())
        with pytest.raises(InputError, match="another run is at work there"), other.in_use():
            pass
        other.remove()  # not while it is in use
        assert workspace.kept("a") is not None
        workspace.remove()
        assert workspace.kept("a") is None
        with pytest.raises(InputError, match="another run"), other.in_use():
            pass
    assert not folder.exists()
    folder.mkdir()
    (folder / LOCK).write_bytes(b"")  # of a run that was killed
    with in_use(folder, lock_of(folder)):
        pass
    assert not folder.exists()


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """The limit of a process's files, in the place of a disk's: the library below raises an error of its own."""
    script = f"""
import resource, signal, torch
from pathlib import Path
from microcinema_core.standalone.workspace import Workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Workspace(Path({str(tmp_path / "work")!r}), {{}}).keep("a", torch.zeros(10_000))
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "a.microcinema.safetensors: not written (" in done.stdout, done.stderr
    assert "File too large" in done.stdout
    assert done.stdout.count("\n") == 1
    assert list((tmp_path / "work").iterdir()) == []


def pairs(folder: Path, weights: Path, count: int) -> list[tuple[int, int]]:
    """Exit codes of runs that are started two at a time on one name."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(folder / "key.png")
    options = ["--prompt=a red star", "--out=clip.mp4", "--steps=2", "--frames=3", "--passes=1", "--tsr-steps=1"]
    command = [sys.executable, "-m", "microcinema_core.cli", "animate", "--image=key.png", *options]
    codes = []
    for number in range(count):
        seeds = (0, number % 2)  # the same work, and other work under the same name
        runs = [
            subprocess.Popen(
                [*command, f"--model={weights / 'toybox-video.safetensors'}", f"--seed={seed}"],
                cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            for seed in seeds
        ]  # fmt: skip
        said = [run.communicate()[1] for run in runs]
        codes.append((runs[0].returncode, runs[1].returncode))
        for run, line in zip(runs, said, strict=True):
            if run.returncode:
                assert line.count("\n") == 1, line
                assert "another run is at work there; wait until it is done, or choose another name" in line
        assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "key.png"], number
    return codes


def test_two_runs_on_one_name(tmp_path: Path, weights: Path) -> None:
    assert set(pairs(tmp_path, weights, 2)) <= {(0, 2), (2, 0), (0, 0)}


@pytest.mark.slow
def test_fifty_pairs_of_runs_on_one_name(tmp_path: Path, weights: Path) -> None:
    codes = pairs(tmp_path, weights, 50)
    assert set(codes) <= {(0, 2), (2, 0), (0, 0)}
    assert codes.count((0, 0)) < 40  # or nothing was tried
