"""The text stage: a text model learns what a world's captions say, from what they were written about.

Stable Diffusion takes CLIP's text model, trained on pictures and captions; ours learns to tell from its last token what
was asked for, in Toybox shape, colour, background, motion and speed, then stays frozen in every later stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint.format import TEXT_ENCODER, Checkpoint, Header, save_checkpoint_file
from ..config import POCKET, Kind, ModelConfig, preset
from ..errors import ConfigError
from ..shot.timing import frame_times
from ..standalone.text import TextEncoder, build_text_model, build_tokenizer, to_host_keys, train_tokenizer
from ..worlds.pocket.captions import caption as pocket_caption
from ..worlds.pocket.captions import every_word
from ..worlds.pocket.effects import Effect, Strength, drawn_effect
from ..worlds.pocket.moves import drawn_camera
from ..worlds.toybox.captions import caption, still_caption
from ..worlds.toybox.world import Background, Colour, Motion, Shape, Speed, sample_scene
from .config import TrainConfig
from .stage import Draw, Findings, Stage, all_of

ATTRIBUTES = {"shape": Shape, "colour": Colour, "background": Background, "motion": Motion, "speed": Speed}
MOVING = ("motion", "speed")  # one more class each: unsaid, because the caption is of a still picture
TOKENIZER_TEXTS = 4000
BYTES = 512 + 2  # of every vocabulary: each byte, each as the end of a word, start and end
STILL_SHARE = 0.3
HELD_OUT_CAPTIONS = 512
OWN_STREAM = 1 << 40  # of what no step draws


@dataclass(frozen=True, slots=True)
class CaptionBatch:
    """ids: tokens [B, L]; labels: the class of each attribute, in the lessons' order, [A, B]."""

    ids: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> CaptionBatch:
        return CaptionBatch(self.ids.to(device), self.labels.to(device))


class CaptionReader(nn.Module):
    """The text model and one linear head per attribute, on the last token."""

    def __init__(self, encoder: nn.Module, width: int, classes: Mapping[str, int]) -> None:
        """classes: how many there are of each attribute."""
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: nn.Linear(width, count) for name, count in classes.items()})

    def forward(self, ids: Tensor) -> list[Tensor]:
        """Token ids [B, L] -> logits [B, classes] of each attribute."""
        last = self.encoder(input_ids=ids).last_hidden_state[:, -1]
        return [head(last) for head in self.heads.values()]


@dataclass(frozen=True, slots=True)
class Said:
    """A caption, and the class of each attribute of which it tells."""

    text: str
    labels: list[int]


class Lessons(Protocol):
    """What a text model learns to read. merges: of its vocabulary, beside single bytes."""

    @property
    def classes(self) -> Mapping[str, int]:
        """How many there are of each attribute."""

    @property
    def merges(self) -> int: ...

    def drawn(self, rng: np.random.Generator, *, held_out: bool = False) -> Said:
        """A caption that follows from `rng` alone; held_out: one that training never draws, where there are such."""

    def vocabulary(self, rng: np.random.Generator) -> list[str]:
        """Texts from which the vocabulary is made."""


@dataclass(frozen=True, slots=True)
class ToyboxLessons:
    """times: of a clip's frames, in all of which a shape is in view."""

    times: Sequence[float]
    merges: int = 330

    @property
    def classes(self) -> Mapping[str, int]:
        return {name: len(values) + (name in MOVING) for name, values in ATTRIBUTES.items()}

    def drawn(self, rng: np.random.Generator, *, held_out: bool = False) -> Said:
        return drawn_caption(rng, self.times, held_out=held_out)

    def vocabulary(self, rng: np.random.Generator) -> list[str]:
        return [self.drawn(rng).text for _ in range(TOKENIZER_TEXTS)]


@dataclass(frozen=True, slots=True)
class PocketLessons:
    """What Pocket's captions ask for; where they ask for nothing, one class more of strength and course."""

    merges: int = 1200

    @property
    def classes(self) -> Mapping[str, int]:
        return {"effect": len(Effect), "strength": len(Strength) + 1, "course": 3}

    def drawn(self, rng: np.random.Generator, *, held_out: bool = False) -> Said:
        asked, camera = drawn_effect(rng), drawn_camera(rng)
        effect, strength = list(Effect).index(asked.effect), list(Strength).index(asked.strength)
        nothing = asked.effect is Effect.NONE
        labels = [effect, len(Strength) if nothing else strength, 2 if nothing else int(asked.comes)]
        return Said(pocket_caption(asked, camera, rng), labels)

    def vocabulary(self, rng: np.random.Generator) -> list[str]:
        return every_word(rng, TOKENIZER_TEXTS)


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
    lessons: Lessons
    count: int

    def __call__(self, draw: Draw) -> CaptionBatch:
        return self.batch([self.lessons.drawn(draw.rng) for _ in range(self.count)])

    def batch(self, said: Sequence[Said]) -> CaptionBatch:
        ids = self.encoder.token_ids([one.text for one in said])
        return CaptionBatch(ids, torch.tensor([one.labels for one in said]).T.contiguous())


@dataclass(frozen=True, slots=True)
class Reading:
    """The loss: cross entropy of each attribute, scalars []; `model` gives logits [B, classes]."""

    names: Sequence[str]

    def __call__(self, model: Callable[..., Any], batch: CaptionBatch, draw: Draw) -> dict[str, Tensor]:
        read = zip(self.names, model(batch.ids), batch.labels, strict=True)
        return {name: F.cross_entropy(logits.float(), labels) for name, logits, labels in read}


class HeldOutCaptions:
    """The report: the share of captions, of combinations never trained on, of which each attribute is read rightly."""

    def __init__(self, model: CaptionReader, captions: Captions, seed: int) -> None:
        self.model, self.captions, self.seed = model, captions, seed

    @cached_property
    def batch(self) -> CaptionBatch:
        rng = np.random.default_rng([self.seed, OWN_STREAM, 1])
        drawn = (self.captions.lessons.drawn(rng, held_out=True) for _ in range(HELD_OUT_CAPTIONS))
        return self.captions.batch(list(drawn))

    def __call__(self) -> Findings:
        batch = self.batch.to(next(self.model.parameters()).device)
        read = zip(self.captions.lessons.classes, self.model(batch.ids), batch.labels, strict=True)
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
    lessons = _lessons(model)
    rng = np.random.default_rng([config.seed, OWN_STREAM])
    stored = train_tokenizer(lessons.vocabulary(rng), BYTES + lessons.merges)
    tokenizer = build_tokenizer(stored, model.text)
    encoder = TextEncoder(build_text_model(model.text, tokenizer), tokenizer, model.text)
    reader = CaptionReader(encoder.model, model.text.width, lessons.classes)
    captions = Captions(encoder, lessons, config.batch)
    return Stage(
        model=reader,
        source=captions,
        loss=Reading(list(lessons.classes)),
        report=HeldOutCaptions(reader, captions, config.seed),
        export=TextEncoderFile(encoder, model, stored),
        groups=all_of(reader),
    )


def _lessons(model: ModelConfig) -> Lessons:
    """Of the world that the preset's clips are from."""
    if model.name == POCKET.name:
        return PocketLessons()
    return ToyboxLessons(frame_times(model.clip.frames, model.clip.fps, model.clip.frames // 2))
