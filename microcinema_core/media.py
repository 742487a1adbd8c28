"""Pictures in; videos, numbered pictures and contact sheets out, each with the settings that made it.

Frames are uint8 RGB [T, H, W, 3]. Every file and folder is written whole under a temporary name and then renamed.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from .checkpoint.format import written_whole
from .clip.resize import centre_crop
from .errors import InputError

Frames = NDArray[np.uint8]
Settings = Mapping[str, Any]

MAX_PIXELS = 100_000_000  # of a picture to read; more is refused before it is decoded
SETTINGS_KEY = "microcinema"  # the text chunk of a PNG; MP4 has `comment`
VIDEO_QUALITY = 14  # x264's constant rate factor: visually lossless
FRAME_NAME = "frame-%04d.png"
SHEET_COLUMNS = 9
SHEET_GAP = 2
# What Pillow's decoders raise for damaged files.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


def read_picture(path: Path) -> Image.Image:
    """A picture file as upright RGB. Raises InputError for whatever cannot be read as one."""
    if not path.exists():
        raise InputError(f"{path}: does not exist; give a picture, for example a PNG or JPEG file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a picture file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own size warning; the limit below is stricter
        try:
            with Image.open(path) as image:
                _check_size(image, str(path))
                return to_rgb(image)
        except DAMAGED as error:
            raise InputError(f"{path}: is not a readable picture ({error}); give a PNG or JPEG file") from error


def _check_size(image: Image.Image, what: str) -> None:
    width, height = image.size
    if width * height == 0:
        raise InputError(f"{what}: is empty ({width}x{height} pixels)")
    if width * height > MAX_PIXELS:
        raise InputError(f"{what}: {width}x{height} is too large; give at most {MAX_PIXELS // 10**6} million pixels")


def to_picture(image: Any) -> Image.Image:
    """A PIL picture, uint8 array [H, W, 3] or [H, W], or float tensor [3, H, W] in 0..1, as upright RGB.

    Raises InputError for anything else.
    """
    if isinstance(image, Image.Image):
        _check_size(image, "the picture")
        return to_rgb(image)
    if isinstance(image, torch.Tensor) and image.is_floating_point() and image.ndim == 3 and image.shape[0] == 3:
        if not (image.min() >= 0 and image.max() <= 1):  # NaN fails both
            raise InputError("the picture's tensor must hold values in 0..1")
        return Image.fromarray(to_uint8(image))
    if (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and (image.ndim == 2 or image.shape[2:] in [(3,), (4,)])
    ):
        return to_rgb(Image.fromarray(image))
    shape = getattr(image, "shape", None)
    what = (
        type(image).__name__ if shape is None else f"{type(image).__name__} {getattr(image, 'dtype', '')} {list(shape)}"
    )
    raise InputError(f"the picture must be PIL, uint8 [H, W, 3] or a float tensor [3, H, W], got {what}")


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to upright 8-bit sRGB: EXIF orientation applied, transparency over white, 16 bits scaled down."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise InputError("the picture has floating-point pixels; save it with 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(layer)
        return canvas.convert("RGB")
    return _to_srgb(image)


def _eight_bits(values: NDArray[Any]) -> Frames:
    """16-bit grey levels -> 8 bits, rounded."""
    return (np.clip(values.astype(np.float64), 0, 65535) / 257 + 0.5).astype(np.uint8)


def _to_srgb(image: Image.Image) -> Image.Image:
    """By the embedded colour profile where there is a usable one; CMYK looks wrong without."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None  # a damaged profile: the plain conversion below
        if converted is not None:
            return converted
    return image.convert("RGB")


def fit_picture(image: Image.Image, width: int, height: int) -> Frames:
    """Centre-crop to the aspect ratio, then resize. -> [height, width, 3]."""
    box = centre_crop(*image.size, width, height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def to_uint8(pixels: torch.Tensor) -> Frames:
    """Pixels [..., 3, H, W] in 0..1 -> [..., H, W, 3] in 0..255."""
    return (pixels.float() * 255).round().byte().movedim(-3, -1).contiguous().cpu().numpy()


def to_pixels(pictures: Sequence[Frames]) -> torch.Tensor:
    """Pictures [H, W, 3] in 0..255 -> [N, 3, H, W] in 0..1."""
    return torch.from_numpy(np.stack(pictures)).movedim(-1, 1).float() / 255


def contact_sheet(frames: Frames) -> Frames:
    """All frames as one picture, in reading order: a strip, or about a square where there are many."""
    count, height, width = frames.shape[:3]
    columns = count if count <= SHEET_COLUMNS else max(SHEET_COLUMNS, math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    sheet = np.full(
        (rows * (height + SHEET_GAP) - SHEET_GAP, columns * (width + SHEET_GAP) - SHEET_GAP, 3), 255, np.uint8
    )
    for i, frame in enumerate(frames):
        top, left = i // columns * (height + SHEET_GAP), i % columns * (width + SHEET_GAP)
        sheet[top : top + height, left : left + width] = frame
    return sheet


class Form(StrEnum):
    """What a clip is written as."""

    VIDEO = "video"
    FOLDER = "folder"
    NUMBERED = "numbered"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a clip goes. `path`: the file, the folder, or the numbered files' pattern with its %d."""

    form: Form
    path: Path

    @classmethod
    def of(cls, out: str | Path) -> Target:
        """`*.mp4`: a video. `*.png`: numbered pictures. A name with a closing slash, or a folder that exists: a folder.

        Raises InputError for anything else and for places that cannot be written, so that nobody computes in vain.
        """
        path = Path(out)
        if str(out).endswith(("/", os.sep)) or path.is_dir():
            _check_folder(path)
            return cls(Form.FOLDER, path)
        match path.suffix.lower():
            case ".mp4":
                check_writable(path)
                return cls(Form.VIDEO, path)
            case ".png":
                pattern = path if "%" in path.name else path.with_name(f"{path.stem}-%04d.png")
                if not re.fullmatch(r"[^%]*%(0\d)?d[^%]*", pattern.name):
                    raise InputError(f"{path}: numbered pictures need one %d or %04d in their name and no other %")
                check_writable(path)
                return cls(Form.NUMBERED, pattern)
        raise InputError(f"{path}: must end in .mp4 (video), in .png (numbered pictures) or in / (folder of pictures)")

    def beside(self, ending: str) -> Path:
        """A file named after this clip, in the same folder."""
        stem = self.path.name if self.form is Form.FOLDER else self.path.stem.split("%")[0].rstrip("-_.")
        return self.path.parent / f"{stem or 'clip'}-{ending}"


def check_writable(path: Path, suffix: str | None = None) -> None:
    """Raises InputError if this file clearly cannot be written; folders that lack are made on writing."""
    if suffix is not None and path.suffix.lower() != suffix:
        raise InputError(f"{path}: must end in {suffix}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a file name")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path}: is read-only; choose another name")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise InputError(f"{path}: {parent} is a file, not a folder; choose another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {parent} is read-only; choose another place")


def _check_folder(path: Path) -> None:
    if not path.exists():
        check_writable(path)
    elif not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another name")
    elif other := [item.name for item in path.iterdir() if not re.fullmatch(r"frame-\d{4,}\.png", item.name)]:
        raise InputError(f"{path}: holds other files than frames ({other[0]}); name a new folder for the frames")
    elif not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.absolute().parent} is read-only; choose another place")


def save_clip(out: str | Path, frames: Frames, fps: float, settings: Settings) -> Target:
    """Write a clip in the form that its name asks for (see `Target.of`)."""
    target = Target.of(out)
    match target.form:
        case Form.VIDEO:
            save_video(target.path, frames, fps, settings)
        case Form.FOLDER:
            with _folder_written_whole(target.path) as temporary:
                _save_numbered(temporary / FRAME_NAME, frames, settings)
        case Form.NUMBERED:
            folder = target.path.parent
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".frames-") as temporary_name:
                for path in _save_numbered(Path(temporary_name) / target.path.name, frames, settings):
                    path.replace(folder / path.name)
    return target


def _save_numbered(pattern: Path, frames: Frames, settings: Settings) -> list[Path]:
    paths = [pattern.with_name(pattern.name % i) for i in range(len(frames))]
    for i, (path, frame) in enumerate(zip(paths, frames, strict=True)):
        save_picture(path, frame, {**settings, "frame": i})
    return paths


@contextmanager
def _folder_written_whole(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, which takes its place if the body succeeds."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as name:
        new, old = Path(name) / "new", Path(name) / "old"
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)


def save_picture(path: Path, picture: Frames, settings: Settings) -> None:
    """[H, W, 3] as a PNG file."""
    info = PngInfo()
    info.add_text(SETTINGS_KEY, json.dumps(dict(settings)))
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=info)


def save_video(path: Path, frames: Frames, fps: float, settings: Settings) -> None:
    """H.264 in MP4, BT.709, that starts playing before it is loaded whole. Odd sizes gain a repeated row or column."""
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rate = Fraction(fps).limit_denominator(100_000)
    with (
        written_whole(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        container.metadata["comment"] = json.dumps(dict(settings))
        # No B-frames: they would delay the first frame, by a second at 2 frames a second.
        options = {"crf": str(VIDEO_QUALITY), "preset": "slow", "bf": "0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = even.shape[1:3]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / rate
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for i, picture in enumerate(even):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.AREA,  # halves the colours with the least loss
            )
            frame.pts, frame.time_base, frame.duration = i, 1 / rate, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a clip's or picture's file. Raises InputError where there are none."""
    text = _png_text(path) if path.suffix.lower() == ".png" else _video_comment(path)
    try:
        settings = json.loads(text or "")
    except json.JSONDecodeError:
        settings = None
    if not isinstance(settings, dict):
        raise InputError(f"{path}: holds no settings of microcinema")
    return settings


def _png_text(path: Path) -> str | None:
    try:
        with Image.open(path) as image:
            text = image.info.get(SETTINGS_KEY)
    except DAMAGED as error:
        raise InputError(f"{path}: is not a readable picture ({error})") from error
    return text if isinstance(text, str) else None


def _video_comment(path: Path) -> str | None:
    import av

    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment")
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path}: is not a readable video ({error})") from error
