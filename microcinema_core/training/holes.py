"""The fill stage of Pocket: single pictures with a hole, from latents of crops that are made once."""

from __future__ import annotations

from pathlib import Path

from ..config import Kind
from ..errors import ConfigError
from ..worlds.pocket.pool import PICTURES, Pool, Split
from .coders import cache_of, load_coders
from .config import TrainConfig
from .data.batches import ClipBatch
from .data.holes import HoleBatches, StoredHoles
from .denoising import Denoising
from .pocket import DenoisingThere
from .reports.holes import HolesFilled
from .stage import Stage, all_of
from .trainee import asked_for, begin

KNOWN = 0.1  # what an error counts for where the picture is known: there the guide says it all


def pocket_fill(config: TrainConfig) -> Stage[ClipBatch]:
    """What is known of a picture to all of it; from no weights at all, or from a file to go on from.

    Raises ConfigError for a preset that does not fill and for crops that its latents cannot have.
    """
    coders = load_coders(config)
    model, data = asked_for(config, coders.config), config.data
    if not model.unet.fills:
        raise ConfigError(
            f"train: a model of preset {config.preset} fills nothing, so that it learns from no pictures; take preset "
            "pocket_fill, or leave `pictures` out of [data]"
        )
    if Path(data.pictures).name != PICTURES:
        raise ConfigError(
            f"train: data.pictures must be a folder {PICTURES!r} beside one of cut-outs, got {data.pictures!r}; make "
            "both by python -m studies.pocket.pictures"
        )
    if data.crop % model.latent.downscale:
        raise ConfigError(f"train: data.crop must be a multiple of {model.latent.downscale}, got {data.crop}")
    trainee = begin(Kind.IMAGE, config, model, coders)
    pools = [Pool.of(Path(data.pictures).parent, split) for split in (Split.TRAIN, Split.SELECT)]
    bf16 = config.precision == "bf16"
    stored = StoredHoles.of(pools[0], coders, cache_of(config), data.clips, data.crop, data.seed, bf16=bf16)
    return Stage(
        model=trainee.networks,
        source=HoleBatches(stored, config.batch, model.unet.cross_attention_dim),
        loss=DenoisingThere(Denoising(model.diffusion, coders.text, towards_noise=config.towards_noise), known=KNOWN),
        report=HolesFilled(trainee, pools[1], config.reported),
        export=trainee.save,
        groups=all_of(trainee.networks),
    )
