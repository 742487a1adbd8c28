"""`microcinema inflate`: Stable Diffusion's weights as a MicroCinema file to train from, written as a stream.

The file starts as the image model on every frame (Sec. 3.1, 3.2): `checkpoint/inflate.py` does the same in memory.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import __version__
from ..backend import Backend
from ..checkpoint.addition import Addition
from ..checkpoint.format import APPEARNET, TEXT_ENCODER, UNET, VAE, Header
from ..config import Kind, UNetConfig
from ..errors import CheckpointError
from ..models.appearnet import AppearNet
from ..models.unet import VideoUNet, temporal_parameters
from ..models.zero_start import zero_tensors
from .clip_text import null_prompt, open_text
from .lazy import State, Stored, parameters
from .merge import merge_finetune, merge_lora
from .source import Choices, Source, open_source
from .stream import write_stream


@dataclass(frozen=True, slots=True)
class Order:
    """What to make of a source."""

    source: Path
    out: Path
    dtype: torch.dtype = torch.float16
    choices: Choices = field(default_factory=Choices)
    text_encoder: Path | None = None  # for a source that holds none, or in the place of its own
    tokenizer: Path | None = None
    loras: tuple[Addition, ...] = ()
    finetune: Addition | None = None

    def __post_init__(self) -> None:
        for name in ("source", "out", "text_encoder", "tokenizer"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))


@dataclass(frozen=True, slots=True)
class Inflated:
    """What was written, and what was assumed or left out."""

    header: Header
    notes: list[str]
    taken: int  # parameters of VideoUNet and AppearNet that the source trained
    new: int  # parameters of them that nobody has trained yet


def inflate_file(order: Order) -> Inflated:
    """Write `order.out`. Raises CheckpointError, and writes nothing, for a source that cannot be inflated."""
    source, notes = _prepared(order)
    config = source.config.unet
    assert source.text is not None
    null = null_prompt(source.text)
    unet = inflated_unet(config, source.unet)
    appearnet = inflated_appearnet(config, source.unet, null)
    sections = {UNET: unet, APPEARNET: appearnet, VAE: source.vae, TEXT_ENCODER: source.text.section()}
    tokenizer = source.text.tokenizer
    state = {f"{name}.{key}": value for name, part in sections.items() for key, value in part.items()}
    model = replace(source.config, text=source.text.config if tokenizer is not None else None)
    header = Header(Kind.VIDEO, model, source.licence, _provenance(order, notes), tokenizer)
    write_stream(order.out, state, order.dtype, header.to_metadata())
    taken = sum(parameters({k: v for k, v in part.items() if k in source.unet}) for part in (unet, appearnet))
    return Inflated(header, notes, taken, parameters(unet) + parameters(appearnet) - taken - null.numel())


def _prepared(order: Order) -> tuple[Source, list[str]]:
    """The source with its text encoder and what is merged into it."""
    source = open_source(order.source, order.choices)
    if order.text_encoder is not None:
        source = replace(source, text=open_text(order.text_encoder))
    if source.text is None:
        raise CheckpointError(
            f"{order.source}: holds no text encoder, which AppearNet's null prompt needs; name one with --text-encoder "
            "(a diffusers folder of the same family, its text_encoder, or a single file that holds one)"
        )
    width = source.config.unet.cross_attention_dim
    if source.text.config.width != width:
        raise CheckpointError(
            f"{order.text_encoder or order.source}: its text encoder is {source.text.config.width} wide, the model "
            f"reads {width}; give the one that the model was trained with"
        )
    if order.tokenizer is not None:
        source = replace(source, text=source.text.with_tokenizer(order.tokenizer))
    if order.finetune is not None:
        source = merge_finetune(source, order.finetune, order.choices)
    for lora in order.loras:
        source = merge_lora(source, lora)
    return source, [*source.notes, *_left_out(source)]


def _left_out(source: Source) -> list[str]:
    notes = []
    if source.text is not None and source.text.tokenizer is None:
        notes.append(
            "no text encoder is in the file, as its vocabulary is not at hand (--tokenizer FOLDER with vocab.json and "
            "merges.txt); the null prompt is: take CLIP from another node"
        )
    if not source.vae:
        notes.append("the source holds no autoencoder, so the file has none: take VAE from another node")
    return notes


def _provenance(order: Order, notes: list[str]) -> dict[str, Any]:
    merged = [*([order.finetune] if order.finetune else []), *order.loras]
    return {
        "command": "inflate",
        "program": f"microcinema {__version__}",
        "source": order.source.resolve().name,
        "merged": [f"{a.path.name}:{a.strength:g}" for a in merged],
        "trained": "spatial weights, by the source; not temporal layers and AppearNet's injection, which start at zero",
        "notes": notes,
    }


def inflated_unet(config: UNetConfig, image: Mapping[str, Stored]) -> State:
    """VideoUNet's tensors: the image model's, and temporal layers that add nothing yet."""
    outline = VideoUNet(config, Backend(device="meta"))
    new = temporal_parameters(outline)
    return {key: image[key] for key in outline.state_dict() if key not in new} | fresh(outline, new)


def inflated_appearnet(config: UNetConfig, image: Mapping[str, Stored], null: Tensor) -> State:
    """AppearNet's tensors: the image model's encoder, the null prompt [1, L, D], injection that adds nothing yet."""
    outline = AppearNet(config, Backend(device="meta"), text_length=null.shape[1])
    own = outline.state_dict()
    state: State = {"null_context": Stored(tuple(null.shape), lambda: null)} if "null_context" in own else {}
    state |= {key: image[key] for key in own if key in image}
    return state | fresh(outline, set(own) - set(state))


def fresh(outline: nn.Module, names: Collection[str]) -> State:
    """Parameters that no file holds: as their layers initialise them, or zero in the layers that start at zero.

    outline: the network, on the meta device. Each tensor is made when it is read, the same one in every run.
    """
    state: State = {}
    for key in sorted(names):
        layer, _, name = key.rpartition(".")
        module = copy.deepcopy(outline.get_submodule(layer))
        state[key] = Stored(tuple(outline.get_parameter(key).shape), _initial(module, name, layer))
    for key in zero_tensors(outline) & set(names):
        state[key] = Stored(state[key].shape, _zeros(state[key].shape))
    return state


def _zeros(shape: tuple[int, ...]) -> Callable[[], Tensor]:
    return lambda: torch.zeros(shape)


def _initial(layer: nn.Module, name: str, where: str) -> Callable[[], Tensor]:
    def read() -> Tensor:
        filled: Any = copy.deepcopy(layer).to_empty(device="cpu")
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(zlib.crc32(where.encode()))
            filled.reset_parameters()
        parameter: Tensor = filled.get_parameter(name)
        return parameter.detach()

    return read
