"""The text stage: a text model learns what Toybox captions say, from the scenes that they were written about.

Stable Diffusion takes CLIP's text model, trained on pictures and captions; Toybox's learns to tell shape, colour,
background, motion and speed from its last token, then stays frozen in every later stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import TEXT_ENCODER, Checkpoint, Header, save_checkpoint_file
from ..config import Kind, ModelConfig, preset
from ..errors import ConfigError
from ..shot.timing import frame_times
from ..standalone.text import TextEncoder, build_text_model, build_tokenizer, to_host_keys, train_tokenizer
from ..worlds.toybox.captions import caption, still_caption
from ..worlds.toybox.world import Background, Colour, Motion, Shape, Speed, sample_scene
from .config import TrainConfig
from .stage import Draw, Findings, Stage, all_of

ATTRIBUTES = {"shape": Shape, "colour": Colour, "background": Background, "motion": Motion, "speed": Speed}
MOVING = ("motion", "speed")  # one more class each: unsaid, because the caption is of a still picture
TOKENIZER_TEXTS = 4000
TOKENIZER_SIZE = 512 + 2 + 330
STILL_SHARE = 0.3
HELD_OUT_CAPTIONS = 512
OWN_STREAM = 1 << 40  # of what no step draws


@dataclass(frozen=True, slots=True)
class CaptionBatch:
    """ids: tokens [B, L]; labels: the class of each attribute, in the order of ATTRIBUTES, [A, B]."""

    ids: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> CaptionBatch:
        return CaptionBatch(self.ids.to(device), self.labels.to(device))


class CaptionReader(nn.Module):
    """The text model and one linear head per attribute, on the last token."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, len(values) + (name in MOVING)) for name, values in ATTRIBUTES.items()}
        )

    def forward(self, ids: Tensor) -> list[Tensor]:
        """Token ids [B, L] -> logits [B, classes] of each attribute."""
        last = self.encoder(input_ids=ids).last_hidden_state[:, -1]
        return [head(last) for head in self.heads.values()]


@dataclass(frozen=True, slots=True)
class Said:
    """A caption, and the class of each attribute of which it tells."""

    text: str
    labels: list[int]


def drawn_caption(rng: np.random.Generator, times: Sequence[float], *, held_out: bool = False) -> Said:
    """About a scene in view at all these times; held_out: of combinations that training never draws."""
    scene = sample_scene(rng, times, held_out=held_out)
    if rng.random() < STILL_SHARE:
        unsaid = {name: len(ATTRIBUTES[name]) for name in MOVING}
        text = still_caption(scene, rng)
    else:
        unsaid, text = {}, caption(scene, rng)
    return Said(
        text, [unsaid.get(name, list(values).index(getattr(scene, name))) for name, values in ATTRIBUTES.items()]
    )


@dataclass(frozen=True, slots=True)
class Captions:
    """Fresh captions for every batch."""

    encoder: TextEncoder
    times: Sequence[float]
    count: int

    def __call__(self, draw: Draw) -> CaptionBatch:
        return self.batch([drawn_caption(draw.rng, self.times) for _ in range(self.count)])

    def batch(self, said: Sequence[Said]) -> CaptionBatch:
        ids = self.encoder.token_ids([one.text for one in said])
        return CaptionBatch(ids, torch.tensor([one.labels for one in said]).T.contiguous())


def reading(model: Callable[..., Any], batch: CaptionBatch, draw: Draw) -> dict[str, Tensor]:
    """The loss: cross entropy of each attribute, scalars []; `model` gives logits [B, classes]."""
    read = zip(ATTRIBUTES, model(batch.ids), batch.labels, strict=True)
    return {name: F.cross_entropy(logits.float(), labels) for name, logits, labels in read}


class HeldOutCaptions:
    """The report: the share of captions, of combinations never trained on, of which each attribute is read rightly."""

    def __init__(self, model: CaptionReader, captions: Captions, seed: int) -> None:
        self.model, self.captions, self.seed = model, captions, seed

    @cached_property
    def batch(self) -> CaptionBatch:
        rng = np.random.default_rng([self.seed, OWN_STREAM, 1])
        times = self.captions.times
        return self.captions.batch([drawn_caption(rng, times, held_out=True) for _ in range(HELD_OUT_CAPTIONS)])

    def __call__(self) -> Findings:
        batch = self.batch.to(next(self.model.parameters()).device)
        read = zip(ATTRIBUTES, self.model(batch.ids), batch.labels, strict=True)
        return Findings({name: (logits.argmax(-1) == labels).float().mean().item() for name, logits, labels in read})


@dataclass(frozen=True, slots=True)
class TextEncoderFile:
    """What is exported: the text model without its heads, and the vocabulary."""

    encoder: TextEncoder
    config: ModelConfig
    tokenizer: dict[str, Any]  # as a checkpoint's header holds it

    def __call__(self, path: Path, provenance: dict[str, Any]) -> None:
        header = Header(Kind.TEXT_ENCODER, self.config, provenance=provenance, tokenizer=self.tokenizer)
        state = to_host_keys(self.encoder.model.state_dict(), self.encoder.config)
        save_checkpoint_file(path, Checkpoint(header, {TEXT_ENCODER: state}))


def text_encoder(config: TrainConfig) -> Stage[CaptionBatch]:
    """Captions to what they say. Raises ConfigError for a preset that has no text encoder of its own."""
    model = preset(config.preset)
    if model.text is None:
        raise ConfigError(f"train: preset {config.preset} has no text encoder of its own to train")
    times = frame_times(model.clip.frames, model.clip.fps, model.clip.frames // 2)
    rng = np.random.default_rng([config.seed, OWN_STREAM])
    stored = train_tokenizer((drawn_caption(rng, times).text for _ in range(TOKENIZER_TEXTS)), TOKENIZER_SIZE)
    tokenizer = build_tokenizer(stored, model.text)
    encoder = TextEncoder(build_text_model(model.text, tokenizer), tokenizer, model.text)
    reader, captions = CaptionReader(encoder.model, model.text.width), Captions(encoder, times, config.batch)
    return Stage(
        model=reader,
        source=captions,
        loss=reading,
        report=HeldOutCaptions(reader, captions, config.seed),
        export=TextEncoderFile(encoder, model, stored),
        groups=all_of(reader),
    )
