"""The text stage: a text model learns what Toybox captions say, from the scenes that they were written about.

Stable Diffusion takes CLIP's text model, trained on pictures and captions; Toybox's learns to tell shape, colour,
background, motion and speed from its last token, then stays frozen in every later stage.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import TEXT_ENCODER, Checkpoint, Header, save_checkpoint_file
from ..config import Kind, preset
from ..errors import ConfigError
from ..standalone.text import TextEncoder, build_text_model, build_tokenizer, to_host_keys, train_tokenizer
from ..worlds.toybox.captions import caption, still_caption
from ..worlds.toybox.world import Background, Colour, Motion, Shape, Speed, clip_times, sample_scene
from .config import TrainConfig
from .stage import Draw, Stage

ATTRIBUTES = {"shape": Shape, "colour": Colour, "background": Background, "motion": Motion, "speed": Speed}
MOVING = ("motion", "speed")  # one more class each: unsaid, because the caption is of a still picture
TOKENIZER_TEXTS = 4000
TOKENIZER_SIZE = 512 + 2 + 330
STILL_SHARE = 0.3
HELD_OUT_CAPTIONS = 512


class CaptionReader(nn.Module):
    """The text model and one linear head per attribute, on the last token."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, len(values) + (name in MOVING)) for name, values in ATTRIBUTES.items()}
        )

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        """Token ids [B, L] -> logits of each attribute."""
        last = self.encoder(input_ids=ids).last_hidden_state[:, -1]
        return {name: head(last) for name, head in self.heads.items()}


class TextStage(Stage):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.preset = preset(config.preset)
        if self.preset.text is None:
            raise ConfigError(f"train: preset {config.preset} has no text encoder of its own to train")
        self.times = clip_times(self.preset.clip.frames, self.preset.clip.fps, self.preset.clip.frames // 2)
        rng = np.random.default_rng([config.seed, 1 << 40])
        self.stored = train_tokenizer((self._caption(rng)[0] for _ in range(TOKENIZER_TEXTS)), TOKENIZER_SIZE)
        tokenizer = build_tokenizer(self.stored, self.preset.text)
        self.text_config = self.preset.text
        encoder = build_text_model(self.text_config, tokenizer)
        self.encoder = TextEncoder(encoder, tokenizer, self.text_config)
        self.model = CaptionReader(encoder, self.text_config.width)

    def _caption(self, rng: np.random.Generator, *, held_out: bool = False) -> tuple[str, dict[str, int]]:
        scene = sample_scene(rng, self.times, held_out=held_out)
        labels = {name: list(values).index(getattr(scene, name)) for name, values in ATTRIBUTES.items()}
        if rng.random() < STILL_SHARE:
            return still_caption(scene, rng), labels | {name: len(ATTRIBUTES[name]) for name in MOVING}
        return caption(scene, rng), labels

    def _captions(self, rng: np.random.Generator, count: int, *, held_out: bool = False) -> dict[str, Any]:
        pairs = [self._caption(rng, held_out=held_out) for _ in range(count)]
        labels = {name: torch.tensor([label[name] for _, label in pairs]) for name in ATTRIBUTES}
        return {"ids": self.encoder.token_ids([text for text, _ in pairs]), "labels": labels}

    def batch(self, draw: Draw) -> dict[str, Any]:
        return self._captions(draw.rng, self.config.batch)

    def losses(self, model: Callable[..., Any], batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        logits = model(batch["ids"])
        return {name: F.cross_entropy(logits[name].float(), labels) for name, labels in batch["labels"].items()}

    @cached_property
    def held_out(self) -> dict[str, Any]:
        return self._captions(np.random.default_rng([self.config.seed, 1 << 40, 1]), HELD_OUT_CAPTIONS, held_out=True)

    def report(self, folder: Path, step: int) -> dict[str, float]:
        logits = self.model(self.held_out["ids"])
        labels = self.held_out["labels"]
        return {name: (logits[name].argmax(-1) == labels[name]).float().mean().item() for name in ATTRIBUTES}

    def export(self, path: Path, provenance: dict[str, Any]) -> None:
        header = Header(Kind.TEXT_ENCODER, self.preset, provenance=provenance, tokenizer=self.stored)
        state = to_host_keys(self.encoder.model.state_dict(), self.text_config)
        save_checkpoint_file(path, Checkpoint(header, {TEXT_ENCODER: state}))
