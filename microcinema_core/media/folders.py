"""Folders that hold pictures of ours alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from ..files import check_writable, reachable

Test = Callable[[Path], bool]


def check_own_folder(path: Path, called: str, named: Test, made: Test) -> None:
    """Raises InputError where pictures could not be written, or would be written over somebody else's files.

    called: what they are, in messages. named: whether a file is one of them by its name; made: whether it is, by what
    it holds.
    """
    with reachable(path):
        if not path.exists():
            return check_writable(path)
        if not path.is_dir():
            raise InputError(f"{path}: is a file, not a folder; choose another name")
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise InputError(f"{path}: may not be read and written; choose another place")
        for item in path.iterdir():
            if item.name.startswith("."):
                continue
            if not named(item):
                raise InputError(f"{path}: holds other files than {called} ({item.name}); name a new folder for them")
            if not made(item):
                raise InputError(f"{item}: was not made by microcinema; name a new folder for the {called}")
    return None
