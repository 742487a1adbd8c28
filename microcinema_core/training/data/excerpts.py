"""Latents of excerpts, each in a file of its own that is mapped when it is drawn.

A file's name follows from its film's key and the number of the excerpt, so that other films change nothing about it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...checkpoint.format import opened
from ...checkpoint.kept import read_kept, write_kept
from ...errors import CheckpointError
from .films import Film
from .shards import LATENTS

REFUSED = "refused-"  # what a film that cannot be decoded leaves for the other processes
logger = logging.getLogger("microcinema")


@dataclass(frozen=True, slots=True)
class Excerpts:
    """The excerpts of one length, rate and size, made by one autoencoder."""

    folder: Path

    def path(self, film: Film, number: int) -> Path:
        return self.folder / film.key[:2] / f"{film.key}-{number:05d}.safetensors"

    def read(self, film: Film, number: int) -> Tensor:
        """Model-space [T, C, h, w], float16. Raises CheckpointError for what is not there any more."""
        with opened(self.path(film, number)) as file:
            latents: Tensor = file.get_tensor(LATENTS).clone()  # or the file would stay mapped
        return latents

    def whole(self, film: Film, number: int) -> bool:
        """Whether the latents are there, every bit as it was written. What is damaged is said."""
        path = self.path(film, number)
        if not path.exists():
            return False
        try:
            if LATENTS in read_kept(path)[0]:
                return True
            reason = f"{path}: holds no latents"
        except CheckpointError as error:
            reason = str(error)
        logger.warning("%s; its latents are made once more", reason)
        return False

    def keep(self, film: Film, number: int, latents: Tensor) -> None:
        """Write latents [T, C, h, w], whole or not at all. Raises OSError where the disk refuses."""
        write_kept(self.path(film, number), {LATENTS: latents.half()})

    def refuse(self, film: Film, reason: str) -> None:
        """Tell every process that this film is left out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._note(film.key).write_text(reason, encoding="utf-8")

    def refuses(self, film: Film) -> bool:
        """Whether one of them has left it out."""
        return self._note(film.key).exists()

    def refused(self) -> dict[str, str]:
        """Why films are left out, by their keys."""
        notes = self.folder.glob(f"{REFUSED}*.txt")
        return {note.stem.removeprefix(REFUSED): note.read_text(encoding="utf-8", errors="replace") for note in notes}

    def forget(self, keys: Collection[str]) -> None:
        """Let these films be tried once more, in this run or the next."""
        for key in keys:
            self._note(key).unlink(missing_ok=True)

    def _note(self, key: str) -> Path:
        return self.folder / f"{REFUSED}{key}.txt"
