"""What a full-size training step takes of a card: `python -m studies.recipes` writes the table of docs/training.md.

Computed from files of Stable Diffusion 2.1's and ModelScope's sizes that hold no numbers and take no room on the disk.
`python -m studies.recipes --step` takes two steps of the smallest recipe on this machine's processor and compares: it
needs 14 GB of memory and a few minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from microcinema_core.backend import SHORT, Backend, sdpa
from microcinema_core.checkpoint.format import APPEARNET, TEXT_ENCODER, UNET, VAE, Header
from microcinema_core.config import MODELSCOPE, SD21, Kind, ModelConfig
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.unet import VideoUNet
from microcinema_core.standalone.autoencoder_kl import Autoencoder
from microcinema_core.training.config import AverageOn, Learns, RecipeConfig, TrainConfig
from microcinema_core.training.loop import Run
from microcinema_core.training.memory import GB, StepMemory, step_memory

from .gpu_check.full_step import stage
from .journal import ROOT
from .memory import SD_VAE
from .speed.gauge import peak_bytes
from .speed.given import Place

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


def as_on_a_cpu(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention [B, N, H*D] on the meta device, by the tensors that it makes on a CPU."""
    if k.shape[1] > SHORT:
        return sdpa(q, k, v, heads)
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def computed_on_a_cpu(config: TrainConfig) -> StepMemory:
    """Of a step there, whose norms stay in bfloat16."""
    return step_memory(config, Backend(device="meta", attention=as_on_a_cpu), float32_norms=False)


def taken_on_a_cpu(recipe: RecipeConfig) -> str:
    """Two real steps of the full-size networks with random weights; of the second the allocator's record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sd21.safetensors"
        write_empty(SD21, path)
        config = TrainConfig(
            Kind.VIDEO, folder, start_from=str(path), batch=1, precision="bf16", clip=SD21.clip, recipe=recipe
        )
        accelerator = Accelerator(cpu=True, mixed_precision="bf16")
        run = Run(config, stage(config, SD21.unet, accelerator.device), accelerator)
        losses = [float(run.take_step().losses["denoising"])]
        begin = time.perf_counter()
        recorded = peak_bytes(
            lambda: losses.append(float(run.take_step().losses["denoising"])), Place(accelerator.device, torch.float32)
        )
        spent, computed = time.perf_counter() - begin, computed_on_a_cpu(config).working
    return (
        f"{told(recipe)}: losses {losses[0]:.3f}, {losses[1]:.3f}; a step {spent:.0f} s; gradients and activations "
        f"{recorded / GB:.2f} GB by the allocator, {computed / GB:.2f} computed ({computed / recorded:.3f})\n"
    )


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Put the table into the page anew, or take a step."""
    parser = argparse.ArgumentParser(prog="python -m studies.recipes", description=__doc__)
    parser.add_argument("--step", action="store_true", help="a real step of the smallest recipe")
    if parser.parse_args(arguments).step:
        sys.stdout.write(taken_on_a_cpu(replace(LEAN, learns=Learns.APPEARNET)))
        return
    made, text = table(), page.read_text(encoding="utf-8")
    page.write_text(TABLE.sub(lambda _: made + "\n", text), encoding="utf-8")
    sys.stdout.write(made + "\n")


if __name__ == "__main__":
    main()
