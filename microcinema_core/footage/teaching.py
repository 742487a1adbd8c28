"""A folder of clips becomes a taught motion."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..media import Frames
from .clips import read_clip, videos_in
from .learning import Learnt, learnt_from
from .moving import Moving, moving_in

Observer = Callable[[int, int, Any], None]  # (clips done, in all, None)
FEW = 4  # clips: fewer show little of what a motion may be
logger = logging.getLogger("microcinema")


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """learnt of clips, whose middle frames are the pictures. left_out: a sentence for each that could not be used."""

    learnt: Learnt
    clips: tuple[Moving, ...]
    pictures: tuple[Frames, ...]
    left_out: tuple[str, ...]


def teach(folder: Path, callback: Observer | None = None) -> Lesson:
    """Read all clips of a folder; one that cannot be used is a warning.

    callback: may raise Cancelled. Raises InputError for a folder without clips, and where none can be used.
    """
    paths = videos_in(folder)
    clips: list[Moving] = []
    pictures: list[Frames] = []
    left_out: list[str] = []
    for number, path in enumerate(paths):
        try:
            clip = read_clip(path)
            clips.append(moving_in(clip))
            pictures.append(clip.picture)
        except InputError as error:
            left_out.append(str(error))
            logger.warning("left out: %s", error)
        if callback is not None:
            callback(number + 1, len(paths), None)
    if not clips:
        raise InputError(f"{folder}: none of its {len(paths)} clips can be used; the first: {left_out[0]}")
    if len(clips) < FEW:
        logger.warning("%d clips are few; 8 to 20 show more of what the motion may be", len(clips))
    for moving in clips:
        if moving.camera:
            logger.info("%s: the camera moves; its motion was taken out", moving.name)
    return Lesson(learnt_from(clips), tuple(clips), tuple(pictures), tuple(left_out))
