"""`microcinema shards`, and what is learnt from what it makes."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from microcinema_core import cli
from microcinema_core.files import sha256_of
from microcinema_core.media import save_clip
from microcinema_core.media.films import read_frames
from microcinema_core.training.data import packing
from microcinema_core.training.data.catalogue import find_films


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Of several sizes, with names that a shard cannot have as they are; one is damaged."""
    folder = tmp_path / "videos"
    for i, name in enumerate(("a.b.mp4", "a_b.webm", "deep/é.gif", "film.mp4")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = np.random.default_rng(i).integers(0, 256, (8, 32 + 16 * i, 48, 3), np.uint8)
        save_clip(path, frames, 8.0, {})
        path.with_suffix(".txt").write_text(f"It is film {i}\n")
    (folder / "bad.mp4").write_bytes(b"no video")
    (folder / "bad.txt").write_text("It is bad")
    return folder


def shards(*words: object) -> int:
    return cli.run(["shards", *map(str, words)])


def test_what_goes_in_comes_out(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shards"
    assert shards(videos, "--out", out, "--json") == cli.DONE
    said = json.loads(capsys.readouterr().out)
    assert (said["videos"], said["left_out"], len(said["shards"])) == (4, 1, 1)
    assert said["bytes"] == (out / "films-00000.tar").stat().st_size
    assert {path.name for path in out.iterdir()} == {"films-00000.tar", "films.json", "left-out.csv"}
    assert "bad.mp4,cannot be read as a video" in (out / "left-out.csv").read_text()
    with tarfile.open(out / "films-00000.tar") as tar:
        names = tar.getnames()
    stems = [name.rpartition("/")[2].partition(".")[0] for name in names]
    assert stems[::2] == stems[1::2]
    assert len(set(stems)) == 4
    whole, _ = find_films(videos, tmp_path / "a.jsonl")
    packed, none = find_films(out, tmp_path / "b.jsonl")
    assert not none
    for one, other in zip(whole, packed, strict=True):
        assert (one.text, one.seconds) == (other.text, other.seconds)
        pairs = zip(read_frames(one.video, [0.2, 0.9]), read_frames(other.video, [0.2, 0.9]), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)  # of other sizes, too
    assert [film.key for film in find_films(f"{out}/films-{{00000..00000}}.tar", tmp_path / "c.jsonl")[0]] == [
        film.key for film in packed
    ]


def test_stopped_it_goes_on_and_a_film_keeps_its_key(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["microcinema_core.cli.shards"], "MEGABYTE", 1000)  # a film a shard
    out, add = tmp_path / "shards", packing._add

    def stopping(tar: tarfile.TarFile, film: object) -> None:
        if len(list(out.glob("films-*.tar"))) == 2:
            raise KeyboardInterrupt
        add(tar, film)

    with monkeypatch.context() as patched:
        patched.setattr(packing, "_add", stopping)
        assert shards(videos, "--out", out, "--size", 1) == cli.INTERRUPTED
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert len(stamps) == 2
    (out / ".films-00002-xyz.tar").write_bytes(b"of a run that was killed")
    assert shards(videos, "--out", out, "--size", 1) == cli.DONE
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert sorted(path.name for path in out.glob("*.tar")) == [f"films-0000{i}.tar" for i in range(4)]
    hashes = list(map(sha256_of, sorted(out.glob("*.tar"))))
    assert shards(videos, "--out", out, "--size", 2) == cli.WRONG_INPUT
    assert "which was not made of these videos with this size" in capsys.readouterr().err
    assert list(map(sha256_of, sorted(out.glob("*.tar")))) == hashes
    assert shards(videos, "--out", tmp_path / "one") == cli.DONE
    keys = [[film.key for film in find_films(folder, tmp_path / "x.jsonl")[0]] for folder in (out, tmp_path / "one")]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("videos", "videos/shards", "lies in the folder that is read"),
        ("nothing", "shards", "nothing: does not exist; give a folder of videos"),
        ("pipe:cat", "shards", "pipe:cat: is an address"),
        ("videos/bad", "shards", "bad.mp4: cannot be read as a video"),
        ("videos", "file/shards", "is a file, not a folder"),
    ],
)
def test_what_cannot_be_packed(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, out: str, message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (videos / "bad").mkdir()
    for name in ("bad.mp4", "bad.txt"):
        shutil.copy(videos / name, videos / "bad")
    assert shards(source, "--out", out) == cli.WRONG_INPUT
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.tar"))
