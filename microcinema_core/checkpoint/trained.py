"""Which parts of a video file somebody has trained. The weights themselves say it: what starts at zero no longer is.

A field of the header would be missing from older files and would stay behind when weights are merged or trained on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .format import APPEARNET, UNET, Checkpoint, opened

# The last layer of each temporal branch and of each injected term: `reset_temporal_` and `reset_injection_` zero them.
MOTION = re.compile(
    rf"{UNET}\.(.*\.taps|(.*\.temporal_attentions|.*\.temp_attentions)\.\d+\.proj_out|transformer_in\.proj_out"
    r"|.*\.temp_convs\.\d+\.conv4\.3)\.(weight|bias)"
)
APPEARANCE = re.compile(rf"{APPEARNET}\.(concat|add\..*|spade\..*\.conv_out)\.(weight|bias)")


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


def trained_in(path: Path) -> Trained:
    """Of a file, from as few of its tensors as will do. Raises CheckpointError for a file that cannot be read."""
    with opened(path) as file:
        return _trained(file.keys(), file.get_tensor)


def trained_of(checkpoint: Checkpoint) -> Trained:
    """Of a file that is read already."""
    tensors = {f"{name}.{key}": value for name, part in checkpoint.sections.items() for key, value in part.items()}
    return _trained(tensors, tensors.__getitem__)


def _trained(names: Iterable[str], read: Callable[[str], Tensor]) -> Trained:
    listed = sorted(names)

    def acts(last: re.Pattern[str]) -> bool | None:
        found = [name for name in listed if last.fullmatch(name)]
        return any(_any(read(name)) for name in found) if found else None

    return Trained(acts(MOTION), acts(APPEARANCE))


def _any(value: Tensor) -> bool:
    return bool((value.float() if value.itemsize == 1 else value).any())  # float8 has no any
