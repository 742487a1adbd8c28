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

from ..checkpoint.embedded import NAME, file_name
from ..checkpoint.format import DIFFUSION, TEXT_ENCODER, VAE, Companion, read_header
from ..checkpoint.load import expect_kind, load_composer, load_networks
from ..config import Kind
from ..errors import CheckpointError
from ..files import sha256_of, written_whole

CARRIES = {VAE: Kind.AUTOENCODER, TEXT_ENCODER: Kind.TEXT_ENCODER}  # section -> the kind of file that carries it


def publish(sources: Mapping[Kind, str | Path], folder: str | Path, name: str = NAME) -> list[Path]:
    """Write `name`-KIND.safetensors for each of the given files into `folder`; returns the files, in the kinds' order.

    Tensors stay as they are, bit for bit; only the names of companion files in the metadata change. Everything is
    loaded once before any file appears. Raises CheckpointError for files of another kind, for stages that were not
    trained on each other, and where a companion is missing.
    """
    folder, paths = Path(folder), {kind: Path(path) for kind, path in sources.items()}
    headers = {kind: read_header(path) for kind, path in paths.items()}
    for kind, header in headers.items():
        expect_kind(header, paths[kind], kind)
    hashes = {kind: sha256_of(path) for kind, path in paths.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".publish-") as temporary_name:
        temporary = Path(temporary_name)
        for kind, source in paths.items():
            companions = {}
            for section, companion in headers[kind].companions.items():
                carrier = CARRIES.get(section)
                if carrier is None or hashes.get(carrier) != companion.sha256:
                    raise CheckpointError(
                        f"{source}: was trained with another {carrier.word if carrier else section} file than the one "
                        f"given; give the one whose SHA-256 is {companion.sha256}"
                    )
                companions[section] = Companion(file_name(carrier, name), companion.sha256)
            _copy(source, temporary / file_name(kind, name), companions)
        for kind in sources:
            _verify(paths[kind], temporary / file_name(kind, name), kind)
        return [_move(temporary / file_name(kind, name), folder) for kind in Kind if kind in sources]


def _copy(source: Path, to: Path, companions: Mapping[str, Companion]) -> None:
    if not companions:
        shutil.copyfile(source, to)  # byte for byte: others know this file by its hash
        return
    header = replace(read_header(source), companions=dict(companions))
    save_file(_tensors(source), to, metadata=header.to_metadata())


def _tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def _verify(source: Path, copy: Path, kind: Kind) -> None:
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
    if kind is Kind.COMPOSER:
        load_composer(copy)
        return
    if kind in DIFFUSION:
        load_networks(copy, kind=kind)
    if kind is not Kind.TEXT_ENCODER:
        load_codec(copy)
    if kind is not Kind.AUTOENCODER:
        load_text_encoder(copy)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


def _move(path: Path, folder: Path) -> Path:
    final = folder / path.name
    with written_whole(final) as temporary:
        shutil.copyfile(path, temporary)
    return final
