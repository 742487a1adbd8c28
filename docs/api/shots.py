"""A storyboard's rows: what stands in a CSV or JSON file, read and held against what there is.

One line of column names and a row for each shot, or a JSON list of objects of the same names:

  keyframe  a picture's file, beside the storyboard     prompt    what happens
  picture   or the words that a keyframe is drawn from  negative  what to steer away from
  camera    words for the camera                        strength  of the keyframe's appearance, 1 as trained
  seconds   4 unless it is said                         seed      1 unless it is said
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from client import ComfyError

SEEDS = 2**64  # as many as the nodes take
Row = dict[str, object]


class StoryboardError(ComfyError):
    """The storyboard cannot be read; the message names file, row and column, and says what to write there."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One row. where: as messages name it. Of keyframe (a file) and picture (words) there is one."""

    where: str
    keyframe: Path | None
    picture: str
    camera: str
    prompt: str
    negative: str
    strength: float
    seconds: float
    seed: int


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    return value.strip()


def number(least: float, most: float) -> Callable[[object], float]:
    """A reader of numbers within these bounds, which raises ValueError for all else."""

    def read(value: object) -> float:
        try:
            found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        except (ValueError, OverflowError):
            found = None
        if found is None or not least <= found <= most:  # NaN is within no bounds
            raise ValueError(f"is no number from {least:g} to {most:g}")
        return found

    return read


def whole(value: object) -> int:
    digits = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and int(digits) < SEEDS):
        raise ValueError(f"is no whole number from 0 to {SEEDS - 1}")
    return int(digits)


COLUMNS: dict[str, tuple[Callable[[object], object], object]] = {  # how a cell is read, and what an empty one means
    "keyframe": (read_text, ""), "picture": (read_text, ""), "camera": (read_text, ""), "prompt": (read_text, ""),
    "negative": (read_text, ""), "strength": (number(0, 2), 1.0), "seconds": (number(0.1, 120), 4.0),
    "seed": (whole, 1),
}  # fmt: skip


def read_storyboard(path: Path) -> list[Shot]:
    """The shots of a file. Raises StoryboardError, in one line, for whatever is wrong with it."""
    rows_of = {".csv": rows_of_csv, ".json": rows_of_json}.get(path.suffix.lower())
    if rows_of is None:
        raise StoryboardError(f"{path}: a storyboard is a .csv or a .json file.")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StoryboardError(f"{path}: cannot be read: {error}. Save it as UTF-8.") from error
    except OSError as error:
        raise StoryboardError(f"{path}: cannot be read: {error.strerror}.") from error
    shots = [shot_of(f"{path.name}, {row}", cells, path.parent) for row, cells in rows_of(path.name, content)]
    if not shots:
        raise StoryboardError(f"{path}: holds no shots.")
    return shots


def rows_of_csv(name: str, content: str) -> Iterator[tuple[str, Row]]:
    """Rows by the numbers that a spreadsheet gives them: the columns' names are row 1. Empty rows are left out."""
    head = content.partition("\n")[0]
    between = max(",;\t", key=head.count)  # spreadsheets of some languages write the others
    rows = csv.reader(io.StringIO(content), delimiter=between, strict=True)
    try:
        columns = [column.strip() for column in next(rows, [])]
        twice = next((column for column in columns if columns.count(column) > 1), None)
        if twice is not None:
            raise StoryboardError(f"{name}, row 1: there are two columns {twice!r}. Leave one of them out.")
        for count, cells in enumerate(rows, start=2):
            if any(cells[len(columns) :]):
                more = f"more cells than the {len(columns)} columns of row 1"
                raise StoryboardError(f"{name}, row {count}: {more}. Put text with {between!r} in it in quotes.")
            if any(cell.strip() for cell in cells):
                yield f"row {count}", dict(zip(columns, cells, strict=False))  # a row may end early
    except csv.Error as error:
        raise StoryboardError(f"{name}, row {rows.line_num}: {error}.") from error


def rows_of_json(name: str, content: str) -> Iterator[tuple[str, Row]]:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoryboardError(f"{name}: not JSON ({error}).") from error
    if not isinstance(rows, list):
        raise StoryboardError(f"{name}: no list of shots. Write [{{...}}, {{...}}].")
    for count, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise StoryboardError(f"{name}, shot {count}: no object: {json.dumps(row)[:40]}. Write {{...}}.")
        yield f"shot {count}", row


def shot_of(where: str, row: Row, folder: Path) -> Shot:
    """A row's cells, read and held against one another."""
    unknown = next((column for column in row if column not in COLUMNS), None)
    if unknown is not None:
        raise StoryboardError(f"{where}: no column is called {unknown!r}, but {', '.join(COLUMNS)}.")
    given = {column: value for column, value in row.items() if value is not None and str(value).strip()}
    cells = {column: empty for column, (_, empty) in COLUMNS.items()}
    for column, value in given.items():
        try:
            cells[column] = COLUMNS[column][0](value)
        except ValueError as error:
            raise StoryboardError(f"{where}, column {column}: {str(value)[:40]!r} {error}.") from error
    check_together(where, given, folder)
    file = folder / str(cells["keyframe"]) if cells["keyframe"] else None
    return Shot(where, **(cells | {"keyframe": file}))


def check_together(where: str, given: Row, folder: Path) -> None:
    """StoryboardError for cells that do not go together, or lack one another."""
    if ("keyframe" in given) == ("picture" in given):
        raise StoryboardError(
            f"{where}, columns keyframe and picture: give a file, or words to draw from: one of them."
        )
    file = folder / str(given.get("keyframe", "")).strip()
    if "keyframe" in given and not file.is_file():
        raise StoryboardError(f"{where}, column keyframe: there is no file {str(file)!r}.")
    if "camera" not in given and "prompt" not in given:
        raise StoryboardError(f"{where}, columns camera and prompt: both are empty, so that nothing would move.")
    lost = next((column for column in ("negative", "strength") if column in given), None)
    if "camera" in given and lost:
        raise StoryboardError(
            f"{where}, column {lost}: a row with camera words has no use for it. Empty one of the two."
        )
