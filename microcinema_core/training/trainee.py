"""The diffusion model that is trained: its networks, where they start, and the file that they become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from torch import Tensor, nn

from ..backend import Backend
from ..checkpoint.format import (
    APPEARNET,
    TEXT_ENCODER,
    UNET,
    Checkpoint,
    Header,
    load_strictly,
    opened,
    read_checkpoint,
    read_header,
    save_checkpoint_file,
)
from ..checkpoint.inflate import inflate_
from ..config import POCKET_TSR, TOYBOX_TSR, Injection, Kind, ModelConfig, UNetConfig, tsr_stage, with_injection
from ..models.appearnet import AppearNet
from ..models.guide import Guide, beside
from ..models.unet import VideoUNet
from ..models.zero_start import zero_start_
from .coders import Coders
from .config import TrainConfig
from .earlier import earlier_file, start_file, with_history
from .shares import gathered

UNET_PART, APPEARNET_PART = f"{UNET}.", f"{APPEARNET}."  # of names in DiffusionNetworks, as in a file
GATES = f"{UNET_PART}gates."


class DiffusionNetworks(nn.Module):
    """Both networks as one module, so that one call trains them together. An image model has no AppearNet."""

    def __init__(self, config: UNetConfig, text_length: int, backend: Backend | None = None) -> None:
        super().__init__()
        self.unet = VideoUNet(config, backend)
        self.appearnet = AppearNet(config, backend, text_length=text_length) if config.temporal else None

    def forward(
        self, z_t: Tensor, t: Tensor, context: Tensor, guide: Guide | None = None, frame_time: Tensor | None = None
    ) -> Tensor:
        """Noisy latents [B, C, T, h, w], times [B], text [B, L, D], frame time [B, T] -> eps or v [B, C, T, h, w]."""
        if guide is not None and self.unet.config.fills:
            z_t = beside(z_t, guide)
        appearance = None if guide is None or self.appearnet is None else self.appearnet(guide)
        out: Tensor = self.unet(z_t, t, context, appearance, frame_time)
        return out

    def sections(self) -> dict[str, nn.Module]:
        """By their names in a file."""
        return {UNET: self.unet} if self.appearnet is None else {UNET: self.unet, APPEARNET: self.appearnet}


@dataclass(frozen=True, slots=True)
class Trainee:
    """What reports sample with and what is exported.

    earlier: the header of the file gone on from, if any, whose history and licence the new file keeps; source: that
    file, from which it also takes what did not learn, unchanged.
    """

    kind: Kind
    config: ModelConfig
    networks: DiffusionNetworks
    coders: Coders
    earlier: Header | None = None
    source: Path | None = None

    def save(self, path: Path, provenance: dict[str, Any]) -> None:
        """Write the checkpoint file, with the coders in it or named by it.

        Of networks that are shared among processes all call this, and the main one writes.
        """
        sections = {name: self._whole(name) for name in self.networks.sections()}
        if PartialState().is_main_process:
            sections |= {name: section.state for name, section in self.coders.carried.items()}
            save_checkpoint_file(path, Checkpoint(self._header(provenance), sections))

    def _whole(self, section: str) -> dict[str, Tensor]:
        """A network's tensors, on the main process."""
        unchanged = self._unchanged(section)
        learnt = self.networks.sections()[section].state_dict()
        return gathered((name, value) for name, value in learnt.items() if name not in unchanged) | unchanged

    def _unchanged(self, section: str) -> dict[str, Tensor]:
        """A network's parameters that did not learn, as they are in the file gone on from."""
        if self.source is None:
            return {}
        names = [name for name, p in self.networks.sections()[section].named_parameters() if not p.requires_grad]
        with opened(self.source) as file:
            return {name: file.get_tensor(f"{section}.{name}") for name in names}

    def _header(self, provenance: dict[str, Any]) -> Header:
        header = Header(self.kind, self.config, provenance=provenance, companions=dict(self.coders.companions))
        header = with_history(header, self.earlier)
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


def segment_model(config: TrainConfig, model: ModelConfig) -> ModelConfig:
    """The same of a TSR model. Its clip is a segment: the TSR file's or preset's, or one made of a video model's clip.

    Schedule, prediction, lambda and deviations belong to weights: they are those of the file that is started from.
    """
    kind = Kind.TSR if config.preset in (TOYBOX_TSR.name, POCKET_TSR.name) else Kind.VIDEO
    if config.start_from:
        earlier = read_header(start_file(config))
        model, kind = replace(model, clip=earlier.config.clip, diffusion=earlier.config.diffusion), earlier.kind
    return asked_for(config, model if kind is Kind.TSR else tsr_stage(model))


def begin(kind: Kind, config: TrainConfig, model: ModelConfig, coders: Coders) -> Trainee:
    """Networks with the weights of `start_from`, of the image model `image` inflated, or without any training.

    A TSR model may start from a video model (Sec. 3.1), whose tensors have the names and shapes of its own, so that all
    are taken: spatial and temporal layers and gates; AppearNet with its null prompt, which then reads a latent of each
    frame in the place of one for all; frame time's projection, which then counts from a segment's start in the place
    of the keyframe. A segment's length, its rate and the remainders' deviations are no weights.

    Raises ConfigError for a video model with neither, unless its clips are rendered, whose guide leaves little to be
    learnt from single pictures first; CheckpointError for files that do not fit.
    """
    trainee = Trainee(kind, model, DiffusionNetworks(model.unet, coders.null.shape[1]), coders)
    unet, appearnet = trainee.networks.unet, trainee.networks.appearnet
    if config.start_from:
        path = start_file(config)
        return replace(trainee, earlier=_filled(trainee.networks, path), source=path)
    if appearnet is None:
        zero_start_(unet)
        return trainee
    if config.image or (kind is Kind.VIDEO and not config.rendered):
        image = read_checkpoint(earlier_file(config.image, "image", Kind.IMAGE))
        inflate_(unet, appearnet, image.sections[UNET], coders.null)
    else:
        zero_start_(unet)
        if not config.rendered:  # without an image model there is nothing that a guide could disturb at first
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
