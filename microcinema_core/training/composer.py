"""The composer stage: the camera's own detail into what a model made, learnt through a frozen autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn

from ..checkpoint.format import COMPOSER, Checkpoint, Header, read_header, save_checkpoint_file
from ..checkpoint.load import load_composer
from ..config import Kind, ModelConfig, preset
from ..errors import ConfigError
from ..media import to_uint8
from ..models.composer import Composer
from ..models.zero_start import zero_start_
from ..shot.composing import plain
from ..standalone.components import load_codec
from .coders import cache_of
from .config import TrainConfig
from .data.composer import NOISY, SIDE, ComposerCrops, WindowMaker, Windows
from .data.pictures import SELECT, TRAIN
from .earlier import earlier_file, start_file, with_history
from .stage import Draw, Findings, Stage, all_of

FLOOR, EDGE_FLOOR = 1e-5, 1e-5  # of squared errors, pixels 0..1: 50 dB, beyond which nothing is to be won
EDGES = 0.25  # of the loss, what changes from a pixel to the next
AT_ONCE, SHOWN = 8, 8  # windows


@dataclass(frozen=True, slots=True)
class Decibels:
    """The logarithm of each window's squared error, so that one of 40 dB counts as much as one of 20."""

    def __call__(self, model: Callable[..., Any], batch: Windows, draw: Draw) -> dict[str, Tensor]:
        made = model(batch.made, batch.guide, batch.drawn, batch.known)
        error = made.float() - batch.truth
        across, down = error.diff(dim=-1), error.diff(dim=-2)
        edges = _mean_square(across) + _mean_square(down)
        return {
            "squared": torch.log10(_mean_square(error) + FLOOR).mean(),
            "edges": EDGES * torch.log10(edges + EDGE_FLOOR).mean(),
        }


def _mean_square(error: Tensor) -> Tensor:
    """[N] of [N, C, H, W]."""
    return error.square().flatten(1).mean(dim=1)


def decibels(made: Tensor, truth: Tensor) -> Tensor:
    """[N] of two [N, 3, H, W], pixels 0..1; 50 at most, beyond which a difference is no more seen."""
    return -10 * torch.log10(_mean_square(made.clamp(0, 1) - truth).clamp(min=FLOOR))


@dataclass(frozen=True, slots=True)
class ComposedWindows:
    """The report: held-out windows beside the plain form, and some of them to look at."""

    model: nn.Module
    windows: Windows
    device: torch.device

    def __call__(self) -> Findings:
        composed, plainly, guides, truths = [], [], [], []
        for which in torch.arange(len(self.windows)).split(AT_ONCE):
            part = self.windows.chosen(which).as_pixels().to(self.device)
            given = (part.made, part.guide, part.drawn, part.known)
            composed.append(self.model(*given).float())
            plainly.append(plain(*given))
            guides.append(part.drawn)
            truths.append(part.truth)
        truth = torch.cat(truths)
        ours, plains, drawn = (decibels(torch.cat(some), truth) for some in (composed, plainly, guides))
        figures = {
            "db": ours.mean().item(),
            "db_plain": plains.mean().item(),
            "db_guide": drawn.mean().item(),
            "better": (ours > plains).float().mean().item(),
            "lowest_gain": (ours - plains).min().item(),
        }
        rows = [to_uint8(torch.cat(some)[:SHOWN].clamp(0, 1)) for some in (truths, guides, plainly, composed)]
        return Findings(figures, rows)


@dataclass(frozen=True, slots=True)
class ComposerFile:
    """What is exported. earlier: the header of the file gone on from."""

    network: Composer
    config: ModelConfig
    autoencoder: Path
    earlier: Header | None

    def __call__(self, path: Path, provenance: dict[str, Any]) -> None:
        told = {**provenance, "autoencoder": read_header(self.autoencoder).provenance}
        header = with_history(Header(Kind.COMPOSER, self.config, provenance=told), self.earlier)
        save_checkpoint_file(path, Checkpoint(header, {COMPOSER: self.network.state_dict()}))


def composer(config: TrainConfig) -> Stage[Windows]:
    """Windows of rendered clips, with and without what was asked, to the frame with it.

    Raises ConfigError for a preset without a composer, for crops that are no multiple of eight or larger than a window
    and for a file to start from whose composer is of other sizes.
    """
    model = preset(config.preset)
    if model.composer is None:
        raise ConfigError(f"train: preset {config.preset} has no composer; take pocket")
    if config.data.crop % 8 or config.data.crop > SIDE:
        raise ConfigError(f"train: data.crop must be a multiple of 8 and at most {SIDE}, got {config.data.crop}")
    if not config.rendered:
        raise ConfigError("train: stage composer learns from rendered clips; name their folder in `rendered`")
    network, earlier = _begun(config, model)
    path = earlier_file(config.autoencoder, "autoencoder", Kind.AUTOENCODER)
    device, folder = PartialState().device, Path(config.rendered)
    cache, half = cache_of(config), config.precision == "bf16"
    train, select = (
        WindowMaker.of(load_codec(path), device, cache, noisy=noisy, half=half).folder(folder / split)
        for split, noisy in ((TRAIN, NOISY), (SELECT, 0.0))
    )
    return Stage(
        model=network,
        source=ComposerCrops(train, config.batch, config.data.crop),
        loss=Decibels(),
        report=ComposedWindows(network, select, device),
        export=ComposerFile(network, model, path, earlier),
        groups=all_of(network),
    )


def _begun(config: TrainConfig, model: ModelConfig) -> tuple[Composer, Header | None]:
    """The network of `start_from`, and that file's header; or one that is the plain form."""
    assert model.composer is not None
    if not config.start_from:
        network = Composer(model.composer)
        zero_start_(network)
        return network, None
    path = start_file(config)
    earlier = read_header(path)
    if earlier.config.composer != model.composer:
        raise ConfigError(f"{path}: holds a composer of other sizes than preset {config.preset}'s; name another")
    return load_composer(path).train(), earlier
