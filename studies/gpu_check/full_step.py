"""Training steps at full size: the loop's own step, in the precision of configs/sd21-video.toml, on random weights."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from microcinema_core.config import SD21_BASE, ClipConfig, UNetConfig
from microcinema_core.models.guide import Guide
from microcinema_core.shot.timing import frame_times
from microcinema_core.training.config import TrainConfig
from microcinema_core.training.data.batches import ClipBatch
from microcinema_core.training.denoising import Denoising
from microcinema_core.training.loop import Run
from microcinema_core.training.recipe import learning_groups
from microcinema_core.training.stage import Draw, Findings, Stage
from microcinema_core.training.trainee import DiffusionNetworks

from ..journal import ROOT
from ..speed.given import TEXT_LENGTH, Place, random_network
from .part import Figure, Gate, Task
from .sizes import network, peak_mib

CONFIG = ROOT / "configs" / "sd21-video.toml"
STEPS = 3
TINY_CLIP = ClipConfig(frames=3, fps=2.0, width=64, height=64)


class RandomTexts:
    """Embeddings [B, L, D] of any sentences."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.width, self.device = width, device

    def encode(self, texts: Sequence[str]) -> Tensor:
        """[B, L, D], unit Gaussian."""
        return torch.randn(len(texts), TEXT_LENGTH, self.width, device=self.device)


def stage(config: TrainConfig, unet: UNetConfig, device: torch.device) -> Stage[ClipBatch]:
    """Both networks with random weights, learning from noise in the place of clips."""
    clip = config.clip or SD21_BASE.clip
    model = networks(unet, device)
    texts: Any = RandomTexts(unet.cross_attention_dim, device)

    def source(draw: Draw) -> ClipBatch:
        shape = (config.batch, unet.in_channels, clip.frames, clip.height // 8, clip.width // 8)
        latents, key = torch.randn(shape, generator=draw.generator), clip.frames // 2
        times = torch.tensor([frame_times(clip.frames, clip.fps, key)] * config.batch)
        return ClipBatch(latents, [""] * config.batch, Guide(latents[:, :, key : key + 1]), times)

    return Stage(
        model=model,
        source=source,
        loss=Denoising(SD21_BASE.diffusion, texts, config.data.no_text, config.towards_noise),
        report=no_report,
        export=no_export,
        groups=learning_groups(model, config),
    )


def networks(unet: UNetConfig, device: torch.device) -> DiffusionNetworks:
    """As they are trained: in float32, with gradients, no layer idle."""
    build = lambda: DiffusionNetworks(unet, TEXT_LENGTH)  # noqa: E731
    made: DiffusionNetworks = random_network(build, Place(device, torch.float32))
    return made.train().requires_grad_(True)


def no_report() -> Findings:
    """Nothing is held out here."""
    return Findings({})


def no_export(path: Path, provenance: dict[str, Any]) -> None:
    """Weights that nobody wants to keep."""


def run(task: Task, gate: Gate) -> Iterator[Figure]:
    """Seconds of a step and the peak of memory."""
    config = TrainConfig.load(CONFIG)
    config = replace(config, out=str(task.folder / "run"), start_from="", videos="")
    if task.tiny:
        config = replace(config, clip=TINY_CLIP)
    if not task.cuda:
        config = replace(config, precision="fp32")
    gate()
    mixed = "bf16" if config.precision == "bf16" else "no"
    accelerator = Accelerator(cpu=not task.cuda, mixed_precision=mixed)
    trained = Run(config, stage(config, network(task), accelerator.device), accelerator)
    spent, losses = [], []
    for _ in range(STEPS):
        begin = time.perf_counter()
        taken = trained.take_step()
        losses += [float(loss.detach()) for loss in taken.losses.values()]  # waits for the device
        spent.append(time.perf_counter() - begin)
    weights = sum(p.numel() for p in trained.stage.model.parameters()) / 1e6
    yield Figure("parameters that learn", weights, "million")
    yield Figure("losses that are no numbers", sum(loss != loss for loss in losses), limit=0)
    yield Figure(f"a step, {config.precision}", min(spent), "s")
    yield Figure("peak of memory", peak_mib(task), "MiB")
