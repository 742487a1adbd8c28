"""A text encoder with a vocabulary of its own as the host's CLIP."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.clip_model
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from torch import Tensor

from ..microcinema_core.checkpoint.format import TEXT_ENCODER, Checkpoint, expect_blocks, expect_tensors
from ..microcinema_core.checkpoint.sections import Section, find_section
from ..microcinema_core.config import END_TOKEN, START_TOKEN, TextConfig
from ..microcinema_core.errors import CheckpointError
from .files import read_file


class TextModel(comfy.clip_model.CLIPTextModel):
    """The host's CLIP text model, whose class would fix the number of tokens."""

    def __init__(self, config: dict[str, Any], dtype: Any, device: Any, operations: Any) -> None:
        super().__init__(config, dtype, device, operations)
        embedding = operations.Embedding(config["vocab_size"], config["hidden_size"], dtype=dtype, device=device)
        self.set_input_embeddings(embedding)


def load_clip(path: Path, checkpoint: Checkpoint, disable_dynamic: bool = False) -> Any:
    """The host's CLIP of a file's text encoder. Raises CheckpointError where there is none or one that does not fit."""
    section = find_section(TEXT_ENCODER, path, checkpoint)
    text, stored = section.header.config.text, section.header.tokenizer
    if text is None or stored is None:
        raise CheckpointError(f"{section.path.name} holds a text encoder without its configuration or tokenizer")
    if text.width != checkpoint.header.config.unet.cross_attention_dim:
        raise CheckpointError(
            f"{section.path.name} is {text.width} wide and {path.name} reads another width; get both anew"
        )
    special = _special_tokens(stored, text, section)
    settings = _settings(text, special)
    _check(section, text, settings)
    clip = comfy.sd.CLIP(
        _target(text, settings, special, stored),
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=comfy.utils.calculate_parameters(section.state),
        state_dict=[dict(section.state)],
        disable_dynamic=disable_dynamic,
    )
    clip.patcher.cached_patcher_init = (load_clip_patcher, (path,))
    return clip


def load_clip_patcher(path: Path, disable_dynamic: bool = False) -> Any:
    return load_clip(path, read_file(path), disable_dynamic).patcher


def _special_tokens(stored: Mapping[str, Any], text: TextConfig, section: Section) -> dict[str, int]:
    vocab = stored["vocab"]
    if START_TOKEN not in vocab or END_TOKEN not in vocab or max(vocab.values()) >= text.vocab_size:
        raise CheckpointError(f"{section.path.name}: its vocabulary does not fit its text encoder; get the file anew")
    pad = vocab[END_TOKEN] if text.pad_token_id is None else text.pad_token_id
    return {"start": vocab[START_TOKEN], "end": vocab[END_TOKEN], "pad": pad}


def _settings(text: TextConfig, special: Mapping[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": text.vocab_size,
        "hidden_size": text.width,
        "intermediate_size": 4 * text.width,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "max_position_embeddings": text.max_length,
        "hidden_act": text.activation,
        "eos_token_id": special["end"],
    }


def _check(section: Section, text: TextConfig, settings: dict[str, Any]) -> None:
    """Strict, which the host's own loading is not."""
    what = f"{section.path.name}: {TEXT_ENCODER}"
    expect_blocks(text.layers, section.state, what)
    with torch.device("meta"):
        outline: dict[str, Tensor] = TextModel(settings, torch.float32, "meta", torch.nn).state_dict()
    expect_tensors(outline, section.state, what, "the file")


def _target(
    text: TextConfig, settings: dict[str, Any], special: dict[str, int], stored: Mapping[str, Any]
) -> comfy.supported_models_base.ClipTarget:
    """The two classes that the host instantiates, with this file's sizes and vocabulary."""

    class Encoder(comfy.sd1_clip.SDClipModel):
        def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None) -> None:
            super().__init__(
                device=device,
                dtype=dtype,
                max_length=text.max_length,
                textmodel_json_config=settings,
                model_class=TextModel,
                special_tokens=special,
                return_projected_pooled=False,
                model_options=model_options or {},
            )

    class Clip(comfy.sd1_clip.SD1ClipModel):
        def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None) -> None:
            super().__init__(device=device, dtype=dtype, model_options=model_options or {}, clip_model=Encoder)

    class Words(comfy.sd1_clip.SDTokenizer):
        def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
            with tempfile.TemporaryDirectory() as folder:
                _write_tokenizer(Path(folder), stored, text.max_length)
                super().__init__(
                    folder,
                    max_length=text.max_length,
                    embedding_directory=embedding_directory,
                    embedding_size=text.width,
                    pad_token=special["pad"],
                    tokenizer_data=tokenizer_data or {},
                )

    class Tokenizer(comfy.sd1_clip.SD1Tokenizer):
        def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
            super().__init__(embedding_directory, tokenizer_data or {}, tokenizer=Words)

    return comfy.supported_models_base.ClipTarget(Tokenizer, Clip)


def _write_tokenizer(folder: Path, stored: Mapping[str, Any], max_length: int) -> None:
    """The files that every version of transformers reads a CLIP tokenizer from."""
    (folder / "vocab.json").write_text(json.dumps(stored["vocab"]), encoding="utf-8")
    merges = ["#version: 0.2", *stored["merges"], ""]
    (folder / "merges.txt").write_text("\n".join(merges), encoding="utf-8", newline="\n")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "bos_token": START_TOKEN,
        "eos_token": END_TOKEN,
        "unk_token": END_TOKEN,
        "pad_token": END_TOKEN,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
