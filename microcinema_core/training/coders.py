"""The frozen autoencoder and text encoder on which image, video and TSR models are trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from accelerate import PartialState
from torch import Tensor

from ..checkpoint.format import TEXT_ENCODER, VAE, Companion, read_checkpoint, read_header
from ..checkpoint.sections import Section, find_section
from ..config import Kind, ModelConfig, preset
from ..errors import CheckpointError
from ..files import sha256_of
from ..media import Frames, to_pixels
from ..standalone.autoencoders import LatentCodec
from ..standalone.components import companion_of, load_codec, load_text_encoder
from ..standalone.text import TextEncoder
from .config import TrainConfig
from .earlier import earlier_file, start_file

EMPTY: Mapping[str, Any] = MappingProxyType({})


class Coders:
    """Pictures to latents and back, sentences to embeddings.

    config: of the models that are trained on them, before the run's own settings.
    identity: tells the autoencoder from others, also in a later run.
    carried: their sections, where they came with the file gone on from and go into the one that is made;
    companions: the files that it names in the place of these.
    """

    def __init__(
        self,
        codec: LatentCodec,
        text: TextEncoder,
        config: ModelConfig,
        identity: str,
        *,
        carried: Mapping[str, Section] = EMPTY,
        companions: Mapping[str, Companion] = EMPTY,
    ) -> None:
        self.codec, self.text, self.config, self.identity = codec, text, config, identity
        self.carried, self.companions = carried, companions
        self.device = PartialState().device
        codec.vae.to(self.device)
        text.model.to(self.device)
        self.null = text.encode([""])  # [1, L, D]

    def encode(self, pictures: Iterable[Frames]) -> Tensor:
        """Pictures [N, H, W, 3] in 0..255 -> model-space latents [N, C, h, w], float32."""
        return self.codec.encode(to_pixels(list(pictures)).to(self.device))

    def decode(self, latents: Tensor) -> Tensor:
        """Model-space latents [B, C, T, h, w] -> pixels [B, T, 3, H, W] in 0..1, float32."""
        frames = latents.shape[2]
        return self.codec.decode(latents.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, frames))


def load_coders(config: TrainConfig) -> Coders:
    """Those of the files that the configuration names, or of the one that it goes on from.

    Raises ConfigError where it names too few, CheckpointError for files that hold none.
    """
    if config.start_from and not (config.autoencoder or config.text_encoder):
        return _of_whole_model(start_file(config))
    autoencoder = earlier_file(config.autoencoder, "autoencoder", Kind.AUTOENCODER)
    text_encoder = earlier_file(config.text_encoder, "text_encoder", Kind.TEXT_ENCODER)
    text, codec = load_text_encoder(text_encoder), load_codec(autoencoder)
    model = replace(preset(config.preset), latent=read_header(autoencoder).config.latent)
    companions = {VAE: companion_of(autoencoder), TEXT_ENCODER: companion_of(text_encoder)}
    return Coders(codec, text, model, companions[VAE].sha256, companions=companions)


def _of_whole_model(path: Path) -> Coders:
    """The file's own, or its companions'; the file that is made carries them on."""
    checkpoint = read_checkpoint(path)
    try:
        carried = {name: find_section(name, path, checkpoint) for name in (VAE, TEXT_ENCODER)}
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}, or name the files of both with `autoencoder` and `text_encoder`: training needs them"
        ) from error
    text, codec = load_text_encoder(path, checkpoint), load_codec(path, checkpoint)
    return Coders(codec, text, checkpoint.header.config, sha256_of(path), carried=carried)
