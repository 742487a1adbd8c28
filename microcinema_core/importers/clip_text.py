"""A source's text encoder: its tensors as `text_model.*`, its sizes, its vocabulary; and what it makes of no words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.identify import identify
from ..checkpoint.limits import MAX_BLOCKS, MAX_TOKENIZER
from ..config import END_TOKEN, MAX_SIZE, START_TOKEN, TextConfig
from ..errors import CheckpointError, ConfigError, shown
from ..files import reachable, read_text
from ..standalone.text import PROJECTION, clip_text_model
from .keys import open_clip_to_transformers
from .lazy import State, Stored, below, expect_stored, open_file, open_folder, shapes_of, sizes
from .told import Told, is_there, open_json

HEAD = 64  # channels of a head, in both text encoders of Stable Diffusion
LAYER = "text_model.encoder.layers."
VOCABULARY = "text_model.embeddings.token_embedding.weight"
POSITIONS = "text_model.embeddings.position_embedding.weight"
OPEN_CLIP_WIDTH = 1024
OPEN_CLIP_LAYERS = 24  # Stable Diffusion 2.x reads the last but one


@dataclass(frozen=True, slots=True)
class TextPart:
    """state: transformers' names, `text_model.*`. tokenizer: {"vocab", "merges"}, where the source holds one."""

    state: State
    config: TextConfig
    tokenizer: dict[str, Any] | None = None

    def with_tokenizer(self, folder: Path) -> TextPart:
        """The part with the vocabulary of a folder. Raises CheckpointError for one of another size."""
        stored = read_tokenizer(folder)
        highest = max(stored["vocab"].values())
        if highest >= self.config.vocab_size:
            raise CheckpointError(
                f"{folder}: its token ids reach {highest}, the text encoder knows {self.config.vocab_size}; give the "
                "tokenizer that belongs to it"
            )
        return replace(self, tokenizer=stored)

    def section(self) -> State:
        """The section of a MicroCinema file: transformers' names and an identity projection [W, W], W the width.

        Empty where the vocabulary is missing, for then the text encoder is of no use.
        """
        if self.tokenizer is None:
            return {}
        width = self.config.width
        return self.state | {PROJECTION: Stored((width, width), lambda: torch.eye(width))}


def find_text(state: Mapping[str, Stored], where: str) -> TextPart | None:
    """The text encoder in a single file: of a whole checkpoint, or alone. None where there is none.

    Raises CheckpointError, naming `where`, for a part of one.
    """
    open_clip = below(state, "cond_stage_model.model.") or _bare(state, "token_embedding.weight")
    if open_clip:
        try:
            named = open_clip_to_transformers(open_clip)
        except KeyError as error:
            raise CheckpointError(f"{where}: {shown(str(error))} is no tensor of an OpenCLIP text encoder") from error
        return text_part(_without_last(named), where)
    clip = below(state, "cond_stage_model.transformer.") or _bare(
        state, VOCABULARY, VOCABULARY.removeprefix("text_model.")
    )
    return text_part(clip, where) if clip else None


def _bare(state: Mapping[str, Stored], *marks: str) -> State:
    return dict(state) if any(mark in state for mark in marks) else {}


def text_part(given: Mapping[str, Stored], where: str, stored: Told | None = None) -> TextPart:
    """A text encoder from its tensors, of which those of a whole CLIP's comparison with pictures are left out.

    stored: transformers' config.json. Without it the width tells: 1024 is OpenCLIP's, whose activation is GELU.
    Raises CheckpointError, naming `where`, for tensors that are none of a CLIP text model's.
    """
    unused = ("position_ids", "text_projection", "logit_scale")
    state = {_named(key): value for key, value in given.items() if not any(name in key for name in unused)}
    if VOCABULARY not in state or POSITIONS not in state:
        raise CheckpointError(f"{where}: holds no whole CLIP text encoder; get it anew")
    vocab_size, width = sizes(state, VOCABULARY, 2, where)
    told = stored or Told(Path(where), {})
    if stored is None and width == OPEN_CLIP_WIDTH and _layers(state) == OPEN_CLIP_LAYERS:
        state = _without_last(state)
    try:
        config = TextConfig(
            vocab_size=vocab_size,
            width=width,
            layers=_layers(state),
            heads=told.whole("num_attention_heads", max(1, width // HEAD), 1, MAX_SIZE),
            max_length=sizes(state, POSITIONS, 2, where)[0],
            activation=told.word("hidden_act", "gelu" if width == OPEN_CLIP_WIDTH else "quick_gelu"),
            pad_token_id=0 if width == OPEN_CLIP_WIDTH else None,
        )
    except ConfigError as error:
        raise CheckpointError(f"{where}: no text encoder that can be built here: {error}") from error
    if config.layers > MAX_BLOCKS:
        raise CheckpointError(f"{where}: {config.layers} layers are more than any text encoder has; get it anew")
    wanted = {_named(key): shape for key, shape in shapes_of(_outline(config).state_dict()).items()}
    wanted = {key: shape for key, shape in wanted.items() if "position_ids" not in key}
    expect_stored(wanted, state, where, "a CLIP text encoder", "give that of the Stable Diffusion model")
    return TextPart(state, config)


def _named(key: str) -> str:
    return "text_model." + key.removeprefix("text_model.")


def _layers(state: Mapping[str, Stored]) -> int:
    return len({key.removeprefix(LAYER).partition(".")[0] for key in state if key.startswith(LAYER)})


def _without_last(state: State) -> State:
    last = f"{LAYER}{_layers(state) - 1}."
    return {key: value for key, value in state.items() if not key.startswith(last)}


def _outline(config: TextConfig) -> nn.Module:
    """CLIP's vocabulary ends with the start and the end token."""
    with torch.device("meta"):
        return clip_text_model(config, config.vocab_size - 2, config.vocab_size - 1).eval()


def open_text(path: str | Path) -> TextPart:
    """What --text-encoder names: a diffusers folder or its text_encoder, or a single file that holds one.

    Raises CheckpointError for anything else.
    """
    path = Path(path)
    with reachable(path):
        return _open_text(path)


def _open_text(path: Path) -> TextPart:
    if path.is_dir():
        folder = path / "text_encoder" if (path / "text_encoder").is_dir() else path
        part = folder_text(folder)
        beside = folder.parent / "tokenizer"
        vocabulary = folder if is_there(folder / "vocab.json") else beside
        return part.with_tokenizer(vocabulary) if is_there(vocabulary / "vocab.json") else part
    found = find_text(open_file(path)[0], str(path))
    if found is None:
        title = identify(path).title
        raise CheckpointError(f"{path}: is a {title}, without a text encoder; give one of Stable Diffusion")
    return found


def folder_text(folder: Path) -> TextPart:
    """The text encoder of a diffusers folder's `text_encoder`. Raises CheckpointError for another kind of one."""
    stored = open_json(folder / "config.json")
    if "CLIPTextModelWithProjection" in str(stored.values.get("architectures")):
        raise CheckpointError(f"{folder}: is Stable Diffusion XL's second text encoder; give that of the model itself")
    return text_part(open_folder(folder, "model"), str(folder), stored)


def read_tokenizer(folder: Path) -> dict[str, Any]:
    """vocab.json and merges.txt, as every CLIP tokenizer has them. Raises CheckpointError where they are not."""
    vocab = dict(open_json(folder / "vocab.json", MAX_TOKENIZER).values)
    lines = read_text(folder / "merges.txt", "that of the tokenizer", MAX_TOKENIZER, CheckpointError).split("\n")
    merges = [line for line in lines if line.count(" ") == 1 and not line.startswith("#version")]
    if not vocab or not all(type(number) is int and number >= 0 for number in vocab.values()):
        raise CheckpointError(f"{folder / 'vocab.json'}: is no vocabulary; get the tokenizer anew")
    return {"vocab": vocab, "merges": merges}


def null_tokens(part: TextPart) -> list[int]:
    """Start, end and padding. CLIP's vocabulary ends with the start and the end token."""
    config, vocab = part.config, (part.tokenizer or {"vocab": {}})["vocab"]
    start = vocab.get(START_TOKEN, config.vocab_size - 2)
    end = vocab.get(END_TOKEN, config.vocab_size - 1)
    pad = end if config.pad_token_id is None else config.pad_token_id
    return [start, end, *[pad] * (config.max_length - 2)]


@torch.no_grad()
def null_prompt(part: TextPart) -> Tensor:
    """The hidden states of the empty prompt [1, L, D], in float32, with one layer's weights in memory at a time."""
    model = _outline(part.config)
    for name, module in model.named_modules():
        for key, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, key, torch.arange(buffer.numel()).view(buffer.shape))  # CLIP's only one: its positions
        if next(module.parameters(recurse=False), None) is not None:
            _load_while_running(module, "text_model." + name.removeprefix("text_model.") + ".", part.state)
    hidden: Tensor = model(input_ids=torch.tensor([null_tokens(part)])).last_hidden_state
    return hidden.clone()


def _load_while_running(module: nn.Module, prefix: str, state: State) -> None:
    def load(module: nn.Module, _: Any) -> None:
        module.load_state_dict({key: state[prefix + key].read().float() for key in module.state_dict()}, assign=True)

    def unload(module: nn.Module, *_: Any) -> None:
        for key, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, key, nn.Parameter(parameter.to("meta"), requires_grad=False))

    module.register_forward_pre_hook(load)
    module.register_forward_hook(unload)
