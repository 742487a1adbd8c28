"""Pictures that are broken, huge or merely unusual: the table in docs/hostile-input.md, row by row."""

import io
import os
import random
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from microcinema_core import media
from microcinema_core.errors import InputError
from microcinema_core.shot.resize import ResizePolicy

ROOT = Path(__file__).parents[3]
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORANGE = (200, 100, 50)
CORNERS = (RED, GREEN, BLUE, WHITE)  # of `quadrants`, in reading order


def quadrants(mode: str = "RGB") -> Image.Image:
    picture = np.full((40, 60, 3), 255, np.uint8)
    picture[:20, :30], picture[:20, 30:], picture[20:, :30] = RED, GREEN, BLUE
    return Image.fromarray(picture).convert(mode)


def plain(colour: object, mode: str = "RGB", size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new(mode, size, colour)


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG file whose pixels are given as they are stored."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def black_ink_only() -> bytes:
    """A CMYK profile in which the coloured inks leave the paper white."""
    steps = bytes(range(256))
    table = struct.pack(">4s4xBBBx9i", b"mft1", 4, 3, 2, *(65536 * (i % 4 == 0) for i in range(9)))
    table += steps * 4 + bytes([255, 128, 128, 0, 128, 128]) * 2**3 + steps * 3
    head = struct.pack(">I4sI4s4s4s", 128 + 16 + len(table), b"", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s28x3i", 2020, 1, 1, 0, 0, 0, b"acsp", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped() -> bytes:
    """sRGB with red and blue exchanged, so that its use shows."""
    return srgb().replace(b"rXYZ", b"tmpX").replace(b"bXYZ", b"rXYZ").replace(b"tmpX", b"bXYZ")


def saved(picture: Image.Image, form: str, **options: object) -> Callable[[Path], None]:
    return lambda path: picture.save(path, form, **options)


def bytes_of(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def cut(picture: Image.Image, form: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        picture.save(path, form)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return make


def animated(form: str) -> Callable[[Path], None]:
    options = {"lossless": True} if form == "WEBP" else {}
    return saved(plain(ORANGE), form, save_all=True, append_images=[plain(BLUE), plain(GREEN)], **options)


def turned(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def sixteen_bits() -> bytes:
    row = b"\0" + struct.pack(">3H", 200 * 257, 100 * 257, 50 * 257) * 4
    return png(4, 4, 16, 2, row * 4)


def damaged_exif(path: Path) -> None:
    plain(ORANGE).save(path, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")


def damaged_tiff(path: Path) -> None:
    """libtiff reads it, and would say on the terminal what is wrong."""
    noise().save(path, "TIFF", compression="tiff_deflate")
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)


def damaged_avif(path: Path) -> None:
    """libaom's and dav1d's errors are RuntimeErrors in Pillow."""
    noise().save(path, "AVIF")
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin : begin + 40] = bytes(40)
    path.write_bytes(data)


def timeless_avif(path: Path) -> None:
    """An animation whose seconds have no parts: the time scale in its `mdhd` is 0."""
    plain(ORANGE).save(path, "AVIF", save_all=True, append_images=[plain(BLUE)])
    data = bytearray(path.read_bytes())
    place = data.index(b"mdhd") + 4
    begin = place + (20 if data[place] else 12)
    data[begin : begin + 4] = bytes(4)
    path.write_bytes(data)


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # an address has at most 107 characters


def large(path: Path) -> None:
    """A whole and honest picture of 20,000x20,000 black pixels, 1 bit each, in 50 kB."""
    path.write_bytes(png(20_000, 20_000, 1, 0, bytes(20_000 * 2501)))


def animated_bomb(path: Path) -> None:
    screen = struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00"
    path.write_bytes(b"GIF89a" + screen + image * 3 + b";")


@dataclass(frozen=True)
class Case:
    """`what`: the table's first column. `then`: the message's gist, or the colours of the four corners."""

    what: str
    make: Callable[[Path], object]
    then: str | tuple[tuple[int, ...], ...] | tuple[int, ...]
    off: int = 0  # levels by which a colour may differ


CASES = [
    Case("missing", lambda path: None, "does not exist"),
    Case("a folder", Path.mkdir, "is a folder"),
    Case("a pipe", os.mkfifo, "is a pipe or device"),
    Case("an empty file", Path.touch, "is an empty file"),
    Case("a truncated PNG", cut(noise(), "PNG"), "damaged"),
    Case("a truncated JPEG", cut(noise(), "JPEG"), "damaged"),
    Case("a damaged TIFF", damaged_tiff, "damaged"),
    Case("a text named .png", bytes_of(b"no picture"), "not a picture of a known kind"),
    Case("PostScript named .png", saved(plain(ORANGE), "EPS"), "not a picture of a known kind"),
    Case("1x1 pixel", saved(plain(ORANGE, size=(1, 1)), "PNG"), ORANGE),
    Case("20,000x10 pixels", saved(plain(ORANGE, size=(20_000, 10)), "PNG"), ORANGE),
    Case("20,000x20,000 pixels", large, "is too large; give at most 100 million pixels"),
    Case("a decompression bomb", bytes_of(png(50_000, 50_000, 8, 2, b"")), "is too large"),
    Case("an animated decompression bomb", animated_bomb, "is too large"),
    Case("CMYK without profile", saved(quadrants("CMYK"), "TIFF"), CORNERS),
    # 1 level: the profile's tables have 8 bits
    Case("CMYK with profile", saved(quadrants("CMYK"), "TIFF", icc_profile=black_ink_only()), WHITE, 1),
    Case("a damaged profile", saved(quadrants(), "PNG", icc_profile=srgb()[:200]), CORNERS),
    Case("16-bit grey", saved(Image.fromarray(np.full((4, 4), 100 * 257, np.uint16)), "PNG"), (100, 100, 100)),
    Case("16-bit RGB", bytes_of(sixteen_bits()), ORANGE),
    Case("1-bit", saved(plain(1, "1"), "PNG"), WHITE),
    Case("grey with alpha", saved(plain((0, 128), "LA"), "PNG"), (127, 127, 127)),
    Case("palette", saved(quadrants("P"), "PNG"), CORNERS),
    Case("palette with a transparent colour", saved(plain(0, "P"), "PNG", transparency=0), WHITE),
    Case("alpha", saved(plain((255, 0, 0, 128), "RGBA"), "PNG"), (255, 127, 127)),
    # 1 level: rounding between the profiles
    Case("alpha and profile", saved(plain((255, 0, 0, 128), "RGBA"), "PNG", icc_profile=swapped()), (127, 127, 255), 1),
    Case("animated GIF", animated("GIF"), ORANGE),
    Case("animated PNG", animated("PNG"), ORANGE),
    Case("animated WebP", animated("WEBP"), ORANGE),
    # 3 levels: JPEG's loss at quality 100
    Case(
        "EXIF-rotated JPEG",
        saved(quadrants(), "JPEG", exif=turned(6), quality=100, subsampling=0),
        (BLUE, RED, WHITE, GREEN),
        3,
    ),
    Case("damaged EXIF", damaged_exif, ORANGE),
    Case("floating-point TIFF", saved(plain(0.5, "F"), "TIFF"), "floating-point"),
    Case("a damaged AVIF", damaged_avif, "is damaged"),
    Case("an AVIF without a clock", timeless_avif, "is damaged"),
    Case("a circle of links", lambda path: path.symlink_to(path), "cannot be read .Too many levels of symbolic links"),
    Case("a socket", socket_at, "is a pipe or device"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_pictures(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "key.png"
    if "AVIF" in case.what and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    case.make(path)
    if isinstance(case.then, str):
        with pytest.raises(InputError, match=case.then) as caught:
            media.read_picture(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        return
    picture = media.read_picture(path)
    shown = np.asarray(picture)[[[0, 0], [-1, -1]], [[0, -1], [0, -1]]].reshape(4, 3)
    assert picture.mode == "RGB"
    assert np.abs(shown.astype(int) - np.broadcast_to(case.then, (4, 3))).max() <= case.off
    for policy in ResizePolicy:
        placed = media.place(picture, 64, 96, policy)
        assert (placed.shape, placed.dtype) == ((96, 64, 3), np.uint8)


def test_orientation_changes_the_size(tmp_path: Path) -> None:
    quadrants().save(tmp_path / "key.jpg", exif=turned(6))
    assert media.read_picture(tmp_path / "key.jpg").size == (40, 60)


FORBIDDEN = """
import os, sys
from pathlib import Path
from microcinema_core import media
from microcinema_core.errors import InputError
if os.geteuid() == 0:
    os.setuid(65534)  # root may read everything
for name in sys.argv[1:]:
    try:
        media.read_picture(Path(name))
    except InputError as error:
        print(error)
"""


def test_forbidden_pictures(tmp_path: Path) -> None:
    closed = [tmp_path / "key.png", tmp_path / "folder"]
    closed[1].mkdir()
    names = [closed[0], closed[1] / "key.png"]
    for name in names:
        plain(ORANGE).save(name)
    for path in closed:
        path.chmod(0)
    try:
        run = subprocess.run([sys.executable, "-c", FORBIDDEN, *names], cwd=ROOT, capture_output=True, text=True)
    finally:
        for path in closed:
            path.chmod(0o700)
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert len(lines) == 2
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{name}: cannot be read (Permission denied); check its ")


BOMBS = """
import resource, sys, time
from pathlib import Path
from microcinema_core import media
from microcinema_core.errors import InputError
media.read_picture(Path(sys.argv[1]))  # what Pillow loads once
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
for name in sys.argv[2:]:
    try:
        media.read_picture(Path(name))
    except InputError:
        continue
    sys.exit(f"{name} was read")
seconds = time.process_time() - started
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024)
"""


def test_bombs_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("small.png", "bomb.png", "bomb.gif", "large.png")]
    noise().save(names[0])
    names[1].write_bytes(png(50_000, 50_000, 8, 2, b""))
    animated_bomb(names[2])
    large(names[3])
    assert max(name.stat().st_size for name in names) < 100_000
    run = subprocess.run([sys.executable, "-c", BOMBS, *names], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    seconds, mebibytes = map(float, run.stdout.split())
    assert seconds < 1  # decoding 20,000x20,000 pixels takes longer, and each bomb promises more than 380 MiB
    assert mebibytes < 20


def test_the_page_lists_these_cases() -> None:
    page = (ROOT / "docs" / "hostile-input.md").read_text(encoding="utf-8")
    section = page.split("\n## Pictures\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    tested = {case.what for case in CASES} | {"may not be read", "in a folder that may not be entered"}
    assert sorted(rows[1:]) == sorted(tested)


def kinds() -> dict[str, bytes]:
    """A small file of each format that is read, in the variants that take other ways through the readers."""
    picture, more = quadrants(), {"save_all": True, "append_images": [quadrants().rotate(180)]}
    rgba = picture.convert("RGBA")
    rgba.putalpha(128)
    whole = {"exif": turned(6), "icc_profile": srgb()}
    options: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("PNG", picture, whole),
        ("PNG", picture.convert("P"), {"transparency": 0}),
        ("PNG", picture, more),
        ("JPEG", picture, whole),
        ("JPEG", picture.convert("CMYK"), {"progressive": True}),
        ("MPO", picture, more),
        ("WEBP", rgba, whole),
        ("WEBP", picture, more),
        ("GIF", picture, more),
        ("BMP", picture, {}),
        ("BMP", picture.convert("P"), {}),
        ("TIFF", picture, {"icc_profile": srgb()}),
        *(("TIFF", picture, {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
        ("TIFF", picture.convert("1"), {"compression": "group4"}),
        ("PPM", picture, {}),
        ("PPM", picture.convert("1"), {}),
        ("JPEG2000", rgba, {}),
        ("AVIF", rgba, whole),
        ("AVIF", picture, more),
    ]
    made = {}
    for number, (form, image, settings) in enumerate(options):
        if form in Image.SAVE or form in Image.SAVE_ALL:
            out = io.BytesIO()
            image.save(out, form, **settings)
            made[f"{form} {number}"] = out.getvalue()
    return made


def test_damaged_bytes_are_refused_or_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Anything but an InputError would be a traceback for somebody, and what a library prints a riddle."""
    rng, path = random.Random(0), tmp_path / "key"
    Image.init()
    for form, whole in kinds().items():
        refused = 0
        for _ in range(80):
            path.write_bytes(hostile.mutated(whole, rng))
            try:
                media.place(media.read_picture(path), 16, 16, ResizePolicy.PAD)
            except InputError:
                refused += 1
        assert refused, form
    assert capfd.readouterr().err == ""
