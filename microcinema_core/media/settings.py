"""The settings that made a clip or picture, read back from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import InputError
from ..files import check_readable, parse_json
from .films import opened_video
from .pictures import DAMAGED

SETTINGS_KEY = "microcinema"  # the text chunk of a PNG; videos have `comment`
VIDEO_SUFFIXES = (".mp4", ".webm", ".gif")
SETTINGS_SUFFIXES = (*VIDEO_SUFFIXES, ".png")  # of the files that hold settings
FRAME_NAME = "frame-%04d.png"  # of the pictures in a folder


def is_ours(path: Path) -> bool:
    """Whether a picture or clip holds the settings with which it was made here."""
    try:
        read_settings(path)
    except InputError:
        return False
    return True


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings in a clip's or picture's file, or those that all pictures in a folder have in common.

    Raises InputError where there are none.
    """
    path = Path(path)
    if path.is_dir():
        settings = read_settings(path / (FRAME_NAME % 0))
        settings.pop("frame", None)
        return settings
    check_readable(path, "a clip or picture made by microcinema")
    text = _png_text(path) if path.suffix.lower() in (".png", ".gif") else _video_comment(path)
    try:
        found = parse_json(text or "", "its settings")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no settings of microcinema")
    return found


def _png_text(path: Path) -> str | None:
    """Also a GIF's."""
    try:
        with Image.open(path, formats=("PNG", "GIF")) as image:
            text = image.info.get(SETTINGS_KEY) or image.info.get("comment")
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: is not a readable picture ({error})") from error
    return text.decode("ascii", "replace") if isinstance(text, bytes) else text


def _video_comment(path: Path) -> str | None:
    with opened_video(path) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}  # Matroska's are in capitals
    return tags.get("comment")
