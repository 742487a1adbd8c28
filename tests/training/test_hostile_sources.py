"""Lists and shards of videos that are broken, false or meant to harm. docs/hostile-input.md says the same."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import hostile
import numpy as np
import pytest

from microcinema_core.errors import InputError
from microcinema_core.media import save_clip
from microcinema_core.media.films import read_frames
from microcinema_core.training.data.catalogue import find_films
from microcinema_core.training.data.listing import expanded
from microcinema_core.training.data.tars import members

ROOT = Path(__file__).parents[2]
HEADS = "path,caption\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    save_clip(path, np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), np.uint8), 8.0, {})
    return path.read_bytes()


class Place:
    """A folder with good.mp4 in it, and what makes lists and shards there."""

    def __init__(self, folder: Path, video: bytes) -> None:
        self.folder, self.video = folder, video
        (folder / "good.mp4").write_bytes(video)

    def csv(self, text: str | bytes) -> str:
        path = self.folder / "list.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def jsonl(self, *lines: str) -> str:
        path = self.folder / "list.jsonl"
        path.write_text("\n".join([*lines, '{"video": "good.mp4", "text": "good"}']))
        return str(path)

    def tar(self, *more: tuple[str | tarfile.TarInfo, bytes], name: str = "shard.tar") -> str:
        """After the good film and its sentence."""
        with tarfile.open(self.folder / name, "w") as tar:
            for head, data in (("good.mp4", self.video), ("good.txt", b"good"), *more):
                head = tarfile.TarInfo(head) if isinstance(head, str) else head
                head.size = len(data)
                tar.addfile(head, io.BytesIO(data))
        return str(self.folder / name)

    def changed(self, change: Callable[[bytes], bytes], source: str) -> str:
        Path(source).write_bytes(change(Path(source).read_bytes()))
        return source


def link(name: str, kind: bytes, to: str) -> tarfile.TarInfo:
    head = tarfile.TarInfo(name)
    head.type, head.linkname = kind, to
    return head


def columns(count: int) -> str:
    return HEADS.strip() + "," + ",".join(f"c{i}" for i in range(count)) + "\n"


def sparse(place: Place) -> str:
    """A caption of 2 GB of zeros, in a file that takes no room."""
    source = Path(place.tar(("bad.mp4", place.video)))
    end = max(member.start + -(-member.size // 512) * 512 for member in members(source))
    head = tarfile.TarInfo("bad.txt")
    head.size = hostile.SPARSE
    with source.open("r+b") as file:
        file.seek(end)
        file.write(head.tobuf(tarfile.GNU_FORMAT))
        file.truncate(end + 512 + hostile.SPARSE + 1024)
    return str(source)


def long_name(place: Place) -> str:
    """A name of 2 GB likewise."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = b"L", hostile.SPARSE
    path = place.folder / "shard.tar"
    with path.open("wb") as file:
        file.write(head.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + hostile.SPARSE + 1024)
    return str(path)


def piped(place: Place) -> str:
    os.mkfifo(place.folder / "list.csv")
    return str(place.folder / "list.csv")


# what -> (how the source is made, what the error says)
REFUSED: dict[str, tuple[Callable[[Place], str], str]] = {
    "an address (`pipe:`, `http:`) in the place of a source": (
        lambda p: "pipe:touch ran; cat x.tar", "pipe:touch ran; cat x.tar: is an address; only files on this disk",
    ),
    "a source that does not exist, a pattern that fits nothing": (lambda p: f"{p.folder}/x*.tar", "no file has such"),
    "a pattern of 10^20 files": (lambda p: "{0..9}" * 20, "stands for more than 100,000 files"),
    "a source that is a pipe, or a circle of links": (piped, "is a pipe or device; give a folder of videos"),
    "a file that is neither list nor shard": (lambda p: f"{p.folder}/good.mp4", r"is none of \.csv, \.jsonl, \.tar"),
    "a CSV without the columns": (
        lambda p: p.csv("name,words\ngood.mp4,good\n"), r"names no column path \(or video, file\), but name, words",
    ),
    "a CSV of 10^6 columns": (lambda p: p.csv(columns(10**6)), "line 1 belongs to a record of more than 100,000"),
    "a CSV whose quotation mark is never closed": (
        lambda p: p.csv(f'{HEADS}"good.mp4,good\n' + "x,y\n" * 10**5), "belongs to a record of more|field larger",
    ),
    "a binary file as a list": (lambda p: p.csv(HEADS.encode() + b"\xff\xfe\0"), "is no text in UTF-8"),
    "a list with NUL in it": (lambda p: p.csv(HEADS + "\0\n"), "of 2|NUL"),
    "a line of a megabyte": (lambda p: p.jsonl("[" * 10**6), "line 1 belongs to a record of more than 100,000"),
    "a compressed shard": (lambda p: p.changed(gzip.compress, p.tar()), "is no .tar at byte 0 .*not compressed"),
    "a picture or a text named .tar": (
        lambda p: p.changed(lambda _: b"\x89PNG" + bytes(600), p.tar()), "is no .tar at byte 0",
    ),
    "a shard with nothing in it": (lambda p: p.changed(lambda _: bytes(10240), p.tar()), "holds no videos"),
    "a member's name of 2 GB of zeros": (long_name, "holds no videos"),
}  # fmt: skip
# what -> (how the source is made, which names are left out for which reason); good.mp4 is always used
LEFT_OUT: dict[str, tuple[Callable[[Place], str], Sequence[tuple[str, str]]]] = {
    "a row with too few columns, without a path or a sentence": (
        lambda p: p.csv(f"{HEADS}bad.mp4\n,none\nbad.mp4,  \ngood.mp4,good\n"),
        [("list.csv, line 2", "has 1 columns of 2"), ("list.csv, line 3", "names no path"),
         ("bad.mp4", "has no sentence")],
    ),
    "a row that names an address, or a file that is not there": (
        lambda p: p.csv(f"{HEADS}pipe:touch ran,x\nhttp://x/y.mp4,x\nbad.mp4,x\ngood.mp4,good\n"),
        [("pipe:touch ran", "is an address"), ("http://x/y.mp4", "is an address"), ("bad.mp4", "does not exist")],
    ),
    "a line that is no JSON, no object, or names no path or sentence": (
        lambda p: p.jsonl("{", "[" * 9000, "[1]", '{"path": 3, "text": "x"}', '{"path": "bad.mp4", "text": null}'),
        [("list.jsonl, line 1", "is not JSON"), ("list.jsonl, line 2", "is not JSON"),
         ("list.jsonl, line 3", "is no object"), ("list.jsonl, line 4", "names no path"),
         ("bad.mp4", "has no sentence")],
    ),
    "a member without a sentence, or with an empty one": (
        lambda p: p.tar(("bad.mp4", p.video), ("worse.mp4", p.video), ("worse.txt", b" ")),
        [("shard.tar/bad.mp4", "has no NAME.txt and no NAME.json"), ("shard.tar/worse.mp4", "has no sentence")],
    ),
    "a sentence that is no UTF-8, or whose JSON is none, has no text, or is all brackets": (
        lambda p: p.tar(*((f"{i}.mp4", p.video) for i in range(4)), ("0.txt", b"\xff"), ("1.json", b"{"),
                        ("2.json", b'{"texts": 1}'), ("3.json", b"[" * 9000)),
        [("shard.tar/0.mp4", "codec can't decode"), ("shard.tar/1.mp4", "is not JSON"),
         ("shard.tar/2.mp4", "has no sentence"), ("shard.tar/3.mp4", "is not JSON")],
    ),
    "a sentence of 2 GB of zeros, in a shard that takes no room": (
        sparse, [("shard.tar/bad.mp4", "or too long: 2,147,483,648 bytes")],
    ),
    "a damaged member": (
        lambda p: p.tar(("bad.mp4", p.video[:700]), ("bad.txt", b"x")),
        [("shard.tar/bad.mp4", "cannot be read|cut off")],
    ),
    "an empty member": (
        lambda p: p.tar(("bad.mp4", b""), ("bad.txt", b"x")), [("shard.tar/bad.mp4", "cannot be read")],
    ),
    "a list of other files in a member": (
        lambda p: p.tar(("bad.mp4", b"ffconcat version 1.0\nfile good.mp4\n"), ("bad.txt", b"x")),
        [("shard.tar/bad.mp4", "cannot be read as a video")],
    ),
    "a link, or a device, in a shard": (
        lambda p: p.tar((link("0.mp4", tarfile.SYMTYPE, "/etc/passwd"), b""),
                        (link("1.mp4", tarfile.LNKTYPE, "good.mp4"), b""), (link("2.mp4", tarfile.CHRTYPE, ""), b"")),
        [(f"shard.tar/{i}.mp4", "is a link, or no file") for i in range(3)],
    ),
    "a shard cut off in a member, or a member longer than its shard": (
        lambda p: p.changed(lambda data: data[: data.index(b"bad.mp4") + 600], p.tar(("bad.mp4", p.video))),
        [("shard.tar", "is cut off or damaged at byte")],
    ),
    "a shard damaged between members": (
        lambda p: p.changed(lambda data: data.replace(b"bad.mp4", b"bud.mp4"), p.tar(("bad.mp4", p.video))),
        [("shard.tar", "is no .tar at byte")],
    ),
    "two videos of one name in a shard": (
        lambda p: p.tar(("good.webm", p.video)), [("shard.tar/good.webm", "is a second video of one name")],
    ),
}  # fmt: skip
# what -> (how the source is made, which films are used)
READ: dict[str, tuple[Callable[[Place], str], Sequence[str]]] = {
    "a name such as `../../film.mp4` or `/etc/film.mp4` in a shard": (
        lambda p: p.tar(("../../film.mp4", p.video), ("../../film.txt", b"x"), ("/etc/film.mp4", p.video),
                        ("/etc/film.txt", b"x")),
        ["shard.tar/good.mp4", "shard.tar/../../film.mp4", "shard.tar//etc/film.mp4"],
    ),
    "a pickle, or a hidden file, in a shard": (
        lambda p: p.tar(("good.pyd", pickle.dumps([1])), ("good.pth", pickle.dumps([1])), ("._good.mp4", b"x")),
        ["shard.tar/good.mp4"],
    ),
    "names that are no UTF-8, or of 300 letters": (
        lambda p: p.tar((f"{'long' * 75}.mp4", p.video), (f"{'long' * 75}.txt", b"x"), ("\udcff.mp4", p.video),
                        ("\udcff.json", b'{"caption": "x"}')),
        ["shard.tar/good.mp4", f"shard.tar/{'long' * 75}.mp4", "shard.tar/\udcff.mp4"],
    ),
    "a name with a colon in a list": (
        lambda p: (os.link(p.folder / "good.mp4", p.folder / "data:x.mp4"), p.csv(f"{HEADS}data:x.mp4,x\n"))[1],
        ["data:x.mp4"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_sources_that_are_none(
    what: str, video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = REFUSED[what]
    source = make(Place(tmp_path, video))
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        films, left_out = find_films(source, tmp_path / "catalogue")
        assert not len(films)
        raise InputError("; ".join(map(str, left_out)))
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "catalogue"}  # no command was run
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_is_left_out_costs_a_line(
    what: str, video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, reasons = LEFT_OUT[what]
    films, left_out = find_films(make(Place(tmp_path, video)), tmp_path / "catalogue")
    assert [(Path(film.name).name, film.text) for film in films] == [("good.mp4", "good")]
    for found in left_out:
        (reason,) = {reason for name, reason in reasons if name == found.name}
        assert re.search(reason, found.reason), found
    assert {found.name for found in left_out} == {name for name, _ in reasons}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("what", READ)
def test_odd_ones_are_read_in_their_place(
    what: str, video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, names = READ[what]
    source = make(Place(tmp_path, video))
    before = set(tmp_path.iterdir())
    films, left_out = find_films(source, tmp_path / "catalogue")
    assert not left_out
    assert [film.name for film in films] == names
    assert all(next(read_frames(film.video, [0.3])).shape == (32, 48, 3) for film in films)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "catalogue"}


def test_what_patterns_stand_for() -> None:
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{a,b}/{1..2}") == ["a/1", "a/2", "b/1", "b/2"]
    assert expanded("{}{x}") == ["{}{x}"]
    assert expanded("{2..1}") == []


def test_the_page_lists_these_cases() -> None:
    page = (ROOT / "docs" / "hostile-input.md").read_text(encoding="utf-8")
    others = ["pictures of other sizes"]  # test_shards.py
    assert hostile.rows(page, "Lists and shards of videos") == sorted([*REFUSED, *LEFT_OUT, *READ, *others])
