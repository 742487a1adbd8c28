"""What a model file or folder is, from its header; of our video files some tensors tell what is trained.

Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..config import Kind, ModelConfig
from ..errors import MAX_DETAIL, CheckpointError, shown
from ..files import MAX_JSON, parse_json, reachable, read_text
from .foreign import Shapes, foreign_title
from .format import APPEARNET, COMPOSER, DIFFUSION, PREFIX, TEXT_ENCODER, UNET, VAE, Header, read_header
from .limits import check_file
from .lora_header import LoraHeader
from .trained import trained_in

MAX_LENGTH = 100_000_000  # of a header: what a file that begins with a larger number is, it is not safetensors

OUR_LORA = "MicroCinema LoRA, which changes a keyframe-and-text-to-video model"
FILL_MODEL = "MicroCinema fill model, which makes up what a mask leaves open"
SECTIONS = (APPEARNET, COMPOSER, TEXT_ENCODER, UNET, VAE)
OURS = {
    Kind.AUTOENCODER: "MicroCinema autoencoder",
    Kind.TEXT_ENCODER: "MicroCinema text encoder",
    Kind.IMAGE: "MicroCinema text-to-image model",
    Kind.VIDEO: "MicroCinema keyframe-and-text-to-video model",
    Kind.TSR: "MicroCinema temporal super-resolution model",
    Kind.COMPOSER: "MicroCinema composer, which puts a picture's own detail back into what a model made",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """One line that names the thing, and named details in the order in which to show them; all of it printable."""

    title: str
    details: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        printable = {shown(name): shown(value, MAX_DETAIL) for name, value in self.details.items()}
        object.__setattr__(self, "details", printable)


def identify(path: str | Path) -> Identity:
    """What a file or folder is, of ours and of others.

    Raises CheckpointError for what is missing, damaged or of no kind known here.
    """
    path = Path(path)
    with reachable(path):
        if path.is_dir():
            return _folder(path)
    check_file(path, "a model file or folder")
    try:
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
            slices = {key: file.get_slice(key) for key in file.keys()}
            shapes = {key: tuple(item.get_shape()) for key, item in slices.items()}
            precisions = Counter(item.get_dtype() for item in slices.values())
    except SafetensorError:
        return _other_file(path)
    counts = {
        "tensors": str(len(shapes)),
        "parameters": f"{_parameters(shapes):,}",
        "precision": ", ".join(name for name, _ in precisions.most_common()) or "none",
    }
    if (lora := LoraHeader.of(metadata, path)) is not None:
        return _lora(lora, counts)
    if PREFIX + "format" in metadata:
        header = read_header(path)
        labels = trained_in(path).labels if header.kind.needs_appearance else {}
        return _ours(header, shapes, counts["precision"], labels)
    return Identity(foreign_title(shapes), counts)


def _lora(header: LoraHeader, counts: dict[str, str]) -> Identity:
    about = {
        "for": f"{header.base}, layout {header.layout}",
        "rank": f"{header.rank}, alpha {header.alpha:g}",
        "words": header.words or "not said",
        "licence": header.licence,
    }
    return Identity(OUR_LORA, counts | about | _provenance(header.provenance))


def _provenance(provenance: Mapping[str, Any]) -> dict[str, str]:
    return {f"provenance {key}": _short(value) for key, value in provenance.items()}


def _parameters(shapes: Shapes, prefix: str = "") -> int:
    return sum(math.prod(shape) for key, shape in shapes.items() if key.startswith(prefix))


def _unexpected(shapes: Shapes) -> dict[str, str]:
    others = [key for key in shapes if key.partition(".")[0] not in SECTIONS]
    return {"unexpected": f"{len(others)} tensors (first: {shown(min(others))})"} if others else {}


def _ours(header: Header, shapes: Shapes, precision: str, labels: Mapping[str, str]) -> Identity:
    counts = {section: _parameters(shapes, section + ".") for section in SECTIONS}
    details = {section: f"{count:,} parameters" for section, count in counts.items() if count} | _unexpected(shapes)
    details |= labels
    details |= {"precision": precision, "preset": header.config.name}
    if header.kind in DIFFUSION:
        details |= _diffusion(header.config, video=header.kind.needs_appearance)
    if header.kind is Kind.TEXT_ENCODER and header.config.text is not None:
        text = header.config.text
        details["text"] = (
            f"{text.layers} layers of {text.width}, {text.vocab_size} tokens, prompts of {text.max_length}"
        )
    if header.kind is Kind.COMPOSER and header.config.composer is not None:
        sizes = header.config.composer
        details["network"] = f"{sizes.channels} and {sizes.deep} channels on blocks of {sizes.block} pixels"
    details["licence"] = header.licence
    details |= {f"needs for {section}": c.file for section, c in header.companions.items()}
    details |= _provenance(header.provenance)
    fills = header.kind is Kind.IMAGE and header.config.unet.fills
    return Identity(FILL_MODEL if fills else OURS[header.kind], details)


def _diffusion(config: ModelConfig, *, video: bool) -> dict[str, str]:
    unet, diffusion, clip = config.unet, config.diffusion, config.clip
    details = {
        "network": f"channels {', '.join(map(str, unet.block_out_channels))}, text {unet.cross_attention_dim}",
        "schedule": f"{diffusion.schedule}, {diffusion.prediction}-prediction",
    }
    if not video:
        return details | {"pictures": f"{clip.width}x{clip.height}"}
    return details | {
        "injection": str(unet.injection),
        "noise prior": f"lambda {diffusion.prior_lambda:g}, gamma {diffusion.prior_gamma:g}",
        "clips": f"{clip.frames} frames at {clip.fps:g} fps, {clip.width}x{clip.height}",
    }


def _short(value: object) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:  # what could be parsed may yet be too deep to be written
        return "..."


def _other_file(path: Path) -> Identity:
    """What safetensors refused."""
    with path.open("rb") as file:
        start, header = file.read(8), file.read(1)
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                pickled = any(name.endswith("data.pkl") for name in archive.namelist())
        except zipfile.BadZipFile as error:
            raise CheckpointError(f"{path}: is a damaged or truncated archive ({error}); get the file anew") from error
        return Identity(
            "PyTorch pickle (.ckpt, .pt), which can run code when opened: never loaded here"
            if pickled
            else "ZIP archive"
        )
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and header != b"{":
        return Identity("pickle, which can run code when opened: never loaded here")
    if start.startswith(b"GGUF"):
        return Identity("GGUF model, which is not loaded here")
    raise CheckpointError(f"{path}: {_damage(path)}; get the file anew")


def _damage(path: Path) -> str:
    """Why safetensors refuses a file that is nothing else; of one that ends too early, how much of it is there."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, MAX_JSON + 1))
    if size < 8 or not 0 < length < MAX_LENGTH:
        return "is not a safetensors file"
    damaged = "is a truncated or damaged safetensors file"
    try:
        entries = parse_json(text.decode(), "header").values()
        end = 8 + length + max(entry["data_offsets"][1] for entry in entries if "data_offsets" in entry)
    except (ValueError, AttributeError, KeyError, IndexError, TypeError):
        return damaged
    promised = type(end) is int and size < end < 2**63  # what a file may hold
    return f"{damaged}: {size / 1e6:.1f} of {end / 1e6:.1f} MB are there" if promised else damaged


def _folder(path: Path) -> Identity:
    for name, title in (("model_index.json", "diffusers pipeline folder"), ("config.json", "model folder")):
        index = path / name
        if index.is_file():
            try:
                stored = parse_json(read_text(index, "that of the folder", MAX_JSON, CheckpointError), name)
            except ValueError as error:
                raise CheckpointError(f"{index}: {error}; get the folder anew") from error
            if not isinstance(stored, dict):
                raise CheckpointError(f"{index}: holds no object; get the folder anew")
            parts = [key for key, value in stored.items() if isinstance(value, list) and not key.startswith("_")]
            kind = stored.get("_class_name", stored.get("model_type"))
            details = {"class": kind if isinstance(kind, str) else "unknown"}
            return Identity(title, details | ({"parts": ", ".join(parts)} if name == "model_index.json" else {}))
    raise CheckpointError(f"{path}: is a folder without model_index.json or config.json; give a model file or folder")
