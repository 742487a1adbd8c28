"""Pictures of every kind in, videos and pictures out, whole or not at all."""

import struct
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from microcinema_core import media
from microcinema_core.errors import InputError
from microcinema_core.toybox.world import Background, Colour, Motion, Scene, Shape, Speed, clip_times, render

SETTINGS = {"prompt": 'ein Stern \u2605 "quoted"; 100%\nsecond line', "seed": 2**64 - 1, "cfg": 2.5, "gamma": None}


def toybox(frames: int = 9, size: int = 128) -> np.ndarray:
    scene = Scene(Shape.STAR, Colour.RED, Motion.LEFT, Speed.FAST, Background.MEADOW, 0.5, 0.5, 0.15, 0.3)
    return render(scene, clip_times(frames, 2.0, frames // 2), size)


def decoded(path: Path) -> tuple[np.ndarray, list[float], Any]:
    """Frames as a player shows them, their times in seconds, and the stream's facts."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        facts = (stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.duration * stream.time_base))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
    return np.stack(pictures), [frame.time for frame in frames], facts


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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_modes_keep_their_colours(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("key.tif" if mode == "CMYK" else "key.png")
    quadrants(mode).save(path)
    assert corners(media.read_picture(path)) == PLAIN


def test_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    quadrants().save(tmp_path / "key.png", exif=exif)
    read = media.read_picture(tmp_path / "key.png")
    assert read.size == (40, 60)
    assert corners(read) == [PLAIN[2], PLAIN[0], PLAIN[3], PLAIN[1]]


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:, 2:] = (255, 0, 0, 128)
    Image.fromarray(picture).save(tmp_path / "key.png")
    read = np.asarray(media.read_picture(tmp_path / "key.png"))
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[0, 3].tolist() == [255, 127, 127]


def test_palette_transparency_lies_over_white(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.save(tmp_path / "key.png", transparency=0)
    assert media.read_picture(tmp_path / "key.png").getpixel((0, 0)) == (255, 255, 255)


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


def bomb(path: Path) -> None:
    """A valid PNG header that promises 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))


def test_unreadable_files_are_refused_by_name(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    bomb(tmp_path / "bomb.png")
    for name in ("half.png", "empty.png", "text.png", "bomb.png", "missing.png", "."):
        with pytest.raises(InputError, match=str(tmp_path)):
            media.read_picture(tmp_path / name)


def test_fit_crops_the_centre_and_resizes() -> None:
    wide = np.zeros((50, 150, 3), np.uint8)
    wide[:, 50:100] = (10, 200, 30)
    fitted = media.fit_picture(Image.fromarray(wide), 64, 64)
    assert fitted.shape == (64, 64, 3)
    # Within 5 pixels of the sides, Lanczos reaches what is just outside of the crop.
    assert (fitted[:, 5:-5] == (10, 200, 30)).all()


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    picture = toybox(1)[0]
    assert np.array_equal(media.fit_picture(Image.fromarray(picture), 128, 128), picture)


def test_video_shows_the_frames_at_their_times(tmp_path: Path) -> None:
    frames, path = toybox(), tmp_path / "new folder" / "clip.mp4"
    media.save_clip(path, frames, 2.0, SETTINGS)
    shown, times, facts = decoded(path)
    assert times == [i / 2 for i in range(9)]
    assert facts == ("h264", "yuv420p", 4.5)
    assert psnr(shown, frames) > 35
    assert media.read_settings(path) == SETTINGS
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded whole
    assert [item.name for item in path.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("fps", [7.5, 23.976, 60.0])
def test_other_frame_rates(tmp_path: Path, fps: float) -> None:
    media.save_clip(tmp_path / "clip.mp4", toybox(5, 64), fps, {})
    _, times, _ = decoded(tmp_path / "clip.mp4")
    assert times == pytest.approx([i / fps for i in range(5)], abs=1e-4)  # MP4 counts in ticks


def test_odd_sizes_gain_a_row_and_a_column(tmp_path: Path) -> None:
    grey = toybox(2)[:, :127, :95].mean(-1, keepdims=True)  # 4:2:0 halves colours; this is about the grey levels
    frames = grey.repeat(3, axis=-1).astype(np.uint8)
    media.save_clip(tmp_path / "clip.mp4", frames, 2.0, {})
    shown, _, _ = decoded(tmp_path / "clip.mp4")
    assert shown.shape == (2, 128, 96, 3)
    assert psnr(shown[:, :127, :95], frames) > 40


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


@pytest.mark.parametrize("out", ["frames/", "shot.png", "clip.mp4"])
def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    """Ctrl-C while the fourth frame is written."""
    seen = []

    def interrupted(array: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        seen.append(array)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return original(array, *args, **kwargs)

    owner, name = (av.VideoFrame, "from_ndarray") if out.endswith(".mp4") else (Image, "fromarray")
    original = getattr(owner, name)
    frames = toybox(9, 64)
    with monkeypatch.context() as patch:
        if owner is Image:
            patch.setattr(Image, name, interrupted)
        else:
            frame_type = type("VideoFrame", (), {name: staticmethod(interrupted)})
            patch.setattr(av, "VideoFrame", frame_type)
        with pytest.raises(KeyboardInterrupt):
            media.save_clip(f"{tmp_path}/{out}", frames, 2.0, {})
    assert len(seen) == 4
    assert not list(tmp_path.iterdir())


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
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("other.png", "text.mp4", "missing.mp4"):
        with pytest.raises(InputError, match=name):
            media.read_settings(tmp_path / name)
