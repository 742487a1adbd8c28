"""What a training run is told: one TOML file, one frozen dataclass."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from ..config import ClipConfig, Injection, Kind
from ..errors import ConfigError
from ..files import read_text
from ..shot.dials import Dial, Settings
from ..shot.settings import SEED

MAX_FILE = 20_000  # bytes: the longest of ours has 800, and a TOML file of 1 MB can take its reader an hour
MANY = 10**9  # steps
STEPS = Dial("Steps between two of them.", 1, MANY)
SHARE = Dial("Of the clips or prompts drawn.", 0, 1)
CLIPS = Dial("Whose latents are computed once and kept.", 1, 10**7)


class Learns(StrEnum):
    """Which part of a diffusion model learns; the others stay as the file gone on from has them."""

    ALL = "all"
    TEMPORAL = "temporal"  # temporal layers and AppearNet: what the image model does not have
    APPEARNET = "appearnet"  # and the gates of its injection
    LORA = "lora"  # low-rank parts beside temporal layers, in a file of their own; video


class AverageOn(StrEnum):
    """Where the running average of what learns is kept."""

    DEVICE = "device"
    CPU = "cpu"  # taken every few steps
    NONE = "none"  # reports and files are of the weights themselves


class AdamW(StrEnum):
    """Whose AdamW: torch's, or bitsandbytes' with moments of 8 bits."""

    TORCH = "torch"
    EIGHT_BIT = "8bit"


@dataclass(frozen=True, slots=True)
class LoraConfig(Settings):
    """Low-rank parts beside layers of the U-Net, which alone learn."""

    rank: Annotated[int, Dial("Of each part; a layer of fewer channels has as many as these.", 1, 4096)] = 8
    # What the parts make counts alpha / rank times, here and in whatever reads the file.
    alpha: Annotated[float | None, Dial("As LoRA files have it.", 0, 1e6, above=True, unset="the rank")] = None
    # Patterns of layer names, such as "*.attn2.to_k"; empty: all layers of the temporal ones.
    layers: tuple[str, ...] = ()
    words: str = ""  # that ask for the motion, of the captions: `inspect` tells them, `animate` misses them


@dataclass(frozen=True, slots=True)
class RecipeConfig(Settings):
    """What learns, and what is done to make a step fit a card; `microcinema train --memory` says what it takes.

    In bf16, what does not learn is kept in bf16, without gradients and average; the file gets it as it was.
    """

    learns: Learns = Learns.ALL
    average: AverageOn = AverageOn.DEVICE
    adamw: AdamW = AdamW.TORCH
    # Activations are computed a second time on the way back, in the place of being kept.
    gradient_checkpointing: bool = False
    # Of `batch` each, shared among the processes: their gradients together make one step.
    micro_batches: Annotated[int, Dial("Of each step.", 1, 65_536)] = 1
    # Among the processes, each of which keeps a share of weights, gradients, moments and average (FSDP2).
    shard: bool = False
    # Text encoder and autoencoder are on the card only while they are at work; sentences are read once and kept.
    coders_on_cpu: bool = False
    lora: LoraConfig = field(default_factory=LoraConfig)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.learns is not Learns.LORA and self.lora != LoraConfig():
            raise ConfigError('[recipe.lora] goes with [recipe] learns = "lora"; leave it out, or say that')
        if self.shard and self.adamw is AdamW.EIGHT_BIT:
            raise ConfigError('[recipe] shard: moments of 8 bits cannot be shared; leave out adamw = "8bit"')


@dataclass(frozen=True, slots=True)
class OptimiserConfig(Settings):
    """AdamW, warmed up, its rate falling along a half cosine."""

    lr: Annotated[float, Dial("Of temporal layers.", 0, 10, above=True)] = 1e-3
    # The paper trains spatial layers at a tenth of the temporal ones' rate.
    spatial_lr_scale: Annotated[float, Dial("Rate of spatial layers, as a share of lr.", 0, 1000)] = 1.0
    weight_decay: Annotated[float, Dial("Of AdamW.", 0, 10)] = 0.01
    beta1: Annotated[float, Dial("Of AdamW.", 0, 0.999999)] = 0.9
    beta2: Annotated[float, Dial("Of AdamW.", 0, 0.999999)] = 0.99
    warmup: Annotated[int, Dial("Steps until lr is reached.", 0, MANY)] = 200
    final_lr: Annotated[float, Dial("Of lr, reached at the end.", 0, 1)] = 0.05
    clip_norm: Annotated[float, Dial("Of all gradients together.", 0, 1e6, above=True)] = 1.0
    ema: Annotated[float, Dial("What the running average of the weights keeps at a step.", 0, 0.999999)] = 0.999

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.spatial_lr_scale == 0:
            raise ConfigError('spatial_lr_scale = 0 would learn nothing there; say [recipe] learns = "temporal"')


@dataclass(frozen=True, slots=True)
class DataConfig(Settings):
    """What is drawn of clips and prompts."""

    clips: Annotated[int, CLIPS] = 4000  # of videos of one's own, as many of each and so many at least
    workers: Annotated[int, Dial("Videos or pictures decoded at once, by each process.", 1, 256)] = 4
    seed: Annotated[int, SEED] = 0  # of those clips, so that runs with other seeds share them
    crop: Annotated[int, Dial("autoencoder, rendered clips: crops of whole frames, in pixels.", 8, 4096)] = 64
    singles: Annotated[float, SHARE] = 0.25  # rendered: of batches of single frames, to learn filling alone
    # autoencoder, in the place of Toybox; image, of a model that fills, with cut-outs in ../cut-outs: a folder with
    # pictures in train/, to learn from, and in select/, to report on
    pictures: str = ""
    other_keyframes: Annotated[float, SHARE] = 0.3  # of clips whose keyframe is not the centre frame
    # Of batches without their keyframes, for a model of text alone; lambda has to be 0.
    no_keyframe: Annotated[float, SHARE] = 0.0
    other_rates: tuple[float, ...] = ()  # video: frame rates beside the model's own, so that frame time has a meaning
    other_rate_clips: Annotated[int, CLIPS] = 1000  # at each of them
    other_rate_share: Annotated[float, SHARE] = 0.3  # of clips at one of them
    hard_motions: tuple[str, ...] = ()  # video: motions that are drawn more often
    hard_share: Annotated[float, SHARE] = 0.5  # of clips drawn among these alone
    no_text: Annotated[float, SHARE] = 0.1  # of null prompts, for classifier-free guidance
    first_pass_share: Annotated[float, SHARE] = 0.5  # tsr: of segments of the first pass, which is the harder one
    # tsr: clips for the passes after the first, where fewer do; 0: as many
    later_pass_clips: Annotated[int, Dial("Clips for the passes after the first.", 0, 10**7)] = 0

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        for rate in self.other_rates:
            ClipConfig(fps=rate)  # raises for what is no rate


@dataclass(frozen=True, slots=True)
class TrainConfig(Settings):
    """One stage of training. Paths are relative to the working directory."""

    stage: Kind
    out: str
    preset: str = "toybox"
    steps: Annotated[int, Dial("Of the whole run.", 1, MANY)] = 1000
    batch: Annotated[int, Dial("Clips, segments or crops in a step.", 1, 65_536)] = 8
    seed: Annotated[int, SEED] = 0
    precision: str = "auto"  # auto, fp32 or bf16; auto takes bf16 where the processor has it
    compile: bool = False
    autoencoder: str = ""
    text_encoder: str = ""
    image: str = ""  # the image stage's file, from which the video model is inflated
    # A file of the same kind to go on from, with a new schedule; tsr: or a video model's to start from. Where neither
    # autoencoder nor text encoder is named, its own are taken, and its configuration in the place of the preset's: so
    # with the files that `inflate` makes.
    start_from: str = ""
    # video, tsr, in the place of Toybox: a folder of videos, each with NAME.txt beside it, a list of both (.csv or
    # .jsonl), or shards (.tar, or a pattern such as films-{000..012}.tar)
    videos: str = ""
    # video, tsr, in the place of both: a folder of clips of Pocket's world, CLIPS/train to learn from and CLIPS/select;
    # tsr: of segments at the rate of each pass, SEGMENTS/8/train and so on
    rendered: str = ""
    clip: ClipConfig | None = None  # frames, rate and size to train at; None: the model's
    injection: Injection | None = None  # None: the preset's
    prior_lambda: Annotated[float | None, Dial("Eq. 3's lambda.", 0, 1, unset="the preset's")] = None
    residual: bool = False  # tsr: diffuse what the line between the end frames leaves, scaled to deviation 1
    # t = 1 - u**k; above 1 draws more of the high noise levels
    towards_noise: Annotated[float, Dial("The power k.", 0.01, 100)] = 1.0
    checkpoint_every: Annotated[int, STEPS] = 500
    sample_every: Annotated[int, STEPS] = 500
    reported: Annotated[int, Dial("Held-out pictures or clips in each report.", 1, 100_000)] = 24
    keep: Annotated[int, Dial("Checkpoints that stay.", 1, MANY)] = 2
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    data: DataConfig = field(default_factory=DataConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.recipe.learns is not Learns.ALL and self.stage not in (Kind.VIDEO, Kind.TSR):
            raise ConfigError(f"[recipe] learns: the {self.stage} stage learns whole; leave it out")
        if self.recipe.learns is Learns.LORA and (self.stage is not Kind.VIDEO or not self.start_from):
            raise ConfigError('[recipe] learns = "lora": is of a video model, stage = "video"; name it in `start_from`')
        if self.recipe.shard and self.stage not in (Kind.IMAGE, Kind.VIDEO, Kind.TSR):
            raise ConfigError(f"[recipe] shard: the {self.stage} stage is small and learns whole; leave it out")
        if self.recipe.shard and 0 < self.data.no_keyframe < 1:
            raise ConfigError("[recipe] shard: all processes run the same layers; set no_keyframe = 0 or 1")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ConfigError(f"precision {self.precision!r} is none of auto, fp32, bf16")

    @classmethod
    def load(cls, path: str | Path) -> TrainConfig:
        """Read a TOML file. Raises ConfigError that names the file and the key."""
        path = Path(path)
        text = read_text(path, "a stage's configuration (.toml)", MAX_FILE, ConfigError)
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
            raise ConfigError(f"{path}: is not TOML ({error}); mend it there") from error
        return cls.from_dict(data, str(path))
