"""`microcinema convert`: a text-to-video model as a MicroCinema file, written as a stream.

Its network stays as it is. What this project adds starts without effect: AppearNet as that network's encoder with
injection at zero, frame time and gates at zero. So the file runs as that text-to-video model does, until it is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..backend import Backend
from ..checkpoint.format import APPEARNET, TEXT_ENCODER, UNET, VAE, Header
from ..config import Kind
from ..errors import CheckpointError
from ..models.unet import VideoUNet
from .clip_text import TextPart, null_prompt, open_text
from .inflate import fresh, inflated_appearnet
from .lazy import parameters
from .stream import write_stream
from .text_to_video import TextToVideo


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written, in parameters: the source's network, AppearNet's copy of its encoder, what is not trained."""

    header: Header
    network: int
    copied: int
    new: int
    lacks: tuple[str, ...]  # sections that the source did not hold


def convert(
    source: TextToVideo, out: str | Path, dtype: torch.dtype = torch.float16, text_encoder: str | Path | None = None
) -> Converted:
    """Write `out`, whole or not at all.

    text_encoder: for a source that holds none; AppearNet reads the embedding of the empty prompt.
    Raises CheckpointError where there is none or its width is not the network's, and where a number is not finite in
    `dtype`.
    """
    out, text = Path(out), _text(source, text_encoder)
    config, null = source.config.unet, null_prompt(text)
    outline = VideoUNet(config, Backend(device="meta"))
    unet = source.unet | fresh(outline, set(outline.state_dict()) - set(source.unet))
    appearnet = inflated_appearnet(config, source.unet, null)
    sections = {UNET: unet, APPEARNET: appearnet, VAE: source.vae, TEXT_ENCODER: text.section()}
    header = _header(source, text)
    state = {f"{name}.{key}": value for name, part in sections.items() for key, value in part.items()}
    write_stream(out, state, dtype, header.to_metadata())
    network = parameters(source.unet)
    copied = parameters({key: value for key, value in appearnet.items() if key in source.unet})
    new = parameters(unet) - network + parameters(appearnet) - copied - null.numel()
    lacks = tuple(name for name, part in sections.items() if not part)
    return Converted(header, network, copied, new, lacks)


def _text(source: TextToVideo, named: str | Path | None) -> TextPart:
    text = source.text if named is None else open_text(named)
    if text is None:
        raise CheckpointError(
            f"{source.path}: holds no text encoder, and AppearNet reads the embedding of the empty prompt; name the "
            "folder of the model's text encoder with --text-encoder (Stable Diffusion 2.1 has the same)"
        )
    width = source.config.unet.cross_attention_dim
    if text.config.width != width:
        raise CheckpointError(
            f"{named or source.path}: its text encoder is {text.config.width} wide, the model reads {width}; give the "
            "one that belongs to the model (Stable Diffusion 2.1 has the same)"
        )
    return text


def _header(source: TextToVideo, text: TextPart) -> Header:
    provenance: dict[str, Any] = {
        "command": "convert",
        "program": f"microcinema {__version__}",
        "source": source.path.resolve().name,
        "layout": "original" if source.original else "diffusers",
        "trained": "the text-to-video network, by the source; not AppearNet's injection, frame time and gates",
    }
    config = replace(source.config, text=None if text.tokenizer is None else text.config)
    return Header(Kind.VIDEO, config, source.licence.name, provenance, text.tokenizer)
