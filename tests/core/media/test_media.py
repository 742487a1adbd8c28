"""Pictures of every kind in, videos and pictures out, whole or not at all."""

import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from microcinema_core import media
from microcinema_core.errors import InputError
from microcinema_core.shot.resize import ResizePolicy
from microcinema_core.shot.timing import frame_times
from microcinema_core.worlds.toybox.world import Background, Colour, Motion, Scene, Shape, Speed, render

SETTINGS = {"prompt": 'ein Stern \u2605 "quoted"; 100%\nsecond line', "seed": 2**64 - 1, "cfg": 2.5, "gamma": None}


def toybox(frames: int = 9, size: int = 128) -> np.ndarray:
    scene = Scene(Shape.STAR, Colour.RED, Motion.LEFT, Speed.FAST, Background.MEADOW, 0.5, 0.5, 0.15, 0.3)
    return render(scene, frame_times(frames, 2.0, frames // 2), size)


def decoded(path: Path) -> tuple[np.ndarray, list[float]]:
    """Frames as a player shows them, and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), [frame.time for frame in frames]


def facts(path: Path) -> tuple[str, str, float]:
    """Codec, pixel format and frames a second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate)


def halved_colours(frames: np.ndarray) -> np.ndarray:
    """4:2:0 alone: what any codec that stores colours at half the size makes of these frames."""
    shown = []
    for frame in frames:
        stored = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU709")
        shown.append(stored.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray())
    return np.stack(shown)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def quadrants(mode: str = "RGB") -> Image.Image:
    """Red, green / blue, white."""
    picture = np.full((40, 60, 3), 255, np.uint8)
    picture[:20, :30], picture[:20, 30:], picture[20:, :30] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(picture).convert(mode)


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    width, height = picture.size
    points = [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)]
    return [picture.getpixel(point) for point in points]


PLAIN = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


@pytest.mark.parametrize(("level", "shown"), [(0, 0), (257 * 100, 100), (65535, 255)])
def test_sixteen_bits_are_scaled(tmp_path: Path, level: int, shown: int) -> None:
    Image.fromarray(np.full((4, 4), level, np.uint16)).save(tmp_path / "key.png")
    assert media.read_picture(tmp_path / "key.png").getpixel((1, 1)) == (shown,) * 3


def test_colour_profiles_are_applied_and_damaged_ones_ignored(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    quadrants().save(tmp_path / "same.png", icc_profile=srgb)
    quadrants().save(tmp_path / "damaged.png", icc_profile=srgb[:200])
    assert corners(media.read_picture(tmp_path / "same.png")) == PLAIN
    assert corners(media.read_picture(tmp_path / "damaged.png")) == PLAIN


def test_every_type_of_picture_gives_the_same() -> None:
    picture = quadrants()
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).movedim(-1, 0).float() / 255
    for given in (picture, array, tensor):
        assert np.array_equal(np.asarray(media.to_picture(given)), array)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "key.png",
        np.zeros((4, 4, 3), np.float32),
        np.zeros((2, 4, 4, 3), np.uint8),
        torch.zeros(4, 4, 3),
        torch.full((3, 4, 4), 255.0),
        torch.full((3, 4, 4), float("nan")),
        Image.new("F", (4, 4)),
        Image.new("RGB", (0, 4)),
    ],
    ids=str,
)
def test_other_things_are_refused(given: object) -> None:
    with pytest.raises(InputError):
        media.to_picture(given)


def test_fit_crops_the_centre_and_resizes() -> None:
    wide = np.zeros((50, 150, 3), np.uint8)
    wide[:, 50:100] = (10, 200, 30)
    fitted = media.place(Image.fromarray(wide), 64, 64, ResizePolicy.CROP)
    assert fitted.shape == (64, 64, 3)
    # Within 5 pixels of the sides, Lanczos reaches what is just outside of the crop.
    assert (fitted[:, 5:-5] == (10, 200, 30)).all()


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    picture = toybox(1)[0]
    assert np.array_equal(media.place(Image.fromarray(picture), 128, 128, ResizePolicy.CROP), picture)


def test_padding_shows_all_of_the_picture_on_its_own_background() -> None:
    wide = np.full((40, 120, 3), (10, 200, 30), np.uint8)
    wide[:, 50:70] = (200, 0, 0)
    padded = media.place(Image.fromarray(wide), 96, 96, ResizePolicy.PAD)
    inner = np.asarray(Image.fromarray(wide).resize((96, 32), Image.Resampling.LANCZOS))
    assert np.array_equal(padded[32:64], inner)
    for row in (0, 31, 64, 95):
        assert (padded[row, [0, -1]] == (10, 200, 30)).all()  # far from the red, so no blur reaches it
    assert padded[16, 48, 0] > 100  # the red goes on, too


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (64, 64), (40, 90), (90, 40)], ids=str)
@pytest.mark.parametrize("policy", list(ResizePolicy))
def test_every_size_is_placed(size: tuple[int, int], policy: ResizePolicy) -> None:
    for width, height in [(64, 64), (96, 64), (64, 96)]:
        placed = media.place(Image.new("RGB", size, (10, 200, 30)), width, height, policy)
        assert placed.shape == (height, width, 3)
        assert (placed == (10, 200, 30)).all()


@pytest.mark.parametrize("fps", [2.0, 7.5, 23.976, 32.0])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_videos_show_the_frames_at_their_times(tmp_path: Path, suffix: str, fps: float) -> None:
    frames, path = toybox(), tmp_path / "new folder" / f"clip{suffix}"
    media.save_clip(path, frames, fps, SETTINGS)
    shown, times = decoded(path)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    # MP4 counts in ticks of about 1/10,000 s, WebM in 1/1000 s, GIF in 1/100 s; all round to the nearest.
    off = {".mp4": 1e-4, ".webm": 5.1e-4, ".gif": 5.1e-3}[suffix]
    assert times == pytest.approx([i / fps for i in range(9)], abs=off)
    assert media.read_settings(path) == SETTINGS
    if suffix == ".gif":
        assert psnr(shown, frames) > 40  # 256 colours for each frame, which costs a level or two

    else:
        codec = {".mp4": "h264", ".webm": "vp9"}[suffix]
        assert facts(path) == (codec, "yuv420p", pytest.approx(fps, rel=1e-4))
        # 4:2:0 costs most on saturated shapes, about 35 dB; the codecs themselves hardly show.
        assert psnr(shown, frames) > psnr(halved_colours(frames), frames) - 1
        with av.open(str(path)) as container:
            assert container.duration / 1e6 == pytest.approx(9 / fps, abs=1e-3)


def test_mp4_plays_before_it_is_loaded_whole(tmp_path: Path) -> None:
    media.save_clip(tmp_path / "clip.mp4", toybox(5, 64), 8.0, {})
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("fps", "count", "delays"),
    [
        (2, 3, [50, 50, 50]),
        (32, 9, [3, 3, 3, 3, 4, 3, 3, 3, 3]),  # begin at 0, 3.125, 6.25, 9.375, 12.5, 15.625, ... rounded
        (24, 4, [4, 4, 4, 5]),
        (50, 4, [2, 2, 2, 2]),
        (60, 6, [2, 3, 2, 3]),  # frames 3 and 5 would begin less than 2 after the one before: left out
    ],
)
def test_gif_keeps_time_to_a_hundredth(tmp_path: Path, fps: float, count: int, delays: list[int]) -> None:
    media.save_clip(tmp_path / "clip.gif", toybox(count, 64), fps, {})
    with Image.open(tmp_path / "clip.gif") as image:
        assert image.info["loop"] == 0  # for ever
        shown = []
        for i in range(image.n_frames):
            image.seek(i)
            shown.append(image.info["duration"] // 10)
    assert shown == delays
    assert sum(shown) == round(count * 100 / fps)


def test_odd_sizes(tmp_path: Path) -> None:
    """4:2:0 needs even ones, so videos gain a row and a column; the other forms stay exact."""
    grey = toybox(2)[:, :127, :95].mean(-1, keepdims=True)  # without colours 4:2:0 loses nothing
    frames = grey.repeat(3, axis=-1).astype(np.uint8)
    for suffix, size in [(".mp4", (128, 96)), (".webm", (128, 96)), (".gif", (127, 95))]:
        media.save_clip(tmp_path / f"clip{suffix}", frames, 2.0, {})
        shown, _ = decoded(tmp_path / f"clip{suffix}")
        assert shown.shape == (2, *size, 3)
        assert np.abs(shown[:, :127, :95].astype(int) - frames).mean() < 2  # levels: GIF looks colours up coarsely


@pytest.mark.parametrize(
    ("out", "first"),
    [("frames/", "frames/frame-0000.png"), ("shot.png", "shot-0000.png"), ("deep/f%d.png", "deep/f0.png")],
)
def test_numbered_pictures_are_exact_and_carry_settings(tmp_path: Path, out: str, first: str) -> None:
    frames = toybox(3)
    media.save_clip(f"{tmp_path}/{out}", frames, 2.0, SETTINGS)
    folder = (tmp_path / first).parent
    files = sorted(folder.iterdir())
    assert files[0] == tmp_path / first
    assert np.array_equal(np.stack([np.asarray(Image.open(file)) for file in files]), frames)
    assert media.read_settings(files[2]) == {**SETTINGS, "frame": 2}
    if folder.name == "frames":
        assert media.read_settings(folder) == SETTINGS


def test_a_folder_of_frames_is_replaced_whole(tmp_path: Path) -> None:
    media.save_clip(f"{tmp_path}/frames/", toybox(3, 64), 2.0, {})
    media.save_clip(tmp_path / "frames", toybox(2, 64), 2.0, {})
    assert len(list((tmp_path / "frames").iterdir())) == 2
    assert [item.name for item in tmp_path.iterdir()] == ["frames"]


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("x")
    for out in ("clip.avi", "clip", "file/clip.mp4", "file/", "full/", "a%d%d.png", "100%.png"):
        with pytest.raises(InputError):
            media.Target.of(f"{tmp_path}/{out}")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "full"]


FORMS = ["clip.mp4", "clip.webm", "clip.gif", "frames/", "shot.png"]


@pytest.mark.parametrize("out", FORMS)
def test_few_frames_are_held_at_once(tmp_path: Path, out: str) -> None:
    living: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    most = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal most
        for i in range(80):
            frame = np.full((32, 32, 3), i, np.uint8)
            living.add(Held(frame))
            yield frame
            most = max(most, len(living))

    class Held:
        """Lives as long as the frame; arrays cannot be members of sets."""

        def __init__(self, frame: np.ndarray) -> None:
            weakref.finalize(frame, living.discard, self)

    media.save_clip(f"{tmp_path}/{out}", stream(), 8.0, {})
    assert 1 <= most <= 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("no"), OSError("the cache is gone")], ids=repr)
@pytest.mark.parametrize("out", FORMS)
def test_frames_that_end_in_an_error_leave_nothing(tmp_path: Path, out: str, error: BaseException) -> None:
    def stream() -> Iterator[np.ndarray]:
        yield from toybox(4, 64)
        raise error

    with pytest.raises(type(error)) as caught:
        media.save_clip(f"{tmp_path}/{out}", stream(), 2.0, {})
    assert caught.value is error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["clip.mp4", "clip.webm", "clip.gif", "frames/"])
def test_an_error_leaves_the_older_clip(tmp_path: Path, out: str) -> None:
    media.save_clip(f"{tmp_path}/{out}", toybox(3, 64), 2.0, SETTINGS)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    def stream() -> Iterator[np.ndarray]:
        yield from toybox(2, 64)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        media.save_clip(f"{tmp_path}/{out}", stream(), 2.0, {})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize("out", FORMS)
def test_a_folder_that_vanishes_is_one_clear_error(tmp_path: Path, out: str) -> None:
    folder = tmp_path / "gone"

    def stream() -> Iterator[np.ndarray]:
        yield from toybox(2, 64)
        shutil.rmtree(folder)
        yield from toybox(2, 64)

    with pytest.raises(OSError, match=f"{folder}.*: not written"):
        media.save_clip(f"{folder}/{out}", stream(), 2.0, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("frames", "fps"),
    [
        ([], 2.0),
        ([np.zeros((8, 8, 3), np.float32)], 2.0),
        ([np.zeros((8, 8), np.uint8)], 2.0),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)], 2.0),
        ([np.zeros((8, 8, 3), np.uint8)], 0.0),
        ([np.zeros((8, 8, 3), np.uint8)], -1.0),
        ([np.zeros((8, 8, 3), np.uint8)], 1e9),
        ([np.zeros((8, 8, 3), np.uint8)], float("nan")),
    ],
    ids=str,
)
@pytest.mark.parametrize("out", FORMS)
def test_other_frames_and_rates_are_refused(tmp_path: Path, out: str, frames: list[np.ndarray], fps: float) -> None:
    with pytest.raises(InputError):
        media.save_clip(f"{tmp_path}/{out}", frames, fps, {})
    assert not list(tmp_path.iterdir())


FULL_DISK = """
import os, resource, sys
from pathlib import Path
import numpy as np
from microcinema_core import media
from microcinema_core.errors import InputError
root, forms = Path(sys.argv[1]), sys.argv[2:]
frames = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)

def files():
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

for out in forms:
    others = files()
    media.save_clip(f"{root}/{out}", frames, 8.0, {})
    before = files()
    size = max(len(data) for path, data in before.items() if path not in others)
    for most in (100, size // 2, size - 1):  # no space for the beginning, the middle, the last byte
        limit(most)
        try:
            media.save_clip(f"{root}/{out}", iter(frames), 8.0, {})
        except OSError as error:
            message = str(error)
        else:
            message = "no error"
        limit(resource.RLIM_INFINITY)
        path = str(media.Target.of(f"{root}/{out}").path)
        assert message.startswith(f"{path}: not written (") and len(message.splitlines()) == 1, message
        assert files() == before, (out, most)
limit(100)
try:
    media.save_picture(root / "sheet.png", frames[0], {})
except OSError as error:
    assert str(error).startswith(f"{root}/sheet.png: not written ("), error
limit(resource.RLIM_INFINITY)
assert files() == before
root.chmod(0o555)
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
for out in ("new.mp4", "new/"):
    try:
        media.save_clip(f"{root}/{out}", frames, 8.0, {})
    except InputError as error:
        assert "choose another place" in str(error)
    else:
        raise AssertionError(out)
print("all refused")
"""


def run_script(script: str, folder: Path) -> str:
    command = [sys.executable, "-c", script, str(folder), *FORMS]
    result = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_full_disk_is_one_clear_error_and_leaves_the_older_clip(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: it needs no rights, and fails in the same calls."""
    (tmp_path / "disk").mkdir()
    try:
        assert "all refused" in run_script(FULL_DISK, tmp_path / "disk")
    finally:
        (tmp_path / "disk").chmod(0o700)


KILLED = """
import os, signal, sys, time
from pathlib import Path
import av
import numpy as np
from PIL import Image
from microcinema_core import media
root, forms = Path(sys.argv[1]), sys.argv[2:]
frames = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)

def killed(out, after):
    child = os.fork()
    if not child:
        media.save_clip(f"{root}/{out}", iter(frames), 8.0, {})
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] != 0

def whole(path):
    if path.suffix == ".png":
        with Image.open(path) as image:
            return image.load() is not None
    with av.open(str(path)) as container:
        return len(list(container.decode(video=0))) == len(frames)

kills = 0
for number, out in enumerate(forms):
    started = time.monotonic()
    killed(f"{number}/{out}", None)
    lasts = time.monotonic() - started
    for i in range(6):
        killed_it = killed(f"{number}-{i}/{out}", lasts * (i + 0.5) / 6)
        kills += killed_it
        folder = root / f"{number}-{i}"
        shown = [path for path in folder.rglob("*") if path.is_file() and not any(
            part.startswith(".") for part in path.relative_to(folder).parts)]
        assert all(whole(path) for path in shown), (out, i)
        if not killed_it or out == "frames/":
            assert len(shown) in ((0, 12) if killed_it else (1, 12)), (out, i, shown)
print(kills)
"""


def test_a_kill_at_any_time_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    kills = int(run_script(KILLED, tmp_path))
    assert kills > 5  # of 30; the others came too late


@pytest.mark.parametrize(("total", "at_most", "kept"), [(129, 36, 36), (9, 36, 9), (1, 36, 1), (36, 36, 36), (5, 1, 1)])
def test_a_sheet_of_frames_that_pass_by(total: int, at_most: int, kept: int) -> None:
    buffer = np.zeros((8, 8, 3), np.uint8)

    def stream() -> Iterator[np.ndarray]:
        for i in range(total):
            buffer[:] = i
            yield buffer  # the same memory each time

    collector = media.SheetCollector(total, at_most)
    assert [frame[0, 0, 0] for frame in collector.tee(stream())] == list(range(total))
    shown = [int(frame[0, 0, 0]) for frame in collector.kept]
    assert len(shown) == kept
    assert shown[0] == 0
    assert shown[-1] == (total - 1 if kept > 1 else 0)
    steps = np.diff(shown)
    assert kept < 3 or steps.max() - steps.min() <= 1  # evenly spaced
    assert np.array_equal(collector.sheet(), media.contact_sheet(np.stack(collector.kept)))


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InputError):
        media.SheetCollector(9).sheet()


def test_contact_sheet_holds_every_frame_in_reading_order() -> None:
    frames = toybox(9, 32)
    strip = media.contact_sheet(frames)
    assert strip.shape == (32, 9 * 34 - 2, 3)
    assert np.array_equal(strip[:, 4 * 34 : 4 * 34 + 32], frames[4])
    many = media.contact_sheet(np.repeat(frames, 12, axis=0))  # 108: 11 a row
    assert many.shape == (10 * 34 - 2, 11 * 34 - 2, 3)
    assert np.array_equal(many[34 : 34 + 32, :32], frames[0])  # the 12th
    assert np.array_equal(many[34 : 34 + 32, 34 : 34 + 32], frames[1])  # the 13th


def test_files_of_others_hold_no_settings(tmp_path: Path) -> None:
    quadrants().save(tmp_path / "other.png")
    quadrants().save(tmp_path / "other.gif", comment=b"[1]")
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "folder").mkdir()
    for name in ("other.png", "other.gif", "text.mp4", "missing.mp4", "missing.gif", "folder"):
        with pytest.raises(InputError, match=name):
            media.read_settings(tmp_path / name)
