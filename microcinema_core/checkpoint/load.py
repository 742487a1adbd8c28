"""From files to filled modules. Strict: a file either fits exactly or is refused with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..backend import Backend
from ..config import Injection, Kind
from ..errors import CheckpointError
from ..models.appearnet import AppearNet
from ..models.unet import VideoUNet
from .format import APPEARNET, DIFFUSION, UNET, Checkpoint, Header, expect_blocks, load_strictly, read_checkpoint


@dataclass(frozen=True, slots=True)
class Networks:
    """A file's networks in evaluation mode; `appearnet` is None for the image stage."""

    header: Header
    unet: VideoUNet
    appearnet: AppearNet | None


def load_networks(path: Path, backend: Backend | None = None, *, kind: Kind | None = None) -> Networks:
    """Read an image, video or TSR file. Raises CheckpointError, also where it is of another kind than asked for."""
    return networks_of(read_checkpoint(path), path, backend, kind=kind)


def networks_of(
    checkpoint: Checkpoint, path: Path, backend: Backend | None = None, *, kind: Kind | None = None
) -> Networks:
    """The networks of a file already read. Nothing is allocated before the file is known to fill all of it."""
    header = checkpoint.header
    expect_kind(header, path, *((kind,) if kind else DIFFUSION))
    config = header.config.unet
    expect_blocks(
        len(config.block_out_channels) * config.layers_per_block, checkpoint.sections[UNET], f"{path}: {UNET}"
    )
    backend = backend or Backend()
    on_meta = replace(backend, device="meta")
    unet = VideoUNet(config, on_meta)
    load_strictly(unet, checkpoint.sections[UNET], f"{path}: {UNET}", backend.device)
    if APPEARNET not in checkpoint.sections:
        return Networks(header, unet.eval(), None)
    state = checkpoint.sections[APPEARNET]
    length = 0 if config.injection is Injection.CONCAT else _null_length(state, path)
    appearnet = AppearNet(config, on_meta, text_length=length)
    load_strictly(appearnet, state, f"{path}: {APPEARNET}", backend.device)
    return Networks(header, unet.eval(), appearnet.eval())


def _null_length(state: Mapping[str, Tensor], path: Path) -> int:
    context = state.get("null_context")
    if context is None or context.ndim != 3:
        raise CheckpointError(f"{path}: {APPEARNET}.null_context is missing or misshapen; get the file anew")
    return context.shape[1]


def expect_kind(header: Header, path: Path, *kinds: Kind) -> None:
    """Raises CheckpointError for a file of another kind."""
    if header.kind not in kinds:
        wanted = " or ".join(kinds)
        raise CheckpointError(f"{path}: is a file of kind {header.kind}; a file of kind {wanted} is needed here")
