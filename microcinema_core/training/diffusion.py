"""The image and video stages, put together: denoising frames and clips of Toybox, or of one's own videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from ..config import Kind, image_stage
from ..errors import ConfigError
from ..models.guide import Guide
from ..shot.segments import Segments
from ..worlds.toybox.world import Motion
from .coders import Coders, cache_of, load_coders
from .config import Learns, TrainConfig
from .data.batches import ClipBatch, around_centres, between_ends, without_guide
from .data.clips import Clip, at_rates
from .data.sources import FrameBatches, KeyframeBatches
from .data.toybox import Toybox, ToyboxStills
from .denoising import Denoising
from .lora import LoraExport
from .own_videos import own_videos
from .recipe import learning_groups
from .reports.films import FilmClipsMade
from .reports.toybox import ToyboxClipsMade, ToyboxPictures, select_triples, true_clips
from .reports.validation import HeldOutLoss, in_batches
from .stage import Report, Stage, all_of
from .trainee import Trainee, asked_for, begin


def image(config: TrainConfig) -> Stage[ClipBatch]:
    """Text to single frames. Raises ConfigError for a model that fills, which learns from pictures."""
    coders = load_coders(config)
    model = image_stage(asked_for(config, coders.config))
    if model.unet.fills:
        raise ConfigError(
            f"train: a model of preset {config.preset} learns from pictures; name them in [data] pictures"
        )
    trainee = begin(Kind.IMAGE, config, model, coders)
    scenes = toybox(config, coders).scenes(trainee.config.clip, config.data.clips)
    return Stage(
        model=trainee.networks,
        source=FrameBatches(ToyboxStills(scenes), config.batch),
        loss=denoising(trainee, config),
        report=ToyboxPictures(trainee, config.reported),
        export=trainee.save,
        groups=all_of(trainee.networks),
        validation=held_out_loss(trainee, config, partial(_toybox_clips, trainee, config), without_guide),
    )


def video(config: TrainConfig) -> Stage[ClipBatch]:
    """Keyframe and text to clips; inflated from the image stage where no file is gone on from."""
    coders = load_coders(config)
    trainee = begin(Kind.VIDEO, config, asked_for(config, coders.config), coders)
    loss, data, clip, recipe = denoising(trainee, config), config.data, trainee.config.clip, config.recipe
    if data.no_keyframe and trainee.config.diffusion.prior_lambda:
        raise ConfigError("train: no_keyframe leaves nothing that lambda could be of; set prior_lambda = 0")
    if config.videos:
        rated = [replace(clip, fps=rate) for rate in (clip.fps, *data.other_rates)]
        films = own_videos(config, coders, cache_of(config), rated)
        clips, shown = at_rates(films.material, clip, data), films.reported.clips(clip, config.reported)
        report: Report = FilmClipsMade(trainee, shown)
        true: Callable[[], list[Clip]] = lambda: [shown.clip(i) for i in range(len(shown))]  # noqa: E731
    else:
        clips = at_rates(toybox(config, coders), clip, data)
        report, true = ToyboxClipsMade(trainee, config.reported), partial(_toybox_clips, trainee, config)
    return Stage(
        model=trainee.networks,
        source=KeyframeBatches(clips, config.batch, data.other_keyframes, data.no_keyframe),
        loss=loss,
        report=report,
        export=LoraExport(trainee, recipe.lora) if recipe.learns is Learns.LORA else trainee.save,
        groups=learning_groups(trainee.networks, config),
        validation=held_out_loss(trainee, config, true, around_centres),
    )


def held_out_loss(
    trainee: Trainee,
    config: TrainConfig,
    clips: Callable[[], Sequence[Clip]],
    batch: Callable[[Sequence[Clip]], ClipBatch],
) -> HeldOutLoss:
    """Of these clips, in batches such as training's."""
    loss = denoising(trainee, config)
    return HeldOutLoss(trainee.networks, loss, lambda: in_batches(clips(), config.batch, batch))


def held_out_segments(
    trainee: Trainee,
    config: TrainConfig,
    rates: Sequence[float],
    truth: Callable[[float], Tensor],
    guide: Callable[[float], Guide | None],
) -> HeldOutLoss:
    """Of segments [N, C, T, h, w] at each pass's rate, and their guides, told nothing of what they show."""
    segments = Segments.of(trainee.config)

    def clips() -> list[Clip]:
        made = []
        for rate in rates:
            whole = guide(rate)
            for number, one in enumerate(truth(rate)):
                own = None if whole is None else whole.part(slice(number, number + 1)).to("cpu")
                made.append(Clip(one.transpose(0, 1).cpu(), "", rate, own))
        return made

    def batch(some: Sequence[Clip]) -> ClipBatch:
        return between_ends(some, [rates.index(clip.fps) for clip in some], segments)

    return held_out_loss(trainee, config, clips, batch)


def _toybox_clips(trainee: Trainee, config: TrainConfig) -> list[Clip]:
    return true_clips(trainee, select_triples(config.reported))


def denoising(trainee: Trainee, config: TrainConfig) -> Denoising:
    """The loss with the settings of model and run."""
    return Denoising(trainee.config.diffusion, trainee.coders.text, config.data.no_text, config.towards_noise)


def toybox(config: TrainConfig, coders: Coders) -> Toybox:
    """Raises ConfigError for motions that it does not have."""
    data = config.data
    if unknown := set(data.hard_motions) - set(Motion):
        raise ConfigError(f"train: hard_motions: {min(unknown)!r} is none of {', '.join(Motion)}")
    bf16 = config.precision == "bf16"
    return Toybox(coders, cache_of(config), data.seed, bf16=bf16, hard=data.hard_motions, hard_share=data.hard_share)
