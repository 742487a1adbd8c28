"""What a file may ask of its reader, checked before it is parsed."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from ..files import check_readable

# Far above any real file: Toybox's header has 55 kB, a vocabulary of Stable Diffusion's size 2 MB.
MAX_HEADER = 8_000_000  # bytes
MAX_TOKENIZER = 4_000_000
MAX_BLOCKS = 256  # of one network


def check_file(path: Path, wanted: str) -> None:
    """Raises CheckpointError, asking for `wanted`, for what is no file and for a header too long to be parsed."""
    size = check_readable(path, wanted, CheckpointError)
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CheckpointError(f"{path}: a file whose name is no UTF-8 text cannot be opened; rename it") from error
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give {wanted}") from error
    length = int.from_bytes(start, "little")
    if MAX_HEADER < length <= size - len(start):
        raise CheckpointError(
            f"{path}: its header of {length / 1e6:.0f} MB is longer than any model's ({MAX_HEADER / 1e6:.0f} MB at "
            "most): the file is damaged or made to do harm; get it anew"
        )
