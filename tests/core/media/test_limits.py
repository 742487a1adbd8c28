"""What is too large for a kind of file is refused by its size alone, and what is just allowed can be written."""

from pathlib import Path

import numpy as np
import pytest

from microcinema_core.errors import InputError
from microcinema_core.media import check_clip_size, save_clip
from microcinema_core.media.grid import tiled_size


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [("a.mp4", 16_384, 16), ("a.mp4", 16, 16_384), ("a.gif", 65_535, 2), ("a.webm", 65_536, 2)],
)
def test_the_largest_sides_can_be_written(tmp_path: Path, name: str, width: int, height: int) -> None:
    check_clip_size(tmp_path / name, width, height)
    save_clip(tmp_path / name, np.zeros((1, height, width, 3), np.uint8), 8, {})
    assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize(
    ("name", "width", "height", "most"),
    [
        ("a.mp4", 16_386, 16, "16,384 a side"),
        ("a.MP4", 16, 16_386, "16,384 a side"),
        ("a.gif", 65_536, 2, "65,535 a side"),
        ("a.webm", 65_538, 2, "65,536 a side"),
        ("a.webm", 40_000, 40_000, "million pixels"),
        ("a.mp4", *tiled_size(4096, 4096, 64), "16,384 a side"),
    ],
)
def test_larger_ones_are_refused(tmp_path: Path, name: str, width: int, height: int, most: str) -> None:
    with pytest.raises(InputError, match=f"frames of {width}x{height} pixels are too large .*{most}.*NAME-%04d.png"):
        check_clip_size(tmp_path / name, width, height)


def test_a_clip_is_checked_at_its_first_frame(tmp_path: Path) -> None:
    def frames():
        yield np.zeros((2, 70_000, 3), np.uint8)
        pytest.fail("a second frame was made")

    for name in ("a.mp4", "a.webm", "a.gif"):
        with pytest.raises(InputError, match="too large for this kind of file"):
            save_clip(tmp_path / name, frames(), 8, {})
    assert not list(tmp_path.iterdir())


def test_pictures_may_be_of_any_size(tmp_path: Path) -> None:
    check_clip_size(tmp_path / "a-%04d.png", 100_000, 100_000)
    check_clip_size(f"{tmp_path}/frames/", 100_000, 100_000)
