"""Sheets that a person looks at while a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..files import disk_errors, written_whole
from ..media import Frames


def save_sheet(path: Path, rows: Sequence[Frames], gap: int = 2) -> None:
    """Rows of frames, each [T, H, W, 3]; rows may differ in length. Raises OSError where the disk refuses."""
    height, width = rows[0].shape[1:3]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, frame in enumerate(row):
            sheet[i * (height + gap) :, j * (width + gap) :][:height, :width] = frame
    with disk_errors(path), written_whole(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")
