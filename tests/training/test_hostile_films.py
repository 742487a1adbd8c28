"""Videos that are broken, cut, false or no videos: each gets one clear line. docs/hostile-input.md says the same."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import hostile
import numpy as np
import pytest

from microcinema_core.errors import InputError
from microcinema_core.media import Frames, read_settings, save_clip
from microcinema_core.media.films import read_frames
from microcinema_core.training.data.catalogue import Films, find_films
from microcinema_core.training.data.division import divided
from microcinema_core.training.data.report import VideoReport

ROOT = Path(__file__).parents[2]
FPS, FRAMES = 8, 16
SECONDS = FRAMES / FPS
SHORTEST = 1.0


def moving(width: int = 64, height: int = 48, frames: int = FRAMES) -> Frames:
    """Noise, so that every frame takes room in the file."""
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)


def encoded(path: Path, codec: str, *clips: Frames, form: str | None = None) -> Path:
    """A video of these clips one after the other, whatever their sizes, and every frame a key frame."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.height, stream.width = clips[0].shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number, clip in enumerate(clips):
            encoder = av.CodecContext.create(codec, "w")
            encoder.height, encoder.width = clip.shape[1:3]
            encoder.pix_fmt, encoder.time_base = stream.pix_fmt, 1 / stream.average_rate
            encoder.gop_size = 1
            frames = [av.VideoFrame.from_ndarray(frame, format="rgb24") for frame in clip]
            for i, frame in enumerate(frames):
                frame.pts = number * len(clip) + i
            for packet in (p for frame in [*frames, None] for p in encoder.encode(frame)):
                packet.stream, packet.time_base = stream, 1 / stream.average_rate
                packet.duration = 1
                container.mux(packet)
    return path


def sound(path: Path, form: str) -> None:
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def cut_after(share: float, codec: str = "libx264") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        encoded(path, codec, moving())
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return make


def damaged_inside(path: Path) -> None:
    """The tables are whole, the pictures are not."""
    save_clip(path, moving(), FPS, {})
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin:] = random.Random(0).randbytes(len(data) - begin)
    path.write_bytes(data)


def beyond_its_end(path: Path) -> None:
    """An AVI that says in its head that it has a thousand times as many frames."""
    encoded(path, "mjpeg", moving())
    data = bytearray(path.read_bytes())
    place = data.index(b"strh") + 8 + 32
    assert int.from_bytes(data[place : place + 4], "little") == FRAMES
    data[place : place + 4] = (1000 * FRAMES).to_bytes(4, "little")
    path.write_bytes(data[: data.index(b"idx1")])


def playlist(path: Path) -> None:
    save_clip(path.with_name("other.gif"), moving(), FPS, {})
    path.write_text("ffconcat version 1.0\nfile other.gif\n")
    (path.parent / "other.gif").rename(path.parent / "other.hidden")


# what -> (name, how it is made, what is said of it)
CASES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "damaged inside": ("film.mp4", damaged_inside, "cannot be read as a video"),
    "cut off, the index at its end": ("film.mov", cut_after(0.7), "cannot be read as a video"),
    "cut off, the index at its beginning": ("film.mp4", lambda path: cut_saved(path), "is cut off: of 2.00 s"),
    "cut off, without an index": ("film.mkv", cut_after(0.5), "is cut off: of 2.00 s"),
    "its head alone": ("film.mkv", cut_after(0.02), "is cut off|cannot be read"),
    "a length beyond what it holds": ("film.avi", beyond_its_end, "is cut off: of 19.* s 2.00 are there"),
    "an empty file": ("film.mp4", Path.touch, "cannot be read as a video"),
    "sound alone": ("film.mkv", lambda path: sound(path, "matroska"), "holds no pictures, sound at most"),
    "a sound file renamed": ("film.mp4", lambda path: sound(path, "wav"), "cannot be read as a video"),
    "a list of other files": ("film.mp4", playlist, "cannot be read as a video"),
    "a folder": ("film.mp4", Path.mkdir, "is a folder; give a video"),
    "a pipe": ("film.mp4", os.mkfifo, "is a pipe or device; give a video"),
    "a circle of links": ("film.mp4", lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
}


def cut_saved(path: Path) -> None:
    save_clip(path, moving(), FPS, {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def found(folder: Path) -> Films:
    """The films that training would take; where it would take none, its error."""
    films, left_out = find_films(folder, folder / "films.jsonl")
    division = divided(films, SHORTEST)
    report = VideoReport(folder, str(folder))
    report.add([*left_out, *division.left_out])
    if not len(division.used):
        raise report.nothing_left()
    return division.used


def read_all(folder: Path) -> list[tuple[int, ...]]:
    """Find the film and read all of it, as training does; the frames' shapes."""
    (film,) = found(folder)
    return [frame.shape for frame in read_frames(film.video, np.linspace(0, film.seconds, FRAMES).tolist())]


@pytest.mark.parametrize("what", CASES)
def test_films_that_cannot_be_used(tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    name, make, message = CASES[what]
    path = tmp_path / name
    path.with_suffix(".txt").write_text("It moves")
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_all(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a pipe or device"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to(path), "Too many levels"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no text in UTF-8"),
        (lambda path: path.write_text("x" * 100_000), "is too long: 100,000 bytes"),
        (lambda path: path.write_text("x" * 20_000), "has 20000 characters"),
        (lambda path: path.write_text(" \n"), "has no sentence"),
    ],
)
def test_sentences_that_cannot_be_used(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    save_clip(tmp_path / "film.gif", moving(), FPS, {})
    make(tmp_path / "film.txt")
    with pytest.raises(InputError, match=message):
        found(tmp_path)


def test_a_folder_in_a_circle_of_links(tmp_path: Path) -> None:
    (tmp_path / "films").symlink_to(tmp_path / "films")
    with pytest.raises(InputError, match="films: "):
        find_films(tmp_path / "films", tmp_path / "films.jsonl")


def test_a_bad_film_among_good_ones_costs_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("good", "bad", "mute", "short"):
        save_clip(tmp_path / f"{name}.mp4", moving(frames=4 if name == "short" else FRAMES), FPS, {})
        (tmp_path / f"{name}.txt").write_text("It moves")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "mute.txt").unlink()
    assert [film.name for film in found(tmp_path)] == ["good.mp4"]
    lines = (tmp_path / "left-out.csv").read_text(encoding="utf-8").splitlines()
    assert [line.partition(",")[0] for line in lines] == ["video", "bad.mp4", "mute.mp4", "short.mp4"]
    for line, reason in zip(
        lines[1:], ("cannot be read as a video", "does not exist", "plays for 0.50 s"), strict=True
    ):
        assert reason in line
    assert [record.message for record in caplog.records] == [
        f"3 of the videos of {tmp_path} left out; {tmp_path / 'left-out.csv'} says why"
    ]


def test_a_size_that_changes_on_the_way_is_read(tmp_path: Path) -> None:
    path = encoded(tmp_path / "film.avi", "mjpeg", moving(64, 48, 8), moving(96, 80, 8))
    path.with_suffix(".txt").write_text("It grows")
    shapes = read_all(tmp_path)
    assert (shapes[0], shapes[-1]) == ((48, 64, 3), (80, 96, 3))


def test_a_name_with_a_colon_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg takes `data:x` for an address."""
    monkeypatch.chdir(tmp_path)
    Path("films").mkdir()
    save_clip(tmp_path / "films" / "film.gif", moving(), FPS, {})
    Path("films/film.gif").rename("data:film.gif")
    Path("data:film.txt").write_text("It moves")
    (film,) = found(Path())
    assert film.seconds == pytest.approx(SECONDS)


def test_damaged_bytes_are_refused_or_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(0)
    makers = {"a.mp4": "libx264", "a.mkv": "mjpeg", "a.webm": "libvpx", "a.avi": "mpeg4", "a.mov": "mjpeg"}
    wholes = {name: encoded(tmp_path / name, codec, moving()).read_bytes() for name, codec in makers.items()}
    for name in ("b.mp4", "b.webm", "b.gif"):
        save_clip(tmp_path / name, moving(), FPS, {"prompt": "x"})
        wholes[name] = (tmp_path / name).read_bytes()
    for name in wholes:
        (tmp_path / name).unlink()
    for name, whole in wholes.items():
        path = tmp_path / name
        path.with_suffix(".txt").write_text("It moves")
        refused = 0
        for _ in range(40):
            path.write_bytes(hostile.mutated(whole, rng))
            try:
                read_all(tmp_path)
            except InputError:
                refused += 1
            with suppress(InputError):
                assert isinstance(read_settings(path), dict)
        assert refused, name
        path.unlink()
    assert "Traceback" not in capfd.readouterr().err


def test_the_page_lists_these_cases() -> None:
    page = (ROOT / "docs" / "hostile-input.md").read_text(encoding="utf-8")
    others = ["a size that changes on the way", "its sentence is a pipe, too long, empty, or no text"]
    assert hostile.rows(page, "Videos to learn from") == sorted([*CASES, *others])
