"""The embedded network: read strictly, once for each device."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import CheckpointError
from ..files import check_readable
from .network import Network

FILE = Path(__file__).with_name("places.safetensors")


@cache
def embedded(device: torch.device) -> Network:
    """The network that comes with the library, on a device, in evaluation mode. Raises CheckpointError."""
    return load(FILE).to(device)


def load(path: Path) -> Network:
    """A network from a file of float16 weights, in float32 on the CPU. Raises CheckpointError for any other file."""
    check_readable(path, "the file that came with this version", CheckpointError)
    with torch.device("meta"):
        network = Network()
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
        network.load_state_dict(state, assign=True)
    except (RuntimeError, SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: is no network that finds places ({error}); get the file anew") from error
    return network.eval().requires_grad_(False)
