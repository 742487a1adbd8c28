"""docs/api/storyboard.py: what it refuses, and three shots in a real server, stopped, gone on with, and changed."""

import json
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import pytest
from conftest import load
from PIL import Image
from run_host import ROOT, Server

API = ROOT / "docs" / "api"
PARTS = (
    "client",
    "joining",
    "shots",
    "shot_graphs",
    "storyboard",
)  # found beside one another, as the program finds them
SMALL = {"MicroCinema Render.width": 64, "MicroCinema Sampler.steps": 1, "TSR Interpolate.steps": 1}
SMALL |= {"TSR Interpolate.passes": 1, "Sample the picture.steps": 1}
SMALL |= {f"{title}.{side}": 64 for title in ("Size", "To the model's size") for side in ("width", "height")}
GOOD = {"keyframe": "grey.png", "camera": "the camera slowly pushes in", "seconds": 0.5}


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(API)
        for name in PARTS:
            patch.delitem(sys.modules, name, raising=False)
        yield {name: load(name, API / f"{name}.py") for name in PARTS}
        for name in PARTS:
            sys.modules.pop(name, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (96, 64), (120, 130, 140)).save(tmp_path / "grey.png")
    return tmp_path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"shots.json: not JSON"),
        ("{}", r"shots.json: no list of shots"),
        ("[]", r"shots.json: holds no shots"),
        ("[1]", r"shots.json, shot 1: no object: 1"),
        ("[" * 100_000, r"shots.json: not JSON"),
        ([GOOD, GOOD | {"zoom": 2}], r"shot 2: no column is called 'zoom', but keyframe, picture, "),
        ([GOOD | {"seconds": "long"}], r"shot 1, column seconds: 'long' is no number from 0.1 to 120"),
        ([GOOD | {"seconds": True}], r"shot 1, column seconds: 'True' is no number"),
        ([GOOD | {"seconds": "nan"}], r"shot 1, column seconds: 'nan' is no number"),
        ([GOOD | {"seconds": 0}], r"shot 1, column seconds: '0' is no number from 0.1 to 120"),
        ([GOOD | {"seed": 1.5}], r"shot 1, column seed: '1.5' is no whole number"),
        ([GOOD | {"seed": -1}], r"shot 1, column seed: '-1' is no whole number"),
        ([GOOD | {"camera": 7}], r"shot 1, column camera: '7' is no text"),
        ([GOOD | {"keyframe": "lost.png"}], r"shot 1, column keyframe: there is no file .*lost\.png"),
        ([GOOD | {"keyframe": "a\n\0.png"}], r"shot 1, column keyframe: there is no file"),
        ([GOOD | {"picture": "a star"}], r"shot 1, columns keyframe and picture: give a file, or words"),
        ([{"camera": "pan left"}], r"shot 1, columns keyframe and picture: give a file, or words"),
        ([GOOD | {"camera": " "}], r"shot 1, columns camera and prompt: both are empty"),
        ([GOOD | {"negative": "blur"}], r"shot 1, column negative: a row with camera words has no use for it"),
        ([GOOD | {"strength": 0.5}], r"shot 1, column strength: a row with camera words has no use for it"),
    ],
)
def test_a_row_that_cannot_be_is_named(parts, folder, content, message):
    path = folder / "shots.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    check_refused(parts, path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"shots.csv: holds no shots"),
        ("keyframe,camera\n", r"shots.csv: holds no shots"),
        ("seed,seed\n1,1\n", r"shots.csv, row 1: there are two columns 'seed'"),
        ('picture,prompt\nA star,"moves left\nB star,moves right\n', "shots.csv, row 3: unexpected end of data"),
        ("keyframe,camera\ngrey.png,pan left, slowly\n", r"row 2: more cells than the 2 columns of row 1.*quotes"),
        ("keyframe;camera;seconds\n\ngrey.png;pan left;1,5\n", r"row 3, column seconds: '1,5' is no number"),
        ("keyframe\ncamera\n", r"row 2, column keyframe: there is no file"),
        (b"keyframe\n\xff\n", r"shots.csv: cannot be read: .*UTF-8"),
    ],
)
def test_a_line_that_cannot_be_is_named(parts, folder, content, message):
    path = folder / "shots.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    check_refused(parts, path, message)


def test_other_files_are_no_storyboards(parts, folder):
    check_refused(parts, folder / "shots.txt", r"a storyboard is a \.csv or a \.json file")
    check_refused(parts, folder / "lost.csv", r"lost\.csv: cannot be read")


def check_refused(parts, path, message):
    with pytest.raises(parts["shots"].StoryboardError, match=message) as refused:
        parts["shots"].read_storyboard(path)
    assert "\n" not in str(refused.value)


def test_a_spreadsheets_file_and_json_say_the_same(parts, folder):
    """With its mark of UTF-8, semicolons, an empty line and no value in the last cells."""
    (folder / "a.csv").write_text(
        "\ufeffkeyframe;camera;seconds;seed\n\ngrey.png;the camera pans left, slowly;0.5;\n", encoding="utf-8"
    )
    rows = [{"keyframe": "grey.png", "camera": "the camera pans left, slowly", "seconds": 0.5, "seed": None}]
    (folder / "a.json").write_text(json.dumps(rows))
    (of_csv,), (of_json,) = (parts["shots"].read_storyboard(folder / name) for name in ("a.csv", "a.json"))
    assert (of_csv.where, of_json.where) == ("a.csv, row 3", "a.json, shot 1")
    shown = [(s.keyframe, s.camera, s.seconds, s.seed, s.strength) for s in (of_csv, of_json)]
    assert shown == [(folder / "grey.png", "the camera pans left, slowly", 0.5, 1, 1.0)] * 2


THREE = """keyframe,picture,camera,prompt,seconds,seed
grey.png,,the camera slowly pushes in,,0.5,
,A red star over a night sky,,A red star moves left,1,3
grey.png,,,A red star moves right,1,4
"""


def frames_of(path: Path) -> tuple[int, tuple[int, int], Fraction]:
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        size, rate = (stream.width, stream.height), stream.average_rate
        return sum(1 for _ in video.decode(video=0)), size, rate


def test_three_shots_stopped_once_and_gone_on_with(parts, client, host: Server, folder: Path, capsys, monkeypatch):
    """13 frames at 24 a second, then twice 9 at 8 a second, which take three times as many at 24."""
    storyboard, path = parts["storyboard"], folder / "film.csv"
    path.write_text(THREE)
    given = [str(path), "--out", str(folder / "out"), "--server", host.address]
    given += [word for where, value in SMALL.items() for word in ("--set", f"{where}={value}")]

    def stopped(*arguments):
        if arguments[0].startswith("Shot 2"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storyboard, "show", stopped)
        assert storyboard.main(given) == 130
    told = capsys.readouterr()
    assert "Shot 1 of 3: made" in told.out
    assert "Shot 2" not in told.out
    assert "goes on from there" in told.err
    (first,) = (folder / "out" / "shots").iterdir()  # nothing of the second
    before = first.stat().st_mtime_ns
    comfy = client.ComfyClient(host.address)
    while any((queue := comfy._json("/queue")).values()):
        assert queue["queue_running"], "taken from the queue, else running"
        time.sleep(0.1)
    *_, last = comfy._json("/history").values()
    assert "execution_interrupted" in dict(last["status"]["messages"])  # the server was stopped with the program

    assert storyboard.main(given) == 0
    told = capsys.readouterr().out
    assert [line.split(",")[0] for line in told.splitlines()[:3]] == [
        "Shot 1 of 3: as it was", "Shot 2 of 3: made", "Shot 3 of 3: made",
    ]  # fmt: skip
    assert first.stat().st_mtime_ns == before
    assert "at 8 a second, shown at 64x42 at 24 a second, as the first shot is" in told
    assert frames_of(folder / "out" / "film.mp4") == (13 + 2 * 9 * 3, (64, 42), 24)

    Image.new("RGB", (96, 64), (10, 200, 10)).save(folder / "green.png")
    path.write_text(
        THREE.replace("grey.png,,the", "green.png,,the").replace("star moves right,1,4", "star moves right,1,5")
    )
    assert storyboard.main(given) == 0
    told = capsys.readouterr().out
    assert [line.split(",")[0] for line in told.splitlines()[:3]] == [
        "Shot 1 of 3: made", "Shot 2 of 3: as it was", "Shot 3 of 3: made",
    ]  # fmt: skip


def test_a_value_without_a_place_is_refused_before_anything_is_made(parts, host: Server, folder: Path, capsys):
    (folder / "a.json").write_text(json.dumps([GOOD]))
    given = [str(folder / "a.json"), "--out", str(folder / "out"), "--server", host.address]
    assert parts["storyboard"].main([*given, "--set", "Renderer.width=64"]) == 1
    assert "no node 'Renderer'" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_shot_that_fails_names_its_row(parts, host: Server, folder: Path, capsys):
    (folder / "grey.png").write_text("no picture")
    (folder / "a.json").write_text(json.dumps([GOOD]))
    given = [str(folder / "a.json"), "--out", str(folder / "out"), "--server", host.address]
    assert parts["storyboard"].main(given) == 1
    assert "a.json, shot 1: " in capsys.readouterr().err


def test_a_drawn_picture_is_moved_by_the_camera(parts, client):
    """The graph alone: the drawing's nodes stand before the camera's, and no more than are needed."""
    cells = {"picture": "A red star over a night sky", "camera": "pan left"}
    graph = parts["shot_graphs"].graph_of(parts["shots"].shot_of("row 2", cells, API))
    titles = {client.title(graph, key) for key in graph}
    assert {"Picture", "Keyframe", "MicroCinema Camera", "MicroCinema Render", "Save Video"} <= titles
    assert not {"Load Image", "AppearNet Encode", "MicroCinema Sampler"} & titles
    source, _ = client.find_node(graph, "MicroCinema Render")["inputs"]["picture"]
    assert client.title(graph, source) == "Keyframe"
    assert all(v[0] in graph for node in graph.values() for v in node["inputs"].values() if isinstance(v, list))


@pytest.mark.parametrize(
    ("cells", "seconds", "place", "frames"),
    [
        ({"camera": "pan left"}, 4, "MicroCinema Render.frames", 97),
        ({"prompt": "a star"}, 4, "AppearNet Encode.frames", 9),
        ({"prompt": "a star"}, 0.1, "TSR Interpolate.frames_per_clip", 2),
    ],
)
def test_seconds_become_frames(parts, client, cells, seconds, place, frames):
    row = cells | {"picture": "A red star", "seconds": seconds}
    graph = parts["shot_graphs"].graph_of(parts["shots"].shot_of("row 2", row, API))
    node, given = place.split(".")
    assert client.find_node(graph, node)["inputs"][given] == frames


def test_frames_follow_their_times_at_another_rate(parts, tmp_path):
    """8 to 24 a second: each three times; 24 to 8: each third. Another shape gets black beside it."""
    slow, fast = tmp_path / "slow.mp4", tmp_path / "fast.mp4"
    write(slow, 4, 8, (32, 32))
    write(fast, 12, 24, (64, 32))
    for videos, frames in (([slow, fast], 4 + 4), ([fast, slow], 12 + 12)):
        made = parts["joining"].join(videos, tmp_path / "film.mp4")
        assert (made.frames, *frames_of(tmp_path / "film.mp4")[:1]) == (frames, frames)
        assert list(made.others) == videos[1:]
    with av.open(str(tmp_path / "film.mp4")) as video:
        last = list(video.decode(video=0))[-1].to_ndarray(format="gray")
    assert last[:, :14].max() < 40 < 180 < last[:, 18:46].min()  # bright square, in the middle of a wide frame
    with pytest.raises(parts["joining"].JoinError, match="Not joined"):
        (tmp_path / "no.mp4").write_text("no video")
        parts["joining"].join([tmp_path / "no.mp4"], tmp_path / "film.mp4")


def write(path: Path, frames: int, rate: int, size: tuple[int, int]) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", size, (230, 230, 230)))))
        out.mux(stream.encode())
