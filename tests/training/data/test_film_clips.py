"""Videos as material: what is encoded, when, by whom, and what an excerpt follows from."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from microcinema_core.config import ClipConfig
from microcinema_core.errors import CheckpointError, InputError
from microcinema_core.media import Frames, save_clip
from microcinema_core.training.data import catalogue, film_clips
from microcinema_core.training.data.ahead import ahead
from microcinema_core.training.data.catalogue import Films, find_films
from microcinema_core.training.data.division import divided
from microcinema_core.training.data.film_clips import FilmClips, FilmMaterial
from microcinema_core.training.data.report import VideoReport

CLIP = ClipConfig(frames=3, fps=8.0, width=16, height=16)


class Means:
    """In the place of an autoencoder: each colour's mean of eight by eight pixels."""

    weights, device = "means", torch.device("cpu")
    codec = SimpleNamespace(downscale=8, at_once=lambda height, width, device: 7)

    def encode(self, pictures: Iterable[Frames]) -> Tensor:
        pixels = torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2).float()
        return torch.nn.functional.avg_pool2d(pixels, 8) / 255


class Place:
    """A folder of films and what is kept of them; it counts what is decoded."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.films = folder, folder / "films"
        self.films.mkdir()
        self.decoded: Counter[str] = Counter()
        self.report = VideoReport(folder, str(self.films))

    def film(self, name: str, tone: int = 0) -> None:
        frames = np.full((10, 24, 16, 3), tone, np.uint8) + 20 * np.arange(10, dtype=np.uint8)[:, None, None, None]
        save_clip(self.films / f"{name}.gif", frames, 8.0, {})
        (self.films / f"{name}.txt").write_text(f"It is {name}")

    def found(self) -> Films:
        films, left_out = find_films(self.films, self.folder / "films.jsonl", 2)
        self.report.add(left_out)
        return films

    def material(self, **changed: Any) -> FilmMaterial:
        settings = {"cache": self.folder / "cache", "seed": 5, "report": self.report, "workers": 2, **changed}
        return FilmMaterial(self.found(), Means(), **settings)

    def clips(self, count: int, **changed: Any) -> FilmClips:
        return self.material(**changed).clips(CLIP, count)

    def files(self) -> set[Path]:
        return set((self.folder / "cache").rglob("*.safetensors"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    for i, name in enumerate("abc"):
        made.film(name, 10 * i)
    read = film_clips.read_frames

    def counted(video: Any, times: Any) -> Iterator[Frames]:
        made.decoded[video.path.stem] += 1
        return read(video, times)

    monkeypatch.setattr(film_clips, "read_frames", counted)
    return made


def test_each_film_gives_as_many_clips(place: Place) -> None:
    clips = place.clips(7)
    assert len(clips) == 9
    assert [clips.clip(i).text for i in range(4)] == ["It is a", "It is b", "It is c", "It is a"]
    assert clips.clip(0).latents.shape == (3, 3, 2, 2)
    assert clips.first(4).shape == (4, 3, 3, 2, 2)
    assert clips.first(100).shape[0] == 9
    assert torch.equal(clips.first(2)[1].float(), clips.clip(1).latents)
    assert not torch.equal(clips.clip(0).latents, clips.clip(3).latents)  # at another time
    assert len(place.clips(7, exactly=True)) == 7
    assert place.decoded == dict.fromkeys("abc", 3)  # nothing twice


def test_a_new_film_or_more_clips_encode_only_what_is_new(place: Place) -> None:
    place.clips(3)
    stamps = {path: path.stat().st_mtime_ns for path in place.files()}
    before = place.clips(3).first(3)
    assert place.decoded == dict.fromkeys("abc", 1)
    place.film("aa", 50)
    (place.films / "c.gif").unlink()
    after = place.clips(3)
    assert [film.name for film in after.films] == ["a.gif", "aa.gif", "b.gif"]
    assert place.decoded == dict.fromkeys(["a", "aa", "b", "c"], 1)
    assert torch.equal(after.first(3)[2], before[1])  # b, wherever it stands in the list
    place.clips(6)
    assert place.decoded == {"a": 2, "aa": 2, "b": 2, "c": 1}
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_an_excerpt_follows_from_seed_film_and_number(place: Place, tmp_path: Path) -> None:
    first = place.clips(6)
    other = Place(tmp_path / "other" if (tmp_path / "other").mkdir() is None else tmp_path)
    shutil.copytree(place.films, other.films, dirs_exist_ok=True)  # with their times
    (other.films / "a.gif").unlink()
    alone = other.clips(4)
    for i, j in ((0, 1), (1, 2), (2, 4), (3, 5)):
        assert torch.equal(alone.clip(i).latents, first.clip(j).latents)
    assert not torch.equal(place.clips(6, seed=6).first(6), first.first(6))


def test_sentences_may_change_and_videos_are_looked_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.clips(3)
    (place.films / "b.txt").write_text("It is changed")
    monkeypatch.setattr(catalogue, "length_of", None)
    clips = place.clips(3)
    assert clips.clip(1).text == "It is changed"
    assert place.decoded == dict.fromkeys("abc", 1)


def test_stopped_it_goes_on_where_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = place.clips(9).first(9)
    shutil.rmtree(place.folder / "cache")
    encode = Means.encode

    def stopping(self: Means, pictures: Iterable[Frames]) -> Tensor:
        if len(place.files()) >= 4:
            raise KeyboardInterrupt
        return encode(self, pictures)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Means, "encode", stopping)
        place.clips(9)
    there = place.files()
    assert len(there) == 4
    stamps = {path: path.stat().st_mtime_ns for path in there}
    place.decoded.clear()
    assert torch.equal(place.clips(9).first(9), whole)
    assert place.decoded.total() == 5
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_every_process_encodes_its_share(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = place.clips(9)
    shutil.rmtree(place.folder / "cache")
    shares = []
    for index in (1, 0):
        state = SimpleNamespace(process_index=index, num_processes=2, is_main_process=index == 0)
        monkeypatch.setattr(film_clips, "PartialState", lambda state=state: state)
        material = place.material()
        shares.append(material._missing(wanted))
        material._encode(wanted, CLIP, shares[-1])
    assert shares == [[1, 3, 5, 7], [0, 2, 4, 6, 8]]
    assert wanted.first(9).shape[0] == 9


def test_a_film_that_cannot_be_decoded_is_left_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(video: Any, times: Any) -> Iterator[Frames]:
        raise InputError(f"{video}: cannot be read as a video (broken); take it away")
        yield

    read = film_clips.read_frames
    monkeypatch.setattr(film_clips, "read_frames", lambda v, t: (refusing if v.path.stem == "b" else read)(v, t))
    clips = place.clips(6)
    assert len(clips) == 6
    assert [film.name for film in clips.films] == ["a.gif", "c.gif"]
    assert (place.folder / "left-out.csv").read_text().splitlines() == [
        "video,reason", "b.gif,cannot be read as a video (broken); take it away",
    ]  # fmt: skip
    monkeypatch.setattr(film_clips, "read_frames", read)
    assert len(place.clips(6).films) == 3  # mended, it is taken again
    monkeypatch.setattr(film_clips, "read_frames", refusing)
    with pytest.raises(InputError, match=r"films: none of its videos can be used: .*left-out\.csv says why; the first"):
        place.clips(6, seed=1)


def test_what_is_removed_meanwhile_is_named(place: Place) -> None:
    clips = place.clips(3)
    clips.excerpts.path(*clips.of(1)).unlink()
    with pytest.raises(CheckpointError, match="does not exist"):
        clips.clip(1)


def test_who_is_held_out_follows_from_names(tmp_path: Path) -> None:
    names = [f"film-{i}.mp4" for i in range(60)]

    def held_out(some: list[str], shortest: float = 1.0) -> set[str]:
        lines = [
            f'{{"name": "{name}", "video": ["{name}", "", 0, 0], "text": "x", "seconds": {2.0 - (i == 3)}, '
            f'"rate": 8.0, "key": "{i:032x}", "stamp": ""}}\n' for i, name in enumerate(some)
        ]  # fmt: skip
        (tmp_path / "films").write_text("".join(lines))
        division = divided(Films.read(tmp_path / "films"), shortest)
        used, out = ({film.name for film in films} for films in (division.used, division.held_out))
        assert used | out | {film.name for film in division.left_out} == set(some)
        assert not used & out or (used == out and len(some) < 10)
        assert {film.name for film in division.left_out} == ({some[3]} if shortest > 1 else set())
        return out

    all_of_them = held_out(names)
    assert 3 <= len(all_of_them) <= 10
    assert held_out(names[:-1]) == all_of_them - {names[-1]}
    assert held_out(names[5:]) == all_of_them - set(names[:5])
    assert len(held_out(names[:12])) >= 1
    assert held_out(names[:9]) == set(names[:9])
    held_out(names, 1.5)


def test_no_more_is_begun_than_is_needed_soon() -> None:
    begun: list[int] = []
    made = ahead(lambda i: begun.append(i) or i, iter(range(100)), 2)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    assert len(begun) <= 8
    made.close()
    assert len(begun) <= 8
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda i: 1 // (5 - i), range(100), 2))


@pytest.mark.slow
def test_killed_while_it_encodes_it_loses_and_repeats_nothing(place: Place) -> None:
    """SIGKILL, at a time that nobody chose; the next run decodes what is not there and keeps what is."""
    script = f"""
import runpy, sys, time
test = runpy.run_path({str(Path(__file__))!r})
encode = test["Means"].encode
def slow(self, pictures):
    print("x", flush=True)
    time.sleep(0.02)
    return encode(self, pictures)
test["Means"].encode = slow
place = test["Place"].__new__(test["Place"])
place.folder, place.films = test["Path"]({str(place.folder)!r}), test["Path"]({str(place.films)!r})
place.report = test["VideoReport"](place.folder, "")
place.clips(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(6):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {path: path.stat().st_mtime_ns for path in place.files() if not path.name.startswith(".")}
    assert 0 < len(there) < 60
    assert len(place.clips(60)) == 60
    assert place.decoded.total() == 60 - len(there)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in there.items())
