"""Pictures of every kind in: upright 8-bit sRGB at a working size, or one clear refusal."""

from __future__ import annotations

import ctypes
import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFilter, ImageOps, UnidentifiedImageError, _imaging

from ..errors import InputError
from ..files import check_readable
from ..shot.resize import ResizePolicy, centre_crop, centred_inside
from .frames import Frames, to_uint8

MAX_PIXELS = 100_000_000  # of a picture to read; more is refused before it is decoded
TOO_LARGE = f"is too large; give at most {MAX_PIXELS // 10**6} million pixels"
# Not all that Pillow knows: its EPS reader, for one, runs another program on the file.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
A_PICTURE = "a picture, for example a PNG or JPEG file"
# What Pillow's readers raise for damaged files: what they and the libraries below say of it, and what Python says of
# numbers that no reader expected.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what Pillow logs as an error it raises too
PAD_BLUR = 0.04  # of the working size's longer side: the filling's blur


def read_picture(path: str | Path) -> Image.Image:
    """A picture file as upright RGB [H, W, 3]; of an animation, its first frame.

    Raises InputError for whatever cannot be read as a picture, without decoding what is too large.
    """
    with opened_picture(Path(path)) as image:
        return to_rgb(image, f"{path}: ")


@contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """A picture file, decoded as it is. Raises InputError as `read_picture` does."""
    if check_readable(path, A_PICTURE) == 0:
        raise InputError(f"{path}: is an empty file; give {A_PICTURE}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, of size among others; the limit here is stricter
        with _decoding(f"{path}: "):
            image = Image.open(path, formats=_formats())
        with image:
            _check_size(image, f"{path}: ")
            with _decoding(f"{path}: "):
                load(image)
            yield image


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def _decoding(where: str) -> Iterator[None]:
    """Turns what Pillow raises into an InputError. `where`: the message's beginning."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise InputError(f"{where}the picture {TOO_LARGE}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{where}not a picture of a known kind; give a PNG or JPEG file") from error
    except DAMAGED as error:
        raise InputError(f"{where}the picture is damaged ({_reason(error)}); give a PNG or JPEG file") from error


def _check_size(image: Image.Image, where: str) -> None:
    width, height = image.size
    if width * height == 0:
        raise InputError(f"{where}the picture is empty ({width}x{height} pixels)")
    if width * height > MAX_PIXELS:
        raise InputError(f"{where}the picture of {width}x{height} {TOO_LARGE}")


def to_picture(image: Any) -> Image.Image:
    """A PIL picture, uint8 array [H, W, 3] or [H, W], or float tensor [3, H, W] in 0..1, as upright RGB.

    Raises InputError for anything else, and for a PIL picture whose file turns out to be damaged.
    """
    if isinstance(image, Image.Image):
        _check_size(image, "")
        with _decoding(""):
            load(image)
        return to_rgb(image)
    if isinstance(image, torch.Tensor) and image.is_floating_point() and image.ndim == 3 and image.shape[0] == 3:
        if image.numel() == 0:
            raise InputError(f"the picture is empty ({list(image.shape)})")
        if not (image.min() >= 0 and image.max() <= 1):  # NaN fails both
            raise InputError("the picture's tensor must hold values in 0..1")
        return Image.fromarray(to_uint8(image))
    if (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and (image.ndim == 2 or image.shape[2:] in [(3,), (4,)])
    ):
        if image.size == 0:
            raise InputError(f"the picture is empty ({list(image.shape)})")
        return to_rgb(Image.fromarray(image))
    shape = getattr(image, "shape", None)
    what = (
        type(image).__name__ if shape is None else f"{type(image).__name__} {getattr(image, 'dtype', '')} {list(shape)}"
    )
    raise InputError(f"the picture must be PIL, uint8 [H, W, 3] or a float tensor [3, H, W], got {what}")


def load(image: Image.Image) -> None:
    """Decode the pixels of a picture just opened. Raises some of DAMAGED."""
    if image.format == "TIFF":
        _silence_libtiff()
    image.load()


@cache
def _silence_libtiff() -> None:
    """What libtiff has to say of a damaged file it prints by itself; Pillow raises an error too, which is enough.

    Where Pillow's build hides libtiff, it goes on printing.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


def to_rgb(image: Image.Image, where: str = "") -> Image.Image:
    """A picture of any mode as upright 8-bit sRGB [H, W, 3]. `where`: the beginning of a message.

    EXIF orientation and colour profile are applied, transparency lies over white, 16 bits are scaled down, and of an
    animation the current frame is taken (the first of one just opened). Raises InputError for floating-point pixels.
    """
    image = upright(image)
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise InputError(f"{where}the picture has floating-point pixels; save it with 8 or 16 bits")
    if not image.has_transparency_data:
        return _to_srgb(image, "RGB")
    canvas = Image.new("RGBA", image.size, "white")
    canvas.alpha_composite(_to_srgb(image.convert("RGBA"), "RGBA"))
    return canvas.convert("RGB")


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say."""
    image.load()  # so that below only damaged EXIF remains
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED:
        return image


def _eight_bits(values: NDArray[Any]) -> Frames:
    """16-bit grey levels -> 8 bits, rounded."""
    levels = (np.arange(65536) / 257 + 0.5).astype(np.uint8)
    return levels[np.clip(values, 0, 65535)]


def _to_srgb(image: Image.Image, mode: str) -> Image.Image:
    """By the embedded colour profile where there is a usable one; CMYK looks wrong without."""
    profile = image.info.get("icc_profile")
    if image.mode == "P":
        image = image.convert(mode)
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, OSError):
            converted = None  # a damaged profile: the plain conversion below
        if converted is not None:
            return converted
    return image.convert(mode)


def place(image: Image.Image, width: int, height: int, policy: ResizePolicy) -> Frames:
    """An RGB picture at the working size. -> [height, width, 3].

    `crop` and `fit` fill the size and cut off what stands out; for `fit`, whose size has the picture's aspect ratio
    (`working_size`), that is only what rounding left. `pad` shows the whole picture and fills the rest with its blurred
    edges: they go on with its own background, so a video model sees one scene, with no bars and no second subject.
    """
    if policy == ResizePolicy.PAD:
        return _padded(image, width, height)
    box = centre_crop(*image.size, width, height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def _padded(image: Image.Image, width: int, height: int) -> Frames:
    left, top, right, bottom = centred_inside(*image.size, width, height)
    inner = image.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    if inner.size == (width, height):
        return np.asarray(inner)
    edges = np.pad(np.asarray(inner), ((top, height - bottom), (left, width - right), (0, 0)), mode="edge")
    canvas = Image.fromarray(edges).filter(ImageFilter.GaussianBlur(PAD_BLUR * max(width, height)))
    canvas.paste(inner, (left, top))
    return np.asarray(canvas)
