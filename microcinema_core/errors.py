"""What goes wrong at the boundaries, in words for the person who has to mend it, and words made fit to be shown."""

from __future__ import annotations

import re

MAX_SHOWN = 200  # characters of a name or reason from outside, in an error
MAX_MESSAGE = 2000  # of a whole error
MAX_DETAIL = 10_000  # of a stored value that somebody asked to see


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """A text from outside on one line of printable characters, cut to `limit`: no terminal obeys what a stranger wrote.

    Bytes of a file's name that are no UTF-8, which Python keeps as surrogates, read as in Python: \\xff.
    """
    cut = text if len(text) <= limit else f"{text[:limit]}..."
    return "".join(c if c.isprintable() else " " if c.isspace() else _escaped(c) for c in cut)


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else "\ufffd"


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """The same, with runs of spaces as one."""
    return re.sub(" +", " ", shown(text, limit)).strip()


class MicroCinemaError(Exception):
    """Base of every error that a user can cause; the command line prints it as one line.

    The message says what is wrong, where, and what to do next. Names and texts from outside need no care where they are
    put into it: here it is made one line of printable characters.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ConfigError(MicroCinemaError):
    """A configuration (file, metadata or preset) that describes no model we can build."""


class CheckpointError(MicroCinemaError):
    """A file that is not the checkpoint it is taken for."""


class InputError(MicroCinemaError):
    """A picture, prompt, number or path that cannot be used as given."""


class Cancelled(MicroCinemaError):
    """The caller asked to stop, through a progress callback or Ctrl-C."""
