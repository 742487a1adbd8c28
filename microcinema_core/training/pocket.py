"""The video stage of Pocket: what the camera uncovers is filled, and what words ask for is painted, around a guide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import PartialState
from torch import Tensor

from ..checkpoint.format import Header, read_header
from ..config import POCKET, Kind
from ..diffusion.prediction import Network
from ..diffusion.schedule import make_schedule
from .coders import Coders, load_coders
from .config import TrainConfig
from .data.batches import ClipBatch
from .data.pictures import SELECT, TRAIN
from .data.pocket import PocketBatches, StoredPocket
from .denoising import Denoising
from .recipe import learning_groups
from .reports.pocket import PocketClipsMade
from .stage import Draw, Stage
from .trainee import Trainee, asked_for, begin


@dataclass(frozen=True, slots=True)
class DenoisingThere:
    """The loss of every diffusion stage, its noise drawn where the batch is: a processor would be too slow for it.

    known: what an error counts for where the guide says what is there, as a share of what it counts for elsewhere.
    """

    denoising: Denoising
    known: float = 1.0

    def __call__(self, model: Network, batch: ClipBatch, draw: Draw) -> dict[str, Tensor]:
        latents, loss = batch.latents, self.denoising
        generator = torch.Generator(latents.device).manual_seed(draw.generator.initial_seed())
        u = torch.rand(len(latents), generator=generator, device=latents.device)
        t = make_schedule(loss.diffusion.schedule).sample_time(u, loss.towards_noise)
        eps_n = torch.randn(latents.shape, generator=generator, device=latents.device)
        weight = None
        if self.known < 1 and batch.guide is not None and batch.guide.known is not None:
            weight = 1 - (1 - self.known) * batch.guide.known
        return {"denoising": loss.error(model, batch, t, eps_n, weight)}


def pocket_video(config: TrainConfig) -> Stage[ClipBatch]:
    """Guides and text to clips, from clips of Pocket's world; from no weights at all, or from a file to go on from."""
    coders = load_coders(config)
    trainee = begin(Kind.VIDEO, config, asked_for(config, coders.config), coders)
    _to_device(coders)
    clip, data, folder = trainee.config.clip, config.data, Path(config.rendered)
    stored = StoredPocket.of(folder / TRAIN, coders, clip, data.clips)
    return Stage(
        model=trainee.networks,
        source=PocketBatches(stored, config.batch, data.crop // coders.codec.downscale, data.singles, data.no_text),
        loss=DenoisingThere(Denoising(trainee.config.diffusion, coders.text, towards_noise=config.towards_noise)),
        report=PocketClipsMade(trainee, folder / SELECT, config.reported),
        export=trainee.save,
        groups=learning_groups(trainee.networks, config),
    )


def whole_model(path: Path, device: torch.device, kind: Kind = Kind.VIDEO) -> Trainee:
    """A finished model on a device, for reports alone, with the coders that it was trained on.

    They are where it says that they were, or else the files beside it that it names. Raises CheckpointError for files
    that do not fit each other.
    """
    PartialState(cpu=device.type == "cpu")
    header = read_header(path)
    autoencoder, text_encoder = (_where(header, key) for key in ("autoencoder", "text_encoder"))
    config = TrainConfig(kind, out="", preset=POCKET.name, start_from=str(path))
    if autoencoder and text_encoder:
        config = replace(config, autoencoder=autoencoder, text_encoder=text_encoder)
    trainee = begin(kind, config, header.config, load_coders(config))
    _to_device(trainee.coders)
    trainee.networks.to(device).eval()
    return trainee


def _where(header: Header, key: str) -> str:
    """A file of an earlier stage, if it is still there; else nothing."""
    found = header.provenance.get("config", {}).get(key, "")
    return found if found and Path(found).is_file() else ""


def _to_device(coders: Coders) -> None:
    """In float16 where a device has it: half of the time, and what is kept is float16 anyway."""
    if coders.device.type != "cpu":
        coders.codec.to_(coders.device, torch.float16)
        torch.backends.cudnn.benchmark = True  # shapes are few, here and in training
