"""What a file may ask of its reader, checked before it is parsed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

# Far above any real file: Toybox's header has 55 kB, a vocabulary of Stable Diffusion's size 2 MB. JSON of only
# brackets takes thirty times its length in memory, which is why its limit is lower.
MAX_HEADER = 8_000_000  # bytes
MAX_JSON = 1_000_000  # characters of one entry of the metadata
MAX_TOKENIZER = 4_000_000
MAX_BLOCKS = 256  # of one network


def check_file(path: Path, wanted: str) -> None:
    """Raises CheckpointError, asking for `wanted`, for what is no file and for a header too long to be parsed."""
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
            raise CheckpointError(f"{path}: {what}; give {wanted}")
        with path.open("rb") as file:
            start = file.read(8)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give {wanted}") from error
    length = int.from_bytes(start, "little")
    if MAX_HEADER < length <= size - len(start):
        raise CheckpointError(
            f"{path}: its header of {length / 1e6:.0f} MB is longer than any model's ({MAX_HEADER / 1e6:.0f} MB at "
            "most): the file is damaged or made to do harm; get it anew"
        )


def parse_json(text: str, name: str, limit: int = MAX_JSON) -> Any:
    """The value of a JSON text; `name` says in an error what it is of.

    Raises ValueError for more than `limit` characters and for what is not JSON.
    """
    if len(text) > limit:
        raise ValueError(f"{name} is too long: {len(text):,} characters, {limit:,} at most")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON ({error})") from error
