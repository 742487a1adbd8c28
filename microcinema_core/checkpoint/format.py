"""The checkpoint: one safetensors file whose metadata says how to rebuild what it holds.

Sections of tensors: `unet.`, `appearnet.`, `vae.` (the host's TAESD keys), `text_encoder.`, `composer.`. Which of them
a file holds follows from its kind; a bundle without `vae.` or `text_encoder.` names the companion file that carries it.
Everything is strict: keys, shapes, versions. No pickle is ever opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..config import Kind, ModelConfig
from ..errors import CheckpointError, ConfigError, shown
from ..files import MAX_JSON, disk_errors, parse_json, written_whole
from .foreign import IMAGE_MODEL, IN_SAFETENSORS, foreign_title
from .limits import MAX_BLOCKS, MAX_TOKENIZER, check_file

MAKERS = {"inflate": IMAGE_MODEL, "convert": "ModelScope"}  # by a model's title
FORMAT_VERSION = 1
PREFIX = "microcinema."
LORA = "lora"  # in the place of a kind: parts beside a model's layers, `lora_file.py`
VAE, TEXT_ENCODER, UNET, APPEARNET, COMPOSER = "vae", "text_encoder", "unet", "appearnet", "composer"
REQUIRED = {
    Kind.AUTOENCODER: (VAE,),
    Kind.TEXT_ENCODER: (TEXT_ENCODER,),
    Kind.IMAGE: (UNET,),
    Kind.VIDEO: (UNET, APPEARNET),
    Kind.TSR: (UNET, APPEARNET),
    Kind.COMPOSER: (COMPOSER,),
}
DIFFUSION = (Kind.IMAGE, Kind.VIDEO, Kind.TSR)
BUNDLED = dict.fromkeys(DIFFUSION, (VAE, TEXT_ENCODER))


@dataclass(frozen=True, slots=True)
class Companion:
    """A file in the same folder that carries a section this one leaves out."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        # On every system: a stored name must never lead out of the folder.
        plain = self.file.isprintable() and len(self.file.encode()) <= 255 and not re.search(r"[/\\:]", self.file)
        if not plain or self.file in ("", ".", ".."):
            raise ValueError(f"companion {shown(self.file, 80)!r} is not a plain file name")


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


def save_checkpoint_file(path: str | Path, checkpoint: Checkpoint, dtype: torch.dtype = torch.float16) -> None:
    """Write atomically; floating-point tensors are stored as `dtype`.

    Raises CheckpointError, and leaves an older file alone, where a number is not finite or too large for `dtype`, and
    OSError where the disk refuses.
    """
    path = Path(path)
    tensors = {
        f"{section}.{key}": (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for section, state in checkpoint.sections.items()
        for key, value in state.items()
    }
    for key, value in tensors.items():
        if not _finite(value):
            raise CheckpointError(f"{path}: not written: {key} holds NaN, infinity or numbers beyond {dtype}")
    with disk_errors(path), written_whole(path) as temporary:
        save_file(tensors, temporary, metadata=checkpoint.header.to_metadata())


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, opened by safetensors; anything else is refused by name."""
    check_file(path, "a MicroCinema .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise CheckpointError(f"{path}: {_what_it_is(path)} ({error}); give a MicroCinema .safetensors file") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start, header = file.read(8), file.read(1)
    # The length of a safetensors header, which comes first, may begin as a pickle does; its header begins with a brace.
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and header != b"{"):
        return "is a pickle (.ckpt, .pt), which can run code when opened and is never loaded"
    if len(start) == 8 and 0 < int.from_bytes(start, "little") < 100_000_000:
        return "is a truncated or damaged safetensors file"
    return "is not a safetensors file"


def _json(metadata: Mapping[str, str], key: str, default: Any = None) -> Any:
    """Raises ValueError for what is not JSON."""
    text = metadata.get(PREFIX + key)
    limit = MAX_TOKENIZER if key == "tokenizer" else MAX_JSON
    return default if text is None else parse_json(text, PREFIX + key, limit)


def parse_header(metadata: Mapping[str, str] | None, path: Path) -> Header:
    """The header in a file's metadata. Raises CheckpointError, naming `path`, for whatever is not MicroCinema's."""
    if not metadata or PREFIX + "format" not in metadata:
        raise CheckpointError(
            f"{path}: is a safetensors file, but not MicroCinema's (no {PREFIX}format in its metadata); "
            "`microcinema inspect` says what it holds"
        )
    version = metadata[PREFIX + "format"]
    if version != str(FORMAT_VERSION):
        newer = re.fullmatch("[0-9]{1,9}", version) and int(version) > FORMAT_VERSION
        raise CheckpointError(
            f"{path}: format version {version[:20]}, this program reads {FORMAT_VERSION}; "
            + ("update microcinema" if newer else "get the file anew")
        )
    kind = metadata.get(PREFIX + "kind", "")
    if kind == LORA:
        raise CheckpointError(
            f"{path}: is a LoRA, which changes a model; give the model, and this file with --lora, or in ComfyUI to "
            "Load LoRA"
        )
    if kind not in list(Kind):
        raise CheckpointError(f"{path}: kind {shown(kind)!r} is none of {', '.join(Kind)}")
    try:
        config = ModelConfig.from_dict(_json(metadata, "config"), "config")
        _expect_agreement(Kind(kind), config)
        return Header(
            Kind(kind),
            config,
            metadata.get(PREFIX + "licence", "unknown"),
            _object(_json(metadata, "provenance", {}), "provenance"),
            _tokenizer(_json(metadata, "tokenizer")),
            {
                name: Companion(str(c["file"]), str(c["sha256"]))
                for name, c in _object(_json(metadata, "companions", {}), "companions").items()
            },
        )
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: bad metadata: {shown(str(error))}; get the file anew") from error


def _expect_agreement(kind: Kind, config: ModelConfig) -> None:
    """Raises ConfigError where parts of a configuration would not work together."""
    if kind in DIFFUSION and config.unet.temporal != kind.needs_appearance:
        raise ConfigError(f"unet.temporal is {config.unet.temporal} in a file of kind {kind}")
    channels = {"unet.in_channels": config.unet.in_channels, "latent.mean": len(config.latent.mean)}
    if config.vae is not None:
        channels["vae.latent_channels"] = config.vae.latent_channels
    if len(set(channels.values())) > 1:
        raise ConfigError(f"latent channels differ: {channels}")
    if config.text is not None and config.text.width != config.unet.cross_attention_dim:
        raise ConfigError(
            f"text.width {config.text.width} is not unet.cross_attention_dim {config.unet.cross_attention_dim}"
        )


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not an object")
    return value


def _tokenizer(value: Any) -> dict[str, Any] | None:
    """A vocabulary with token ids from 0 and merges whose parts and results it holds, as tokenizers insist."""
    if value is None:
        return None
    vocab, merges = _object(_object(value, "tokenizer").get("vocab"), "tokenizer.vocab"), value.get("merges")
    if not all(type(token_id) is int and 0 <= token_id < 2**31 for token_id in vocab.values()):
        raise ValueError("tokenizer.vocab holds something other than token ids")
    if not isinstance(merges, list) or not all(isinstance(merge, str) for merge in merges):
        raise TypeError("tokenizer.merges is not a list of texts")
    for merge in merges:
        parts = merge.split(" ")
        if len(parts) != 2 or not all(part in vocab for part in (*parts, "".join(parts))):
            raise ValueError(f"tokenizer.merges: {merge[:80]!r} is not a pair from the vocabulary")
    return {"vocab": vocab, "merges": merges}


def _header(file: Any, path: Path) -> Header:
    """Raises CheckpointError that names another's model for what it is."""
    metadata = file.metadata() or {}
    if PREFIX + "format" in metadata:
        return parse_header(metadata, path)
    title = foreign_title({key: tuple(file.get_slice(key).get_shape()) for key in file.keys()})
    raise CheckpointError(
        f"{path}: is a safetensors file, but not MicroCinema's (no {PREFIX}format in its metadata): "
        f"{title.removesuffix(IN_SAFETENSORS)}; {_use_of(title)}`microcinema inspect` says what it holds"
    )


def _use_of(title: str) -> str:
    """The command that makes our files of such a model."""
    command = next((name for name, pattern in MAKERS.items() if re.match(pattern, title)), None)
    return f"`microcinema {command}` makes a MicroCinema file of such a model; " if command else ""


def read_header(path: str | Path) -> Header:
    """The file's header alone. Raises CheckpointError for whatever is not a MicroCinema file."""
    path = Path(path)
    with opened(path) as file:
        return _header(file, path)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The whole file. Raises CheckpointError for a damaged file, and for sections too many or too few for its kind."""
    path = Path(path)
    with opened(path) as file:
        header = _header(file, path)
        allowed = (*REQUIRED[header.kind], *BUNDLED.get(header.kind, ()))
        sections: dict[str, dict[str, Tensor]] = {}
        for key in file.keys():
            section, _, name = key.partition(".")
            if section not in allowed or not name:
                raise CheckpointError(f"{path}: unexpected tensor {shown(key)!r} in a file of kind {header.kind}")
            sections.setdefault(section, {})[name] = file.get_tensor(key)
    for section in REQUIRED[header.kind]:
        if section not in sections:
            raise CheckpointError(f"{path}: says it is of kind {header.kind} but holds no {section}.* tensors")
    return Checkpoint(header, sections)


def expect_blocks(blocks: int, state: Mapping[str, Tensor], what: str) -> None:
    """Before a network is laid out: each of its blocks holds several tensors, so a file with fewer is not of that size.

    A configuration is a few bytes that could ask for millions of layers. Raises CheckpointError.
    """
    if blocks > MAX_BLOCKS:
        raise CheckpointError(f"{what}: {blocks} blocks in its configuration, more than any network has ({MAX_BLOCKS})")
    if blocks > len(state):
        raise CheckpointError(f"{what}: {len(state)} tensors, too few for the {blocks} blocks of its configuration")


def expect_fit(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Every key, shape and kind of number must match the module, which may be on the meta device; all must be finite.

    Raises CheckpointError that begins with `what` and names the first that does not.
    """
    expect_tensors(module.state_dict(), state, what, "the file")


def expect_tensors(
    wanted: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    what: str,
    subject: str,
    optional: Collection[str] = (),
) -> None:
    """Names, shapes and kinds of number of `state` must be those of `wanted`, of which `optional` may be missing.

    wanted: may be on the meta device. Raises CheckpointError that begins with `what` and names the first tensor that
    does not fit or holds a number that is not finite. subject: whose tensors they are.
    """
    missing, extra = sorted(set(wanted) - set(state) - set(optional)), sorted(set(state) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"{what}: {len(missing)} tensors missing{f' (first: {missing[0]})' if missing else ''}, "
            f"{len(extra)} unexpected{f' (first: {shown(extra[0])})' if extra else ''}; "
            f"{subject} is of another architecture"
        )
    for key, given in state.items():
        value = wanted[key]
        if given.shape != value.shape:
            raise CheckpointError(f"{what}: {key} has shape {list(given.shape)}, {list(value.shape)} was expected")
        if given.is_floating_point() != value.is_floating_point() or given.is_complex():
            raise CheckpointError(f"{what}: {key} holds {given.dtype}, {value.dtype} was expected")
    for key, given in state.items():  # only now, as it reads them: a tensor of another shape may be of any size
        if not _finite(given):
            raise CheckpointError(f"{what}: {key} holds NaN or infinity; get the file anew")


def _finite(value: Tensor) -> bool:
    """Whether every number is, in float32 too; the extremes tell, as both are NaN where any number is."""
    if value.numel() == 0 or not value.is_floating_point():
        return True
    lowest, highest = (value.float() if value.itemsize == 1 else value).aminmax()  # float8 has no aminmax
    return bool(lowest.float().isfinite() and highest.float().isfinite())


def load_strictly(
    module: nn.Module, state: Mapping[str, Tensor], what: str, device: torch.device | str | None = None
) -> None:
    """Fill a module, whose dtype stays, with tensors of the very names and shapes of its own.

    A module on the meta device gets memory, on `device`, only now that the file is known to fill all of it.
    Raises CheckpointError, beginning with `what`, for any other tensors and for numbers that are not finite.
    """
    expect_fit(module, state, what)
    if any(value.is_meta for value in module.state_dict().values()):
        module.to_empty(device=device or torch.get_default_device())
    module.load_state_dict(dict(state))
