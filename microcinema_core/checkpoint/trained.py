"""Which parts of a video file somebody has trained. The weights themselves say it: what starts at zero no longer is.

A field of the header would be missing from older files and would stay behind when weights are merged or trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..backend import Backend
from ..models.appearnet import AppearNet
from ..models.unet import VideoUNet
from ..models.zero_start import Adds, zero_tensors
from .foreign import Shapes
from .format import APPEARNET, UNET, Checkpoint, Header, opened, read_header
from .limits import MAX_BLOCKS


@dataclass(frozen=True, slots=True)
class Trained:
    """Whether a part has any effect; None where the file does not hold it."""

    motion: bool | None
    appearance: bool | None

    @property
    def labels(self) -> dict[str, str]:
        """One line for each part that is there."""
        said = {
            "motion": {True: "trained", False: "not trained: every frame is a picture of its own"},
            "appearance": {
                True: "trained",
                False: "AppearNet is not trained: an exact keyframe (the keyframe held at its frame) stands in for it",
            },
        }
        found = {"motion": self.motion, "appearance": self.appearance}
        return {part: said[part][state] for part, state in found.items() if state is not None}


def trained_in(path: str | Path) -> Trained:
    """What of a file is trained, from as few of its tensors as will do.

    Raises CheckpointError for whatever is no MicroCinema file.
    """
    path = Path(path)
    header = read_header(path)
    with opened(path) as file:
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
        return _trained(header, shapes, file.get_tensor)


def trained_of(checkpoint: Checkpoint) -> Trained:
    """What is trained of a file that is read already."""
    tensors = {f"{name}.{key}": value for name, part in checkpoint.sections.items() for key, value in part.items()}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    return _trained(checkpoint.header, shapes, tensors.__getitem__)


def _trained(header: Header, shapes: Shapes, read: Callable[[str], Tensor]) -> Trained:
    """shapes: of all tensors, their section in front of their names. One of another shape than the network's, of any
    size perhaps, is not read: such a file cannot be loaded."""
    config = header.config.unet
    blocks = len(config.block_out_channels) * config.layers_per_block
    if not header.kind.needs_appearance or blocks > min(MAX_BLOCKS, len(shapes)):  # no outline of what cannot be loaded
        return Trained(None, None)
    on_meta = Backend(device="meta")

    def acts(section: str, network: nn.Module, adds: Adds) -> bool | None:
        wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        last = sorted(zero_tensors(network, adds))
        found = [name for key in last if shapes.get(name := f"{section}.{key}") == wanted[key]]
        return any(_any(read(name)) for name in found) if found else None

    return Trained(
        motion=acts(UNET, VideoUNet(config, on_meta), Adds.MOTION),
        appearance=acts(APPEARNET, AppearNet(config, on_meta), Adds.APPEARANCE),
    )


def _any(value: Tensor) -> bool:
    return bool((value.float() if value.itemsize == 1 else value).any())  # float8 has no any
