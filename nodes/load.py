"""Load MicroCinema: one file's parts as the host's own kinds of model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..microcinema_core.checkpoint.format import APPEARNET, UNET, Checkpoint
from ..microcinema_core.checkpoint.sections import find_section
from ..microcinema_core.checkpoint.trained import trained_of
from ..microcinema_core.errors import CheckpointError, shown
from .appearance import make_appearnet
from .clip import load_clip
from .files import read_file
from .folder import DEFAULT, file_names, find_file, fingerprint
from .missing import Missing
from .model import make_model
from .node import Node
from .types import AppearNetSocket
from .vae import load_vae


class LoadMicroCinema(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaLoad",
            display_name="Load MicroCinema",
            category="MicroCinema",
            description="Loads a MicroCinema file: image stage, video model or temporal super-resolution. "
            "The Toybox model that comes with the nodes animates simple shapes; it is not trained for photos.",
            search_aliases=["microcinema loader", "toybox", "image to video", "text to video", "load tsr"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=file_names(),
                    default=DEFAULT,
                    tooltip="A file of models/microcinema, or of the embedded Toybox model. "
                    "Toybox is a demonstration with simple shapes, not trained for photos.",
                )
            ],
            outputs=[
                io.Model.Output(display_name="MODEL", tooltip="For KSampler and every other sampler."),
                AppearNetSocket.Output(display_name="APPEARNET", tooltip="For AppearNet Encode or TSR Interpolate."),
                io.Clip.Output(display_name="CLIP", tooltip="Encodes the prompts that this model reads."),
                io.Vae.Output(display_name="VAE", tooltip="Between pictures and this model's latents."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        return fingerprint(find_file(file))

    @classmethod
    def run(cls, file: str) -> io.NodeOutput:
        try:
            return io.NodeOutput(*load_parts(find_file(file)))
        except CheckpointError as error:
            raise CheckpointError(
                f"Load MicroCinema: {error}. Choose another file, or get this one anew; other models have loaders of "
                "their own"
            ) from error


def load_parts(path: Path) -> tuple[Any, Any, Any, Any]:
    """MODEL, APPEARNET, CLIP, VAE of a file; for what it lacks a stand-in that says so when it is used.

    Raises CheckpointError for a file that is not MicroCinema's or whose tensors do not fit its description.
    """
    checkpoint = read_file(path)
    vae = _or_missing("VAE", lambda: load_vae(path, checkpoint))
    clip = _or_missing("CLIP", lambda: load_clip(path, checkpoint))
    known = None if isinstance(vae, Missing) else vae
    model = _part(UNET, "MODEL", path, checkpoint, lambda section: make_model(section, known))
    appearnet = _part(APPEARNET, "APPEARNET", path, checkpoint, make_appearnet)
    _tell(path, checkpoint)
    return model, appearnet, clip, vae


def _tell(path: Path, checkpoint: Checkpoint) -> None:
    """In the host's log, what of a video file is trained; a warning where something is not."""
    trained = trained_of(checkpoint)
    said = "; ".join(f"{part}: {label}" for part, label in trained.labels.items())
    if said:
        level = logging.WARNING if False in (trained.motion, trained.appearance) else logging.INFO
        logging.log(level, "MicroCinema: %s", shown(f"{path.name}: {said}"))


def _part(name: str, output: str, path: Path, checkpoint: Checkpoint, make: Callable[[Any], Any]) -> Any:
    if name not in checkpoint.sections:
        return Missing(
            f"Load MicroCinema: {path.name} is a file of kind {checkpoint.header.kind} without {output}; "
            f"take {output} from a Load MicroCinema with another file"
        )
    return make(find_section(name, path, checkpoint))


def _or_missing(output: str, load: Callable[[], Any]) -> Any:
    """CLIP and VAE may lie in companion files, and may be replaced by others."""
    try:
        return load()
    except CheckpointError as error:
        return Missing(
            f"Load MicroCinema: there is no {output}: {error}. Mend that, or take {output} from another node"
        )
