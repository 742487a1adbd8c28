"""The autoencoder and text encoder of a file, through diffusers and transformers: the standalone side's loaders."""

from __future__ import annotations

from pathlib import Path

import torch

from ..checkpoint.format import (
    TEXT_ENCODER,
    VAE,
    Checkpoint,
    Companion,
    expect_blocks,
    expect_fit,
    load_strictly,
    read_checkpoint,
)
from ..checkpoint.names import KL_MARK
from ..checkpoint.sections import Section, find_section
from ..config import ModelConfig
from ..errors import CheckpointError, shown
from ..files import sha256_of
from .autoencoder_kl import outline_of
from .autoencoders import LEVELS, LatentCodec, build_autoencoder
from .autoencoders import from_host_keys as vae_keys
from .text import TextEncoder, build_text_model, build_tokenizer
from .text import from_host_keys as text_keys

DOWNSCALE = 2 ** (LEVELS - 1)


def _expect_equal(path: Path, where: Path, what: str, wanted: int, given: int) -> None:
    """A file and its companion each agree with themselves, which does not make them agree with each other."""
    if wanted != given:
        raise CheckpointError(f"{path}: its {what} are {wanted}, those of {where.name} {given}; get both files anew")


def load_codec(path: str | Path, checkpoint: Checkpoint | None = None) -> LatentCodec:
    """The autoencoder of a file or of its companion: pixels to model-space latents and back.

    Raises CheckpointError where there is none, or one that does not fit the file.
    """
    path = Path(path)
    checkpoint = checkpoint or read_checkpoint(path)
    own = checkpoint.header.config
    found = find_section(VAE, path, checkpoint)
    where, config = found.path, found.header.config
    if config.vae is None:
        return _stable_diffusions(found, own)
    if config.latent.downscale != DOWNSCALE:
        raise CheckpointError(
            f"{where}: latent.downscale is {config.latent.downscale}, this autoencoder's is {DOWNSCALE}; get it anew"
        )
    _expect_equal(path, where, "latent channels", own.unet.in_channels, config.vae.latent_channels)
    expect_blocks(config.vae.blocks, found.state, f"{where}: {VAE}")
    with torch.device("meta"):
        vae = build_autoencoder(config.vae)
    try:
        state = vae_keys(found.state)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{where}: {VAE}: unexpected tensor ({shown(str(error))})") from error
    load_strictly(vae, state, f"{where}: {VAE}")
    return LatentCodec(vae.eval(), config.latent)


def _stable_diffusions(found: Section, own: ModelConfig) -> LatentCodec:
    """AutoencoderKL, whose sizes its tensors tell."""
    what = f"{found.path}: {VAE}"
    if KL_MARK not in found.state:
        raise CheckpointError(f"{found.path}: holds an autoencoder but its configuration describes none")
    with torch.device("meta"):
        vae, state = outline_of(found.state, what)
    load_strictly(vae, state, what)
    _expect_equal(found.path, found.path, "latent channels", own.unet.in_channels, vae.latent_channels)
    _expect_equal(found.path, found.path, "pixels for each latent", own.latent.downscale, vae.downscale)
    return LatentCodec(vae.eval(), own.latent)


def load_text_encoder(path: str | Path, checkpoint: Checkpoint | None = None) -> TextEncoder:
    """The text encoder of a file or of its companion, with its vocabulary.

    Raises CheckpointError where there is none, or one that does not fit the file.
    """
    path = Path(path)
    checkpoint = checkpoint or read_checkpoint(path)
    own = checkpoint.header.config
    found = find_section(TEXT_ENCODER, path, checkpoint)
    where, config = found.path, found.header.config.text
    if config is None or found.header.tokenizer is None:
        raise CheckpointError(f"{where}: holds a text encoder without its configuration or tokenizer")
    _expect_equal(path, where, "text width", own.unet.cross_attention_dim, config.width)
    try:
        tokenizer = build_tokenizer(found.header.tokenizer, config)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error
    what = f"{where}: {TEXT_ENCODER}"
    expect_blocks(config.layers, found.state, what)
    with torch.device("meta"):
        outline = build_text_model(config, tokenizer)
    expect_fit(outline, text_keys(found.state, outline), what)
    model = build_text_model(config, tokenizer)  # not the outline: what the file does not hold needs values too
    load_strictly(model, text_keys(found.state, model), what)
    return TextEncoder(model.eval(), tokenizer, config)


def companion_of(path: str | Path) -> Companion:
    """A file as others name it that need it beside them."""
    path = Path(path)
    return Companion(path.name, sha256_of(path))
