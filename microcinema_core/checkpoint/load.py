"""From files to filled modules. Strict: a file either fits exactly or is refused with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..backend import Backend
from ..config import Injection, Kind, UNetConfig
from ..errors import CheckpointError
from ..models.appearnet import AppearNet
from ..models.composer import Composer
from ..models.unet import VideoUNet
from .format import (
    APPEARNET,
    COMPOSER,
    DIFFUSION,
    UNET,
    Checkpoint,
    Header,
    expect_blocks,
    load_strictly,
    read_checkpoint,
)


@dataclass(frozen=True, slots=True)
class Networks:
    """A file's networks in evaluation mode; `appearnet` is None for the image stage."""

    header: Header
    unet: VideoUNet
    appearnet: AppearNet | None

    def to_(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move both to a device and a format, in place."""
        for network in (self.unet, self.appearnet):
            if network is not None:
                network.to(device, dtype)


def load_networks(path: str | Path, backend: Backend | None = None, *, kind: Kind | None = None) -> Networks:
    """Read an image, video or TSR file. Raises CheckpointError, also where it is of another kind than asked for."""
    path = Path(path)
    return networks_of(read_checkpoint(path), path, backend, kind=kind)


def networks_of(
    checkpoint: Checkpoint, path: Path, backend: Backend | None = None, *, kind: Kind | None = None
) -> Networks:
    """The networks of a file already read. Raises CheckpointError, allocating nothing, where it does not fill them."""
    header = checkpoint.header
    expect_kind(header, path, *((kind,) if kind else DIFFUSION))
    config, backend = header.config.unet, backend or Backend()
    state, what = checkpoint.sections[UNET], f"{path}: {UNET}"
    unet = unet_outline(config, state, what, backend)
    load_strictly(unet, state, what, backend.device)
    if APPEARNET not in checkpoint.sections:
        return Networks(header, unet.eval(), None)
    state, what = checkpoint.sections[APPEARNET], f"{path}: {APPEARNET}"
    appearnet = appearnet_outline(config, state, what, backend)
    load_strictly(appearnet, state, what, backend.device)
    return Networks(header, unet.eval(), appearnet.eval())


def unet_outline(
    config: UNetConfig, state: Mapping[str, Tensor], what: str, backend: Backend | None = None
) -> VideoUNet:
    """VideoUNet on the meta device; whether the tensors fit it is not known yet.

    Raises CheckpointError, beginning with `what`, for fewer tensors than the configuration has blocks.
    """
    expect_blocks(len(config.block_out_channels) * config.layers_per_block, state, what)
    return VideoUNet(config, replace(backend or Backend(), device="meta"))


def appearnet_outline(
    config: UNetConfig, state: Mapping[str, Tensor], what: str, backend: Backend | None = None
) -> AppearNet:
    """AppearNet on the meta device, with room for the null prompt; whether the tensors fit it is not known yet.

    Raises CheckpointError, beginning with `what`, for fewer tensors than blocks, which mode `concat` lacks, and where
    the null prompt is missing.
    """
    if config.injection is not Injection.CONCAT:
        expect_blocks(len(config.block_out_channels) * config.layers_per_block, state, what)
    length = null_length(config, state, what)
    return AppearNet(config, replace(backend or Backend(), device="meta"), text_length=length)


def null_length(config: UNetConfig, state: Mapping[str, Tensor], what: str) -> int:
    """Tokens of the null prompt [1, L, D] among AppearNet's tensors; mode `concat` stores none, 0.

    Raises CheckpointError, beginning with `what`, where it is missing or no such tensor.
    """
    if config.injection is Injection.CONCAT:
        return 0
    context = state.get("null_context")
    if context is None or context.ndim != 3:
        raise CheckpointError(f"{what}: null_context is missing or misshapen; get the file anew")
    return context.shape[1]


def load_composer(path: str | Path, backend: Backend | None = None) -> Composer:
    """A composer file's network in evaluation mode. Raises CheckpointError as `composer_of` does."""
    path = Path(path)
    return composer_of(read_checkpoint(path), path, backend)


def composer_of(checkpoint: Checkpoint, path: Path, backend: Backend | None = None) -> Composer:
    """The network of a composer file already read.

    Raises CheckpointError, allocating nothing, for a file of another kind and where it does not fill the network.
    """
    header, what, backend = checkpoint.header, f"{path}: {COMPOSER}", backend or Backend()
    expect_kind(header, path, Kind.COMPOSER)
    if header.config.composer is None:
        raise CheckpointError(f"{path}: holds a composer but its configuration describes none; get the file anew")
    network = Composer(header.config.composer, replace(backend, device="meta"))
    load_strictly(network, checkpoint.sections[COMPOSER], what, backend.device)
    return network.eval()


def expect_kind(header: Header, path: Path, *kinds: Kind) -> None:
    """Raises CheckpointError for a file that is of none of these kinds."""
    if header.kind not in kinds:
        wanted = " or ".join(kinds)
        raise CheckpointError(f"{path}: is a file of kind {header.kind}; a file of kind {wanted} is needed here")


def expect_text_to_image(header: Header, path: Path) -> None:
    """Raises CheckpointError for a file that makes no pictures from text."""
    expect_kind(header, path, Kind.IMAGE)
    if header.config.unet.fills:
        raise CheckpointError(f"{path}: is a fill model, which makes no picture from text; it is for --fill")
