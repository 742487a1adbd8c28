"""What a training run is told: one TOML file, one frozen dataclass."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from ..config import ClipConfig, Config, Injection, Kind
from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class OptimiserConfig(Config):
    lr: float = 1e-3
    # The paper trains spatial layers at a tenth of the temporal ones' rate. 0: they stay, and need no memory to learn.
    spatial_lr_scale: float = 1.0
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    warmup: int = 200
    final_lr: float = 0.05  # of lr, reached along a half cosine
    clip_norm: float = 1.0
    ema: float = 0.999

    def __post_init__(self) -> None:
        if not (
            self.lr > 0 and 0 <= self.ema < 1 and self.clip_norm > 0 and min(self.warmup, self.spatial_lr_scale) >= 0
        ):
            raise ConfigError(
                "optimiser: lr and clip_norm must be positive, warmup and spatial_lr_scale not negative, ema in 0..1"
            )


@dataclass(frozen=True, slots=True)
class DataConfig(Config):
    clips: int = 4000  # clips whose latents are computed once and kept
    seed: int = 0  # of those clips, so that runs with other seeds share them
    crop: int = 64  # autoencoder: crops of whole frames
    other_keyframes: float = 0.3  # share of clips whose keyframe is not the centre frame
    other_rates: tuple[float, ...] = ()  # video: frame rates beside the model's own, so that frame time has a meaning
    other_rate_clips: int = 1000  # at each of them
    other_rate_share: float = 0.3  # of clips at one of them
    hard_motions: tuple[str, ...] = ()  # video: motions that are drawn more often
    hard_share: float = 0.5  # of clips drawn among these alone
    no_text: float = 0.1  # share of null prompts, for classifier-free guidance
    first_pass_share: float = 0.5  # tsr: of segments of the first pass, which is the harder one
    later_pass_clips: int = 0  # tsr: clips for the passes after the first, where fewer do; 0: as many

    def __post_init__(self) -> None:
        for name in ("other_keyframes", "other_rate_share", "hard_share", "no_text", "first_pass_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"data: {name} must be between 0 and 1")
        if min(self.clips, self.crop, self.other_rate_clips, *self.other_rates) <= 0:
            raise ConfigError("data: clips, crop, other_rate_clips and other_rates must be positive")


@dataclass(frozen=True, slots=True)
class TrainConfig(Config):
    """One stage of training. Paths are relative to the working directory."""

    stage: Kind
    out: str
    preset: str = "toybox"
    steps: int = 1000
    batch: int = 8
    seed: int = 0
    precision: str = "auto"  # auto, fp32 or bf16; auto takes bf16 where the processor has it
    compile: bool = False
    autoencoder: str = ""
    text_encoder: str = ""
    image: str = ""  # the image stage's file, from which the video model is inflated
    # A file of the same kind to go on from, with a new schedule. Where neither autoencoder nor text encoder is named,
    # its own are taken, and its configuration in the place of the preset's: so with the files that `inflate` makes.
    start_from: str = ""
    videos: str = ""  # video: a folder of videos, each with NAME.txt beside it, in the place of Toybox
    clip: ClipConfig | None = None  # frames, rate and size to train at; None: the model's
    injection: Injection | None = None  # None: the preset's
    prior_lambda: float | None = None
    residual: bool = False  # tsr: diffuse what the line between the end frames leaves, scaled to deviation 1
    towards_noise: float = 1.0  # t = 1 - u**k; above 1 draws more of the high noise levels
    checkpoint_every: int = 500
    sample_every: int = 500
    reported: int = 24  # held-out pictures or clips in each report
    keep: int = 2
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.checkpoint_every, self.sample_every, self.reported, self.keep) < 1:
            raise ConfigError(
                "train: steps, batch, checkpoint_every, sample_every, reported and keep must be at least 1"
            )
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ConfigError(f"train: precision {self.precision!r} is none of auto, fp32, bf16")

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read a TOML file. Raises ConfigError that names the file and the key."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        return cls.from_dict(data, str(path))
