"""The frozen autoencoder and text encoder on which image, video and TSR models are trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from accelerate import PartialState
from torch import Tensor, nn

from ..checkpoint.format import TEXT_ENCODER, VAE, Companion, read_checkpoint, read_header
from ..checkpoint.kept import digest_of, read_kept, write_kept
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
HIDDEN = "hidden"


class Coders:
    """Pictures to latents and back, sentences to embeddings.

    text: reads sentences, from `kept_texts` where there is such a folder, to which it adds those that it reads.
    rests: they wait on the CPU for their work, which is on the device all the same.
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
        kept_texts: Path | None = None,
    ) -> None:
        self.codec, self.config, self.identity = codec, config, identity
        self.carried, self.companions = carried, companions
        self.device, self.rests = PartialState().device, kept_texts is not None
        self.text: Reads = text if kept_texts is None else KeptTexts(text, kept_texts, self.device)
        if not self.rests:
            codec.vae.to(self.device)
            text.model.to(self.device)
        self.null = self.text.encode([""])  # [1, L, D]

    @cached_property
    def weights(self) -> str:
        """Tells the autoencoder from others by its own numbers, whatever file they came in."""
        state = {key: value.cpu() for key, value in self.codec.vae.state_dict().items()}
        return digest_of(state | {"mean": self.codec.mean, "std": self.codec.std})

    def encode(self, pictures: Iterable[Frames]) -> Tensor:
        """Pictures [N, H, W, 3] in 0..255 -> model-space latents [N, C, h, w], float32."""
        with self._at_work():
            return self.codec.encode(to_pixels(list(pictures)).to(self.device))

    def decode(self, latents: Tensor) -> Tensor:
        """Model-space latents [B, C, T, h, w] -> pixels [B, T, 3, H, W] in 0..1, float32."""
        frames = latents.shape[2]
        with self._at_work():
            return self.codec.decode(latents.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, frames))

    def _at_work(self) -> AbstractContextManager[None]:
        return visiting(self.codec.vae, self.device) if self.rests else nullcontext()


@contextmanager
def visiting(network: nn.Module, device: torch.device) -> Iterator[None]:
    """The network on the device for as long as this lasts, on the CPU afterwards."""
    network.to(device)
    try:
        yield
    finally:
        network.to("cpu")


class Reads(Protocol):
    """Sentences -> the last hidden states [N, L, D]."""

    def encode(self, prompts: Sequence[str]) -> Tensor: ...


class KeptTexts:
    """Reads each sentence once and keeps what it made of it in a file for the next time, and the next run."""

    def __init__(self, text: TextEncoder, folder: Path, device: torch.device) -> None:
        self.text, self.device = text, device
        self.folder = folder / f"texts-{digest_of(text.model.state_dict())[:12]}"

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """[N, L, D], float32, on the device."""
        read = {prompt: self._kept(prompt) for prompt in prompts}
        new = [prompt for prompt, hidden in read.items() if hidden is None]
        if new:
            with visiting(self.text.model, self.device):
                made = self.text.encode(new).cpu()
            for prompt, hidden in zip(new, made, strict=True):
                write_kept(self._file(prompt), {HIDDEN: hidden})
                read[prompt] = hidden
        return torch.stack([hidden for prompt in prompts if (hidden := read[prompt]) is not None]).to(self.device)

    def _file(self, prompt: str) -> Path:
        name = hashlib.sha256(prompt.encode()).hexdigest()[:24]
        return self.folder / name[:2] / f"{name}.safetensors"

    def _kept(self, prompt: str) -> Tensor | None:
        """None for what is not there, or not as it was written."""
        try:
            return read_kept(self._file(prompt))[0][HIDDEN]
        except (CheckpointError, KeyError):
            return None


def cache_of(config: TrainConfig) -> Path:
    """What is computed once for all runs in one folder."""
    return Path(config.out).parent / "cache"


def load_coders(config: TrainConfig) -> Coders:
    """Those of the files that the configuration names, or of the one that it goes on from.

    Raises ConfigError where it names too few, CheckpointError for files that hold none.
    """
    if config.start_from and not (config.autoencoder or config.text_encoder):
        return _of_whole_model(start_file(config), _kept_texts(config))
    autoencoder = earlier_file(config.autoencoder, "autoencoder", Kind.AUTOENCODER)
    text_encoder = earlier_file(config.text_encoder, "text_encoder", Kind.TEXT_ENCODER)
    text, codec = load_text_encoder(text_encoder), load_codec(autoencoder)
    model = replace(preset(config.preset), latent=read_header(autoencoder).config.latent)
    companions = {VAE: companion_of(autoencoder), TEXT_ENCODER: companion_of(text_encoder)}
    identity = companions[VAE].sha256
    return Coders(codec, text, model, identity, companions=companions, kept_texts=_kept_texts(config))


def _kept_texts(config: TrainConfig) -> Path | None:
    return cache_of(config) if config.recipe.coders_on_cpu else None


def _of_whole_model(path: Path, kept_texts: Path | None) -> Coders:
    """The file's own, or its companions'; the file that is made carries them on."""
    checkpoint = read_checkpoint(path)
    try:
        carried = {name: find_section(name, path, checkpoint) for name in (VAE, TEXT_ENCODER)}
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}, or name the files of both with `autoencoder` and `text_encoder`: training needs them"
        ) from error
    text, codec = load_text_encoder(path, checkpoint), load_codec(path, checkpoint)
    config = checkpoint.header.config
    return Coders(codec, text, config, sha256_of(path), carried=carried, kept_texts=kept_texts)
