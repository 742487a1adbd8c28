"""What a taught motion is worth: `python -m studies.taught --pictures FOLDER [--real VIDEO]`.

Films flags, grass, flames and smoke by code, 12 clips each, teaches each folder by `microcinema teach`, and draws what
was learnt on 20 pictures of FOLDER, which no clip shows. A reader of its own measures how often and how far they move,
beside the clips. VIDEO is cut into short clips and goes the same way. Writes docs/results/taught.md and .png; what is
done stays in out/taught and is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from microcinema_core.errors import InputError
from microcinema_core.footage.sheet import sheet
from microcinema_core.footage.teaching import Lesson, teach
from microcinema_core.media import Frames, read_picture, save_clip, save_picture
from microcinema_core.media.films import Video, length_of, rate_of, read_frames

from ..shares import Share, quantile, table
from .clips import Kind, film
from .drawing import FPS as DRAWN_FPS
from .drawing import Place, drawn, outside, place_in
from .reader import Box, Read, read

CLIPS, PICTURES = 12, 20
NEAR = 0.25  # of a rate, and of a size: what counts as right
REAL, REAL_SECONDS, REAL_UNTIL = "tree", 2.4, 19.0  # its name; of each clip; where the video shows something else
SHOWN = (0, 4, 8, 12, 16)  # frames of a row
SHOWN_PICTURES = (2, 6)  # in the public domain, if FOLDER is select of studies.pocket.pictures
PAGE = Path("docs/results/taught.md")
ROW, STRIPS = "row.json", "strips.png"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """footage: as the reader sees the clips. made: as it sees what was drawn; refused: why nothing was."""

    name: str
    footage: list[Read]
    made: list[Read]
    outside: list[int]
    still: list[bool]
    lesson: Lesson | None
    seconds: float
    refused: str = ""

    @property
    def wanted(self) -> tuple[float, float]:
        """The rate and the size of the clips."""
        seen = [one for one in self.footage if one.rate]
        return quantile([one.rate for one in seen]) or 0.0, quantile([one.size for one in seen]) or 0.0

    @property
    def right(self) -> tuple[Share, Share, Share]:
        """Of rates, of sizes, and of both."""
        rate, size = self.wanted
        rates = [abs(one.rate / rate - 1) <= NEAR for one in self.made]
        sizes = [abs(one.size / size - 1) <= NEAR for one in self.made]
        return Share.of(rates), Share.of(sizes), Share.of([a and b for a, b in zip(rates, sizes, strict=True)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/taught"))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--kinds", nargs="*", help="those alone; all of them where it is left out")
    options = parser.parse_args(arguments)
    options.kinds = options.kinds or [*map(str, Kind), *([REAL] if options.real else [])]
    files = sorted(path for path in options.pictures.iterdir() if path.suffix.lower() in (".jpg", ".png", ".webp"))
    places = [place_in(path, number) for number, path in enumerate(files[:PICTURES])]
    for name in options.kinds:
        folder = options.out / name
        if (folder / ROW).is_file():
            continue
        boxes = _cut_up(options.real, folder) if name == REAL else _filmed(Kind(name), folder)
        result, rows = _taught(name, folder, boxes, places)
        save_picture(folder / STRIPS, _stacked(rows), {})
        (folder / ROW).write_text(json.dumps([_row(result), result.refused]), encoding="utf-8")
        sys.stderr.write(f"{_row(result)}\n")
    done = [options.out / name for name in (*Kind, REAL) if (options.out / name / ROW).is_file()]
    options.page.write_text(_page([json.loads((one / ROW).read_text("utf-8")) for one in done]), encoding="utf-8")
    strips = [np.asarray(read_picture(one / STRIPS)) for one in done if one.name != REAL]  # which is not ours to show
    save_picture(options.page.with_suffix(".png"), _stacked(strips), {})


def _filmed(kind: Kind, folder: Path) -> dict[Path, Box]:
    """Clips made by code, and where in each it is."""
    paths = [folder / f"{number:02d}.mp4" for number in range(CLIPS)]
    return {path: film(kind, number, path).box for number, path in enumerate(paths)}


def _cut_up(video: Path, folder: Path) -> dict[Path, Box]:
    """A real video as short clips, all of whose picture is looked at."""
    film_, boxes = Video(video), dict[Path, Box]()
    rate = rate_of(film_, length_of(film_))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(int(REAL_UNTIL / REAL_SECONDS)):
        times = [number * REAL_SECONDS + (i + 0.5) / rate for i in range(int(REAL_SECONDS * rate))]
        frames = np.stack(list(read_frames(film_, times)))
        path = folder / f"{number:02d}.mp4"
        save_clip(path, frames, rate, {})
        boxes[path] = (40.0, 0.0, 260.0, float(frames.shape[1]))  # the tree, beside a window's frame
    return boxes


def _taught(name: str, folder: Path, boxes: dict[Path, Box], places: Sequence[Place]) -> tuple[Result, list[Frames]]:
    """A folder of clips through all of it, and rows of pictures."""
    clips = {path: _frames(path) for path in boxes}
    fps = rate_of(Video(next(iter(boxes))), length_of(Video(next(iter(boxes)))))
    footage = [read(frames, fps, boxes[path]) for path, frames in clips.items()]
    first = next(iter(clips.values()))
    started = time.process_time()
    try:
        lesson = teach(folder)
    except InputError as error:
        return Result(name, footage, [], [], [], None, time.process_time() - started, str(error)), [_strip(first)]
    seconds = time.process_time() - started
    lesson.learnt.taught.write(folder / f"{name}.json")
    save_picture(folder / f"{name}.png", sheet(lesson), {})
    made, away, still, rows = [], [], [], [_strip(first)]
    for number, place in enumerate(places):
        frames = drawn(place, lesson.learnt.taught, number)
        made.append(read(frames, DRAWN_FPS, place.box))
        away.append(outside(frames, place))
        without = drawn(place, None, number)
        still.append(bool((without == without[0]).all()))
        save_clip(
            folder / "drawn" / f"{number:02d}.mp4",
            frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2],
            DRAWN_FPS,
            {},
        )
        if number in SHOWN_PICTURES:
            rows.append(_strip(_marked(frames, place)))
    return Result(name, footage, made, away, still, lesson, seconds), rows


def _frames(path: Path) -> Frames:
    video = Video(path)
    seconds = length_of(video)
    rate = rate_of(video, seconds)
    return np.stack(list(read_frames(video, [(i + 0.5) / rate for i in range(int(seconds * rate + 0.5))])))


def _marked(frames: Frames, place: Place) -> Frames:
    left, top, right, bottom = map(int, place.box)
    marked = frames.copy()
    for frame in marked:
        cv2.rectangle(frame, (left - 1, top - 1), (right, bottom), (255, 255, 255), 1)
    return marked


def _strip(frames: Frames) -> Frames:
    size = (round(frames.shape[2] * 96 / frames.shape[1]), 96)
    return np.concatenate([cv2.resize(frames[i], size, interpolation=cv2.INTER_AREA) for i in SHOWN], axis=1)


def _stacked(rows: Sequence[Frames]) -> Frames:
    wide = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 4), (0, wide - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    )


def _row(result: Result) -> list[str]:
    rate, size = result.wanted
    told = [result.name, str(len(result.footage)), f"{result.seconds:.0f}"]
    if result.lesson is None:
        return [*told, *["-"] * 6, "refused"]
    rates, sizes, both = result.right
    taught = result.lesson.learnt.taught
    seen = (quantile([one.rate for one in result.made]), quantile([one.size for one in result.made]))
    return [
        *told, f"{rate:.2f} / {taught.rates[0]:.2f} / {seen[0]:.2f}", f"{size:.3f} / {taught.size:.3f} / {seen[1]:.3f}",
        str(rates), str(sizes), str(both), str(max(result.outside)),
        f"{sum(result.still)} of {len(result.still)}",
    ]  # fmt: skip


def _page(results: Sequence[tuple[list[str], str]]) -> str:
    """Of each its row of the table, and why it was refused."""
    header = [
        "clips of", "clips", "processor seconds to teach", "times a second: clips / file / drawn",
        "size: clips / file / drawn",
        "rate right", "size right", "both right", "outside, of 255", "still without the file",
    ]  # fmt: skip
    lines = [
        "# Motion taught by footage", "",
        "Written by `python -m studies.taught`; [taught-motion.md](../taught-motion.md) is the guide.", "",
        *_about(), "",
        table(header, [row for row, _ in results]), "",
        *(f"- {row[0]} is refused: {why}" for row, why in results if why), "",
        "![clips, and two pictures that each moves](taught.png)", "",
        "In the picture: of what is made by code five frames of a clip, then of two pictures that it moves, with a",
        "white rim here around the region; what is refused is not drawn. `tree` is a real video, tree.avi of Debian's",
        "opencv-doc (BSD-3-Clause), cut up; its leaves stir by 0.1 to 0.2 of a pixel at 320x240, which is less than",
        "can be told from the noise of a camera.", "",
        "What is wrong with them: grass rolls as water does, half as far up and down as sideways, since flow sees the",
        "tips of blades pass; a coast or a house within the region waves like cloth, as nothing knows what it is;",
        "drawn motion is a sixth smaller than the clips', as the region's border stays still.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _about() -> list[str]:
    return [
        f"Each folder of clips is taught without masks, and drawn on {PICTURES} pictures that it does not show, in a",
        "rectangle where there is something to see, each with a seed of its own. Rates and sizes (root mean square, in",
        "sizes of the region) are medians as a reader sees them that shares nothing with what teaches and what draws",
        f"(OpenCV's dense inverse search); right is within {NEAR:.0%} of the clips'. Shares with their 95 %",
        "intervals (Wilson).",
    ]


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
