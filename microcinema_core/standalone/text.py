"""Prompts to text embeddings: a CLIP text model with its own vocabulary, in ComfyUI's layout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..config import END_TOKEN, START_TOKEN, TextConfig
from ..errors import CheckpointError

PREFIX, PROJECTION = "text_model.", "text_projection.weight"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> dict[str, Any]:
    """A byte-level vocabulary learned from these texts: {"vocab": {token: id}, "merges": ["a b", ...]}."""
    from tokenizers.trainers import BpeTrainer

    backend = CLIPTokenizer(vocab={START_TOKEN: 0, END_TOKEN: 1}, merges=[]).backend_tokenizer
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[START_TOKEN, END_TOKEN],
        end_of_word_suffix="</w>",
        initial_alphabet=_byte_alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    return {"vocab": _numbered(model["vocab"], merges), "merges": merges}


def _byte_alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _numbered(vocab: Iterable[str], merges: Iterable[str]) -> dict[str, int]:
    """Token ids that follow from the texts alone, where the trainer's differ from run to run.

    Every byte is there as the end of a word too, so that no text is unknown.
    """
    merged = [merge.replace(" ", "") for merge in merges]
    single = sorted(set(vocab) - {START_TOKEN, END_TOKEN, *merged})
    ends = [byte + "</w>" for byte in _byte_alphabet()]
    return {token: i for i, token in enumerate(dict.fromkeys([START_TOKEN, END_TOKEN, *single, *merged, *ends]))}


def build_tokenizer(stored: Mapping[str, Any], config: TextConfig) -> CLIPTokenizer:
    """The tokenizer of a checkpoint's metadata; pads as its configuration says."""
    vocab, merges = stored.get("vocab"), stored.get("merges")
    if not isinstance(vocab, dict) or not isinstance(merges, list) or not {START_TOKEN, END_TOKEN} <= vocab.keys():
        raise CheckpointError("tokenizer: needs `vocab` with start and end tokens, and `merges`; get the file anew")
    if max(vocab.values()) >= config.vocab_size:
        raise CheckpointError(f"tokenizer: ids reach {max(vocab.values())}, the model embeds {config.vocab_size}")
    pairs: Any = [tuple(merge.split(" ")) for merge in merges]
    pad = END_TOKEN
    if config.pad_token_id is not None:
        pad = next((token for token, number in vocab.items() if number == config.pad_token_id), "")
        if not pad:
            raise CheckpointError(f"tokenizer: no token {config.pad_token_id} to pad with; get the file anew")
    return CLIPTokenizer(vocab=dict(vocab), merges=pairs, model_max_length=config.max_length, pad_token=pad)


def build_text_model(config: TextConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained CLIP text model of these sizes, for a tokenizer's start and end token."""
    return clip_text_model(config, tokenizer.bos_token_id, tokenizer.eos_token_id)


def clip_text_model(config: TextConfig, start: int, end: int) -> CLIPTextModel:
    """An untrained CLIP text model of these sizes, for these ids of the start and the end token."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            projection_dim=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.max_length,
            hidden_act=config.activation,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def to_host_keys(state: Mapping[str, Tensor], config: TextConfig) -> dict[str, Tensor]:
    """transformers' keys, whatever prefix this version uses -> `text_model.*` and an identity projection [W, W]."""
    renamed = {PREFIX + key.removeprefix(PREFIX): value for key, value in state.items() if "position_ids" not in key}
    return renamed | {PROJECTION: torch.eye(config.width)}


def from_host_keys(state: Mapping[str, Tensor], model: CLIPTextModel) -> dict[str, Tensor]:
    """`text_model.*` -> the names of `model`, whose prefix depends on the version of transformers.

    The projection, which the model does not have, is left out.
    """
    prefix = PREFIX if any(key.startswith(PREFIX) for key in model.state_dict()) else ""
    return {prefix + key.removeprefix(PREFIX): value for key, value in state.items() if key != PROJECTION}


class TextEncoder:
    """Prompts -> hidden states [N, L, D]. Past `max_length` tokens a prompt is cut; `truncated` tells which."""

    def __init__(self, model: CLIPTextModel, tokenizer: CLIPTokenizer, config: TextConfig) -> None:
        self.model, self.tokenizer, self.config = model, tokenizer, config

    def token_ids(self, prompts: Sequence[str]) -> Tensor:
        """[N, L]: start token, text, and end tokens to the fixed length."""
        tokens = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self.config.max_length, return_tensors="pt"
        )
        ids: Tensor = tokens.input_ids
        return ids

    def truncated(self, prompt: str) -> bool:
        """Whether the prompt has more tokens than the model reads."""
        return len(self.tokenizer(prompt, truncation=False).input_ids) > self.config.max_length

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> the last hidden states [N, L, D]."""
        ids = self.token_ids(prompts).to(self.model.device)
        hidden: Tensor = self.model(input_ids=ids).last_hidden_state
        return hidden
