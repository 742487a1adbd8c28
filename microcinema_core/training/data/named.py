"""What a source of videos names: each with its sentence, or with the reason why it is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...files import read_text
from ...media.films import Video
from ...shot.settings import MAX_PROMPT, check_prompt

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
TEXTS = ("text", "caption")  # what lists and shards call a sentence
MAX_SENTENCE = 4 * MAX_PROMPT  # bytes: a character has up to four
A_SENTENCE = "a text file with one sentence about the video beside it"


@dataclass(frozen=True, slots=True)
class Named:
    """A video that was not opened yet, and its sentence. name: within the source, for a person."""

    name: str
    video: Video
    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What cannot be used, and why, in words for a person. place: where it lies."""

    name: str
    reason: str
    place: str = ""

    @classmethod
    def of(cls, name: str, place: object, error: InputError) -> LeftOut:
        """An error's reason, without the place that it begins with."""
        return cls(name, str(error).removeprefix(f"{place}: "), str(place))

    def __str__(self) -> str:
        return f"{self.place or self.name}: {self.reason}"


Entry = Named | LeftOut
Entries = Iterator[Entry]


def beside(name: str, path: Path) -> Entry:
    """A video with its sentence in NAME.txt beside it."""
    try:
        text = read_text(path.with_suffix(".txt"), A_SENTENCE, MAX_SENTENCE)
        return Named(name, Video(path), sentence(text))
    except InputError as error:
        return LeftOut.of(name, path, error)


def sentence(text: str) -> str:
    """A video's sentence, without what surrounds it. Raises InputError for none, and for what cannot be one."""
    if not (found := check_prompt(text).strip()):
        raise InputError("has no sentence; write one that says what happens")
    return found
