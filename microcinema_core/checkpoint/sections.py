"""Where a section's tensors lie: in the file itself, or in the companion beside it that the file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError
from ..files import sha256_of
from .format import DIFFUSION, TEXT_ENCODER, VAE, Checkpoint, Header, read_checkpoint

ADVICE = {
    VAE: "make it anew from a source with its autoencoder",
    TEXT_ENCODER: "make it anew from a source with its text encoder and vocabulary (`inflate` takes --tokenizer)",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One section's tensors, the header that describes them, and the file they came from."""

    path: Path
    header: Header
    state: dict[str, Tensor]


def find_section(name: str, path: Path, checkpoint: Checkpoint) -> Section:
    """A section of this file, or of its companion. Raises CheckpointError where neither holds it."""
    if name in checkpoint.sections:
        return Section(path, checkpoint.header, checkpoint.sections[name])
    beside = _companion(name, path, checkpoint.header)
    found = read_checkpoint(beside)
    if name not in found.sections:
        raise CheckpointError(f"{beside}: holds no {name}, though {path.name} names it for that; get both files anew")
    return Section(beside, found.header, found.sections[name])


def check_section(name: str, path: Path, header: Header) -> None:
    """Whether a section is where the file says. Raises CheckpointError where its companion is missing or another."""
    if name in header.companions:
        _companion(name, path, header)


def _companion(name: str, path: Path, header: Header) -> Path:
    """The file beside this one that carries a section. Raises CheckpointError where it is not there, or is another."""
    companion = header.companions.get(name)
    if companion is None:
        advice = f"; {ADVICE[name]}" if name in ADVICE and header.kind in DIFFUSION else ""
        raise CheckpointError(f"{path}: holds no {name} and names no companion file that does{advice}")
    beside = path.parent / companion.file
    if not beside.is_file():
        raise CheckpointError(f"{path}: needs {companion.file} beside it for its {name}; put both in one folder")
    if sha256_of(beside) != companion.sha256:
        raise CheckpointError(f"{beside}: is not the {name} that {path.name} was trained with; get both files anew")
    return beside
