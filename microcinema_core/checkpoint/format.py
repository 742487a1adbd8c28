"""The checkpoint: one safetensors file whose metadata says how to rebuild what it holds.

Sections of tensors: `unet.`, `appearnet.`, `vae.` (the host's TAESD keys), `text_encoder.`. Which of them a file holds
follows from its kind; a bundle without `vae.` or `text_encoder.` names the companion file that carries it.
Everything is strict: keys, shapes, versions. No pickle is ever opened.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..config import Kind, ModelConfig
from ..errors import CheckpointError, ConfigError

FORMAT_VERSION = 1
PREFIX = "microcinema."
VAE, TEXT_ENCODER, UNET, APPEARNET = "vae", "text_encoder", "unet", "appearnet"
REQUIRED = {
    Kind.AUTOENCODER: (VAE,),
    Kind.TEXT_ENCODER: (TEXT_ENCODER,),
    Kind.IMAGE: (UNET,),
    Kind.VIDEO: (UNET, APPEARNET),
}


@dataclass(frozen=True, slots=True)
class Companion:
    """A file in the same folder that carries a section this one leaves out."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself, without its tensors."""

    kind: Kind
    config: ModelConfig
    licence: str = "Apache-2.0"
    provenance: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, Any] | None = None  # {"vocab": {token: id}, "merges": ["a b", ...]}
    companions: dict[str, Companion] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        values: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "kind": self.kind,
            "config": self.config.to_dict(),
            "licence": self.licence,
            "provenance": self.provenance,
            "companions": {name: {"file": c.file, "sha256": c.sha256} for name, c in self.companions.items()},
        }
        if self.tokenizer is not None:
            values["tokenizer"] = self.tokenizer
        return {PREFIX + key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A header and the tensors of each section, keys without the section's prefix."""

    header: Header
    sections: dict[str, dict[str, Tensor]]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed over it if the body succeeds and removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint_file(path: Path, checkpoint: Checkpoint, dtype: torch.dtype = torch.float16) -> None:
    """Write atomically; floating-point tensors are stored as `dtype`."""
    tensors = {
        f"{section}.{key}": (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for section, state in checkpoint.sections.items()
        for key, value in state.items()
    }
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata=checkpoint.header.to_metadata())


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, opened by safetensors; anything else is refused by name."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"{path}: {what}; give a MicroCinema .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise CheckpointError(f"{path}: {_what_it_is(path)} ({error}); give a MicroCinema .safetensors file") from error


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        return "is a pickle (.ckpt, .pt), which can run code when opened and is never loaded"
    if len(start) == 8 and 0 < int.from_bytes(start, "little") < 100_000_000:
        return "is a truncated or damaged safetensors file"
    return "is not a safetensors file"


def _json(metadata: Mapping[str, str], key: str, path: Path, default: Any = None) -> Any:
    text = metadata.get(PREFIX + key)
    if text is None:
        return default
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: metadata {PREFIX + key} is not JSON ({error}); get the file anew") from error


def _header(metadata: Mapping[str, str] | None, path: Path) -> Header:
    if not metadata or PREFIX + "format" not in metadata:
        raise CheckpointError(
            f"{path}: is a safetensors file, but not MicroCinema's (no {PREFIX}format in its metadata); "
            "`microcinema inspect` says what it holds"
        )
    version = metadata[PREFIX + "format"]
    if version != str(FORMAT_VERSION):
        newer = version.isdigit() and int(version) > FORMAT_VERSION
        raise CheckpointError(
            f"{path}: format version {version}, this program reads {FORMAT_VERSION}; "
            + ("update microcinema" if newer else "get the file anew")
        )
    kind = metadata.get(PREFIX + "kind", "")
    if kind not in list(Kind):
        raise CheckpointError(f"{path}: kind {kind!r} is none of {', '.join(Kind)}")
    companions = _json(metadata, "companions", path, {})
    try:
        config = ModelConfig.from_dict(_json(metadata, "config", path), "config")
        return Header(
            Kind(kind),
            config,
            metadata.get(PREFIX + "licence", "unknown"),
            _json(metadata, "provenance", path, {}),
            _json(metadata, "tokenizer", path),
            {name: Companion(str(c["file"]), str(c["sha256"])) for name, c in companions.items()},
        )
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: bad metadata: {error}") from error


def read_header(path: Path) -> Header:
    """The file's header alone. Raises CheckpointError for whatever is not a MicroCinema file."""
    with _opened(path) as file:
        return _header(file.metadata(), path)


def read_checkpoint(path: Path) -> Checkpoint:
    """The whole file. Raises CheckpointError for a damaged file, unknown sections or a missing one."""
    with _opened(path) as file:
        header = _header(file.metadata(), path)
        sections: dict[str, dict[str, Tensor]] = {}
        for key in file.keys():
            section, _, name = key.partition(".")
            if section not in (VAE, TEXT_ENCODER, UNET, APPEARNET) or not name:
                raise CheckpointError(f"{path}: unexpected tensor {key!r}")
            sections.setdefault(section, {})[name] = file.get_tensor(key)
    for section in REQUIRED[header.kind]:
        if section not in sections:
            raise CheckpointError(f"{path}: says it is of kind {header.kind} but holds no {section}.* tensors")
    return Checkpoint(header, sections)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Fill a module; every key and shape must match, and every number be finite.

    Raises CheckpointError naming the first that does not.
    """
    wanted = module.state_dict()
    missing, extra = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"{what}: {len(missing)} tensors missing{f' (first: {missing[0]})' if missing else ''}, "
            f"{len(extra)} unexpected{f' (first: {extra[0]})' if extra else ''}; the file is of another architecture"
        )
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise CheckpointError(f"{what}: {key} has shape {list(state[key].shape)}, {list(value.shape)} was expected")
        if state[key].is_floating_point() and not math.isfinite(state[key].float().abs().sum().item()):
            raise CheckpointError(f"{what}: {key} holds NaN or infinity; get the file anew")
    module.load_state_dict(dict(state))
