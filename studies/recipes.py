"""What a full-size training step takes of a card: `python -m studies.recipes` writes the table of docs/training.md.

Computed from files of Stable Diffusion 2.1's and ModelScope's sizes that hold no numbers and take no room on the disk.
"""

from __future__ import annotations

import json
import re
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from microcinema_core.backend import Backend
from microcinema_core.checkpoint.format import APPEARNET, TEXT_ENCODER, UNET, VAE, Header
from microcinema_core.config import MODELSCOPE, SD21, Kind, ModelConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.autoencoder_kl import Autoencoder
from microcinema_core.training.config import AverageOn, Learns, RecipeConfig, TrainConfig
from microcinema_core.training.memory import GB, step_memory

from .journal import ROOT
from .memory import SD_VAE

PAGE = ROOT / "docs" / "training.md"
TABLE = re.compile(r"\| model \| \[recipe\] .*?\n(?!\|)", re.DOTALL)
TEXT_NUMBERS = 340_387_840  # of OpenCLIP ViT-H's text encoder, as transformers counts them
LEAN = RecipeConfig(gradient_checkpointing=True, average=AverageOn.CPU, coders_on_cpu=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A model, what the table calls it, and a recipe."""

    model: ModelConfig
    title: str
    recipe: RecipeConfig


def rows() -> Iterator[Row]:
    """What learns, each in full and lean; of the converted model, on which an AppearNet alone learns, that one."""
    inflated = "Stable Diffusion 2.1, 9 frames of 320x320"
    for learns in Learns:
        yield Row(SD21, inflated, RecipeConfig(learns=learns))
        yield Row(SD21, inflated, replace(LEAN, learns=learns))
    yield Row(MODELSCOPE, "ModelScope, 16 frames of 256x256", replace(LEAN, learns=Learns.APPEARNET))


def outline(model: ModelConfig) -> dict[str, Tensor]:
    """Every tensor of a file with all its parts, on the meta device."""
    backend = Backend(device="meta")
    with torch.device("meta"):
        vae = Autoencoder(*SD_VAE)
    networks = {UNET: VideoUNet(model.unet, backend), APPEARNET: AppearNet(model.unet, backend), VAE: vae}
    named = {f"{section}.{key}": t for section, n in networks.items() for key, t in n.state_dict().items()}
    return named | {f"{TEXT_ENCODER}.all": torch.empty(TEXT_NUMBERS, device="meta")}


def write_empty(model: ModelConfig, path: Path) -> None:
    """A file of such tensors in float16, all of whose numbers are a hole in it."""
    header: dict[str, object] = {"__metadata__": Header(Kind.VIDEO, model).to_metadata()}
    end = 0
    for key, tensor in outline(model).items():
        begin, end = end, end + 2 * tensor.numel()
        header[key] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def told(recipe: RecipeConfig) -> str:
    """As the configuration has it, but for what is the default."""
    plain = RecipeConfig().to_dict()
    said = {name: value for name, value in recipe.to_dict().items() if value != plain[name]}
    return ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in said.items()) or "as it is"


def table() -> str:
    """Markdown, in GB."""
    columns = ("weights", "moments", "average", "coders", "working", "total")
    lines = [f"| model | [recipe] | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
    with tempfile.TemporaryDirectory() as folder:
        for row in rows():
            path = Path(folder) / f"{row.model.name}.safetensors"
            if not path.exists():
                write_empty(row.model, path)
            config = TrainConfig(Kind.VIDEO, "out", start_from=str(path), batch=1, recipe=row.recipe)
            found = step_memory(replace(config, clip=row.model.clip)).to_dict()
            figures = " | ".join(f"{found[column] / GB:.1f}" for column in columns)
            lines.append(f"| {row.title} | {told(row.recipe)} | {figures} |")
    return "\n".join(lines)


def main(page: Path = PAGE) -> None:
    """Put the table into the page anew."""
    made, text = table(), page.read_text(encoding="utf-8")
    page.write_text(TABLE.sub(lambda _: made + "\n", text), encoding="utf-8")
    sys.stdout.write(made + "\n")


if __name__ == "__main__":
    main()
