"""The diffusion model that is trained: its networks, where they start, and the file that they become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..checkpoint.format import (
    APPEARNET,
    TEXT_ENCODER,
    UNET,
    Checkpoint,
    Header,
    load_strictly,
    read_checkpoint,
    save_checkpoint_file,
)
from ..checkpoint.inflate import inflate_
from ..config import Injection, Kind, ModelConfig, UNetConfig, with_injection
from ..models.appearnet import AppearNet
from ..models.guide import Guide
from ..models.unet import VideoUNet, temporal_parameters
from ..models.zero_start import zero_start_
from .coders import Coders
from .config import TrainConfig
from .earlier import earlier_file, start_file
from .stage import Group


class DiffusionNetworks(nn.Module):
    """Both networks as one module, so that one call trains them together. An image model has no AppearNet."""

    def __init__(self, config: UNetConfig, text_length: int) -> None:
        super().__init__()
        self.unet = VideoUNet(config)
        self.appearnet = AppearNet(config, text_length=text_length) if config.temporal else None

    def forward(
        self, z_t: Tensor, t: Tensor, context: Tensor, guide: Guide | None = None, frame_time: Tensor | None = None
    ) -> Tensor:
        """Noisy latents [B, C, T, h, w], times [B], text [B, L, D], frame time [B, T] -> eps or v [B, C, T, h, w]."""
        appearance = None if guide is None or self.appearnet is None else self.appearnet(guide)
        out: Tensor = self.unet(z_t, t, context, appearance, frame_time)
        return out

    def sections(self) -> dict[str, nn.Module]:
        """By their names in a file."""
        return {UNET: self.unet} if self.appearnet is None else {UNET: self.unet, APPEARNET: self.appearnet}


@dataclass(frozen=True, slots=True)
class Trainee:
    """What reports sample with and what is exported.

    earlier: the header of the file gone on from, if any, whose history and licence the new file keeps.
    """

    kind: Kind
    config: ModelConfig
    networks: DiffusionNetworks
    coders: Coders
    earlier: Header | None = None

    def save(self, path: Path, provenance: dict[str, Any]) -> None:
        """Write the checkpoint file, with the coders in it or named by it."""
        sections = {name: network.state_dict() for name, network in self.networks.sections().items()}
        sections |= {name: section.state for name, section in self.coders.carried.items()}
        save_checkpoint_file(path, Checkpoint(self._header(provenance), sections))

    def _header(self, provenance: dict[str, Any]) -> Header:
        header = Header(self.kind, self.config, provenance=provenance, companions=dict(self.coders.companions))
        if self.earlier is not None:
            history = {"started_from": self.earlier.provenance}
            header = replace(header, provenance=provenance | history, licence=self.earlier.licence)
        if self.coders.carried:
            header = replace(header, tokenizer=self.coders.carried[TEXT_ENCODER].header.tokenizer)
        return header


def asked_for(config: TrainConfig, model: ModelConfig) -> ModelConfig:
    """The model with what the run's configuration says otherwise."""
    if config.clip is not None:
        model = replace(model, clip=config.clip)
    if config.injection is not None:
        model = with_injection(model, config.injection)
    if config.prior_lambda is not None:
        model = replace(model, diffusion=replace(model.diffusion, prior_lambda=config.prior_lambda))
    return model


def begin(kind: Kind, config: TrainConfig, model: ModelConfig, coders: Coders) -> Trainee:
    """Networks with the weights of `start_from`, of the image model `image` inflated, or without any training.

    A TSR model may start from a video model (Sec. 3.1), whose tensors have the names and shapes of its own, so that all
    are taken: spatial and temporal layers and gates; AppearNet with its null prompt, which then reads a latent of each
    frame in the place of one for all; frame time's projection, which then counts from a segment's start in the place
    of the keyframe. A segment's length, its rate and the remainders' deviations are no weights.

    Raises ConfigError for a video model with neither, CheckpointError for files that do not fit.
    """
    trainee = Trainee(kind, model, DiffusionNetworks(model.unet, coders.null.shape[1]), coders)
    unet, appearnet = trainee.networks.unet, trainee.networks.appearnet
    if config.start_from:
        return replace(trainee, earlier=_filled(trainee.networks, start_file(config)))
    if appearnet is None:
        return trainee
    if config.image or kind is Kind.VIDEO:
        image = read_checkpoint(earlier_file(config.image, "image", Kind.IMAGE))
        inflate_(unet, appearnet, image.sections[UNET], coders.null)
    else:
        zero_start_(unet)
        zero_start_(appearnet)
        if model.unet.injection is not Injection.CONCAT:  # which reads no text
            appearnet.null_context.copy_(coders.null)
    return trainee


def _filled(networks: DiffusionNetworks, path: Path) -> Header:
    """The networks get the file's weights; its header."""
    earlier = read_checkpoint(path)
    for section, network in networks.sections().items():
        load_strictly(network, earlier.sections[section], f"{path}: {section}")
    return earlier.header


def learning_groups(networks: DiffusionNetworks, spatial_scale: float) -> list[Group]:
    """What the image model does not have at the scheduled rate, the rest at `spatial_scale` of it; 0: not at all."""
    new = {f"unet.{name}" for name in temporal_parameters(networks.unet)}
    fresh: list[nn.Parameter] = []
    spatial: list[nn.Parameter] = []
    for name, parameter in networks.named_parameters():
        (fresh if name in new or name.startswith("appearnet.") else spatial).append(parameter)
    if spatial_scale:
        return [Group(fresh), Group(spatial, spatial_scale)]
    for parameter in spatial:
        parameter.requires_grad_(False)
    return [Group(fresh)]
