"""From the four files that training leaves to one folder of files that belong together under their public names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..checkpoint.embedded import NAME, STAGES, file_name
from ..checkpoint.format import TEXT_ENCODER, VAE, Companion, read_header
from ..checkpoint.load import expect_kind, load_networks
from ..config import Kind
from ..errors import CheckpointError
from ..files import sha256_of, written_whole

AUTOENCODER, TEXT, IMAGE, VIDEO, TSR = STAGES
KINDS = {
    AUTOENCODER: Kind.AUTOENCODER,
    TEXT: Kind.TEXT_ENCODER,
    IMAGE: Kind.IMAGE,
    VIDEO: Kind.VIDEO,
    TSR: Kind.TSR,
}
CARRIES = {VAE: AUTOENCODER, TEXT_ENCODER: TEXT}  # section -> the stage whose file carries it


def publish(sources: Mapping[str, Path], folder: Path, name: str = NAME) -> list[Path]:
    """Write `name`-STAGE.safetensors for the given stages into `folder`; returns the files.

    Tensors stay as they are, bit for bit; only the names of companion files in the metadata change. Everything is
    loaded once before any file appears. Raises CheckpointError for files of another kind, for stages that were not
    trained on each other, and where a companion is missing.
    """
    headers = {stage: read_header(path) for stage, path in sources.items()}
    for stage, header in headers.items():
        expect_kind(header, sources[stage], KINDS[stage])
    hashes = {stage: sha256_of(path) for stage, path in sources.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".publish-") as temporary_name:
        temporary = Path(temporary_name)
        for stage, source in sources.items():
            companions = {}
            for section, companion in headers[stage].companions.items():
                carrier = CARRIES.get(section, section)
                if hashes.get(carrier) != companion.sha256:
                    raise CheckpointError(
                        f"{source}: was trained with another {carrier} file than the one given; "
                        f"give the one whose SHA-256 is {companion.sha256}"
                    )
                companions[section] = Companion(file_name(carrier, name), companion.sha256)
            _copy(source, temporary / file_name(stage, name), companions)
        for stage in sources:
            _verify(sources[stage], temporary / file_name(stage, name), stage)
        return [_move(temporary / file_name(stage, name), folder) for stage in sorted(sources, key=STAGES.index)]


def _copy(source: Path, to: Path, companions: Mapping[str, Companion]) -> None:
    if not companions:
        shutil.copyfile(source, to)  # byte for byte: others know this file by its hash
        return
    header = replace(read_header(source), companions=dict(companions))
    save_file(_tensors(source), to, metadata=header.to_metadata())


def _tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def _verify(source: Path, copy: Path, stage: str) -> None:
    """The copy holds the same bits, and loads strictly with its companions."""
    from ..standalone.components import load_codec, load_text_encoder

    ours, theirs = _tensors(copy), _tensors(source)
    same = ours.keys() == theirs.keys() and all(
        ours[key].dtype == theirs[key].dtype
        and ours[key].shape == theirs[key].shape
        and torch.equal(_bits(ours[key]), _bits(theirs[key]))
        for key in ours
    )
    if not same:
        raise CheckpointError(f"{source}: the copy differs from it; try again on another disk")
    if stage in (IMAGE, VIDEO, TSR):
        load_networks(copy, kind=KINDS[stage])
    if stage != TEXT:
        load_codec(copy)
    if stage != AUTOENCODER:
        load_text_encoder(copy)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


def _move(path: Path, folder: Path) -> Path:
    final = folder / path.name
    with written_whole(final) as temporary:
        shutil.copyfile(path, temporary)
    return final
