"""Models of Toybox's kind with small networks and random weights, published as real ones are."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from microcinema_core.checkpoint.format import (
    APPEARNET,
    TEXT_ENCODER,
    UNET,
    VAE,
    Checkpoint,
    Header,
    save_checkpoint_file,
)
from microcinema_core.config import (
    TOYBOX,
    WHOLE,
    ClipConfig,
    Injection,
    Kind,
    ModelConfig,
    TextConfig,
    VAEConfig,
    image_stage,
)
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.autoencoders import build_autoencoder
from microcinema_core.standalone.autoencoders import to_host_keys as vae_keys
from microcinema_core.standalone.components import companion_of
from microcinema_core.standalone.text import build_text_model, build_tokenizer, train_tokenizer
from microcinema_core.standalone.text import to_host_keys as text_keys
from microcinema_core.training.publish import publish

SMALL = replace(
    TOYBOX,
    unet=replace(
        TOYBOX.unet, block_out_channels=(32, 48), attention_heads=(2, 3), cross_attention_dim=32, spade_hidden=8
    ),
    clip=ClipConfig(width=64, height=64),
    vae=VAEConfig(channels=16, blocks=1),
    text=TextConfig(vocab_size=600, width=32, layers=1, heads=2, max_length=24),
)

SMALL_TSR = replace(
    SMALL,
    name="small_tsr",
    unet=replace(SMALL.unet, block_out_channels=(16, 16), attention_heads=(1, 1)),
    clip=replace(SMALL.clip, frames=5, fps=8.0),
)


def write_stages(folder: Path, config: ModelConfig = SMALL) -> dict[Kind, Path]:
    """The files as training leaves them: all of one name, each in a folder of its own."""
    torch.manual_seed(0)
    paths = {kind: folder / kind / "model.safetensors" for kind in WHOLE}
    tokenizer = train_tokenizer(["a red star moves left slowly", "a blue circle grows"], config.text.vocab_size)
    text = build_text_model(config.text, build_tokenizer(tokenizer, config.text))
    autoencoder = build_autoencoder(config.vae)
    with torch.no_grad():  # an untrained decoder paints a black that hides what comes before it
        autoencoder.decoder.layers[-1].weight.mul_(100)
        autoencoder.decoder.layers[-1].bias.fill_(0.5)
    vae = vae_keys(autoencoder.state_dict())
    save_checkpoint_file(paths[Kind.AUTOENCODER], Checkpoint(Header(Kind.AUTOENCODER, config), {VAE: vae}))
    header = Header(Kind.TEXT_ENCODER, config, tokenizer=tokenizer)
    encoder = text_keys(text.state_dict(), config.text)
    save_checkpoint_file(paths[Kind.TEXT_ENCODER], Checkpoint(header, {TEXT_ENCODER: encoder}))
    companions = {VAE: companion_of(paths[Kind.AUTOENCODER]), TEXT_ENCODER: companion_of(paths[Kind.TEXT_ENCODER])}
    still = image_stage(config)
    header = Header(Kind.IMAGE, still, provenance={"seed": 0}, companions=companions)
    save_checkpoint_file(paths[Kind.IMAGE], Checkpoint(header, {UNET: VideoUNet(still.unet).state_dict()}))
    for kind, model in ((Kind.VIDEO, config), (Kind.TSR, SMALL_TSR)):
        networks = {
            UNET: VideoUNet(model.unet).state_dict(),
            APPEARNET: AppearNet(model.unet, text_length=config.text.max_length).state_dict(),
        }
        header = Header(kind, model, provenance={"seed": 0}, companions=companions)
        save_checkpoint_file(paths[kind], Checkpoint(header, networks))
    return paths


def filling(config: ModelConfig = SMALL) -> ModelConfig:
    """The fill model of this layout and these latents."""
    still = image_stage(config)
    return replace(still, unet=replace(still.unet, fills=True, reads_text=False, pooled_text=False))


def write_fill(folder: Path, files: dict[Kind, Path]) -> Path:
    """A fill model of random weights, with the autoencoder and text encoder of these files beside it."""
    torch.manual_seed(0)
    companions = {}
    for section, kind in ((VAE, Kind.AUTOENCODER), (TEXT_ENCODER, Kind.TEXT_ENCODER)):
        there = folder / f"small-{kind.word}.safetensors"
        shutil.copyfile(files[kind], there)
        companions[section] = companion_of(there)
    path, config = folder / "small-fill.safetensors", filling()
    header = Header(Kind.IMAGE, config, companions=companions)
    save_checkpoint_file(path, Checkpoint(header, {UNET: VideoUNet(config.unet).state_dict()}))
    return path


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    return write_stages(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="session")
def weights(stages: dict[Kind, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the repository's `weights`."""
    folder = tmp_path_factory.mktemp("weights")
    publish(stages, folder)
    return folder


SMALL_POCKET = replace(
    SMALL, name="small_pocket", unet=replace(SMALL.unet, injection=Injection.CONCAT, guide_mask=True)
)


@pytest.fixture(scope="session")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the repository's `weights`, with a model that paints."""
    folder = tmp_path_factory.mktemp("pocket")
    publish(write_stages(tmp_path_factory.mktemp("pocket_stages"), SMALL_POCKET), folder, "pocket")
    return folder
