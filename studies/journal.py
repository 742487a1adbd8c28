"""What an evaluation that was stopped has done already: clips as pictures, measurements as lines of JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from microcinema_core.files import written_whole

from .cases import Animate, Frames, Part, Record, Shot

ROOT = Path(__file__).parents[1]
MEASURING = ("studies", "studies/toybox", "microcinema_core/worlds/toybox")  # whose code a measurement depends on


def fingerprint(*values: Any) -> str:
    """20 hexadecimal digits of JSON-ready values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:20]


def code_fingerprint() -> str:
    """Of all code that measures: records made by other code are not taken up again."""
    files = sorted(path for part in MEASURING for path in (ROOT / part).glob("*.py"))
    return fingerprint([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])


class Journal:
    """The records of one part, a line each, appended as they are made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole, _, torn = text.rpartition("\n")  # a kill can tear the last line
        if torn:
            with path.open("r+b") as file:
                file.truncate(len(text.encode()) - len(torn.encode()))
        lines = [json.loads(line) for line in whole.splitlines()]
        self.records: dict[int, Record] = {line["case"]: line["record"] for line in lines}

    def add(self, case: int, record: Record) -> None:
        self.records[case] = record
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"case": case, "record": record}, allow_nan=False) + "\n")


class ClipStore:
    """Clips by what they were made from, each a PNG with the frames side by side. One folder for one model and setting.

    Parts that ask for the same clip share it, and new code can measure it again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, shot: Shot) -> Path:
        picture = hashlib.sha256(shot.keyframe.tobytes()).hexdigest()
        name = fingerprint(picture, shot.keyframe.shape, shot.prompt, shot.seed, shot.keyframe_at)
        return self.folder / f"{name}.png"

    def get(self, shot: Shot) -> Frames | None:
        """The clip [T, H, W, 3] that was kept of a shot; None where there is none."""
        path = self._path(shot)
        if not path.exists():
            return None
        with Image.open(path) as image:
            strip, count = np.asarray(image), int(image.info["frames"])
        return np.stack(np.split(strip, count, axis=1))

    def put(self, shot: Shot, frames: Frames) -> None:
        """Keep the clip [T, H, W, 3] of a shot."""
        text = PngImagePlugin.PngInfo()
        text.add_text("frames", str(len(frames)))
        with written_whole(self._path(shot)) as temporary:
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(temporary, format="PNG", pnginfo=text)

    def remember(self, animate: Animate) -> Animate:
        """The same, asked only for clips that are not stored yet, and for one keyframe position at a time."""

        def remembered(shots: Sequence[Shot]) -> list[Frames]:
            clips = {i: clip for i, shot in enumerate(shots) if (clip := self.get(shot)) is not None}
            missing = sorted(set(range(len(shots))) - set(clips), key=lambda i: shots[i].keyframe_at)
            for _, group in groupby(missing, key=lambda i: shots[i].keyframe_at):
                some = list(group)
                for i, frames in zip(some, animate([shots[i] for i in some]), strict=True):
                    self.put(shots[i], frames)
                    clips[i] = frames
            return [clips[i] for i in range(len(shots))]

        return remembered


def measure_all(
    part: Part,
    animate: Animate,
    journal: Journal,
    *,
    batch: int,
    size: int,
    bar: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[Record]:
    """A record for each case, in order: what the journal holds, and the rest generated and measured batch by batch."""
    todo = [i for i in range(len(part.cases)) if i not in journal.records]
    for start in bar(range(0, len(todo), batch)):
        some = todo[start : start + batch]
        clips = animate([part.cases[i].shot(size) for i in some])
        for i, frames in zip(some, clips, strict=True):
            journal.add(i, part.measure(part.cases[i], frames))
    return [journal.records[i] for i in range(len(part.cases))]
