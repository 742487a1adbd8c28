"""Every default of the project, once: frozen dataclasses and the presets built from them.

Sizes are configuration, not code: the same classes describe SD 2.1, SD 1.5 and the embedded Toybox model.
A configuration travels in a checkpoint's metadata as JSON (`to_dict` / `from_dict`).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, Self

from .errors import ConfigError, MicroCinemaError, shown

TSR_FACTOR = 4  # by which a pass of temporal super-resolution (TSR) raises the frame rate
MAX_SIZE = 65536  # of one dimension of a network
MAX_NUMBER = 1e30  # of any number: far above all that is meant, far below what overflows float32


class Injection(StrEnum):
    """How the keyframe's appearance reaches the main branch (Table 2)."""

    CONCAT = "concat"
    ADD_DECODER = "add_decoder"
    ADD_BOTH = "add_both"
    ADD_BOTH_SPADE = "add_both_spade"


class Positions(StrEnum):
    """Positions of frames in temporal attention."""

    NONE = "none"
    SINUSOIDAL = "sinusoidal"
    ROTARY = "rotary"


class TemporalLayers(StrEnum):
    """Which temporal layers a video U-Net carries, and where."""

    NATIVE = "native"  # Sec. 3.1: after each spatial convolution and each spatial transformer
    MODELSCOPE = "modelscope"  # those of ModelScope's text-to-video models: `models/modelscope.py`


class Prediction(StrEnum):
    """What the network's raw output is."""

    EPS = "eps"
    V = "v"


class ScheduleName(StrEnum):
    """Noise schedules; `diffusion/schedule.py` defines them."""

    SD = "sd"
    SD_ZSNR = "sd_zsnr"
    COSINE = "cosine"


class Kind(StrEnum):
    """What a checkpoint file is. Each is what one stage of training makes, from files of the kinds before it."""

    AUTOENCODER = "autoencoder"
    TEXT_ENCODER = "text_encoder"
    IMAGE = "image"
    VIDEO = "video"
    TSR = "tsr"
    COMPOSER = "composer"

    @property
    def needs_appearance(self) -> bool:
        return self in (Kind.VIDEO, Kind.TSR)

    @property
    def word(self) -> str:
        """What names of files and options call it: NAME-text.safetensors holds a text encoder."""
        return "text" if self is Kind.TEXT_ENCODER else self.value


WHOLE: tuple[Kind, ...] = tuple(kind for kind in Kind if kind is not Kind.COMPOSER)  # of which every model is made


@dataclass(frozen=True, slots=True)
class Config:
    """JSON in and out, with unknown keys, wrong types and bad values refused by name."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "config") -> Self:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{where}: expected an object, got {type(data).__name__}")
        hints = typing.get_type_hints(cls)
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(known))}")
        values = {name: _parse(hints[name], value, f"{where}.{name}") for name, value in data.items()}
        try:
            return cls(**values)
        except (TypeError, MicroCinemaError) as error:
            raise ConfigError(f"{where}: {error}") from error


def _parse(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _parse(next(a for a in args if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {_told(value)}")
        return tuple(_parse(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if isinstance(hint, type) and is_dataclass(hint) and issubclass(hint, Config):
        return hint.from_dict(value, where)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError:
            raise ConfigError(f"{where}: {_told(value)} is none of {', '.join(hint)}") from None
    if hint in (float, int) and type(value) in (int, hint):
        if not abs(value) <= MAX_NUMBER:  # NaN; also integers beyond floats, which no float() takes
            most = "" if value != value else f"; {MAX_NUMBER:g} is the most"
            raise ConfigError(f"{where}: expected a number, got {_told(value)}{most}")
        return hint(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: expected {_NAMES.get(hint, hint)}, got {_told(value)}")
    return value


_NAMES = {float: "a number", int: "int", bool: "bool", str: "str"}


def _told(value: Any) -> str:
    """A value from outside, in a message."""
    try:
        return shown(repr(value))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        return f"{type(value).__name__} beyond all measure ({error})"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class UNetConfig(Config):
    """VideoUNet and AppearNet, which share their building blocks (Sec. 3.1, 3.2). Defaults: SD 2.1."""

    in_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    attention_heads: tuple[int, ...] = (5, 10, 20, 20)
    cross_attention_dim: int = 1024
    linear_projection: bool = True
    norm_groups: int = 32
    norm_over_frames: bool = False  # the paper's "3D" group norm; breaks the equality with the image model
    temporal: bool = True  # False: the image stage, without temporal layers, frame time and appearance
    temporal_layers: TemporalLayers = TemporalLayers.NATIVE
    temporal_head_dim: int = 64
    temporal_positions: Positions = Positions.ROTARY
    frame_time: bool = True
    pooled_text: bool = False  # adds the last text token to the time embedding; not in Stable Diffusion
    timestep_scale: float = 1.0  # 1000 where the schedule's time runs over 0..1
    injection: Injection = Injection.ADD_BOTH_SPADE
    spade_hidden: int = 128
    guide_mask: bool = False  # mode concat: how much of the guide is known is read beside it
    along_guide: bool = False  # with guide_mask, TSR: the line between the ends goes along a guide, read beside it
    fills: bool = False  # image stage: what is known of the picture, and where, is read beside the noisy latents
    reads_text: bool = True  # False: what attends to text elsewhere attends to the picture a second time

    def __post_init__(self) -> None:
        levels = len(self.block_out_channels)
        _require(levels >= 1, "unet: block_out_channels is empty")
        _require(
            len(self.attention_levels) == levels and len(self.attention_heads) == levels,
            f"unet: attention_levels and attention_heads need one entry for each of the {levels} levels",
        )
        sizes = (
            self.in_channels, self.layers_per_block, self.cross_attention_dim, self.norm_groups,
            self.temporal_head_dim, self.spade_hidden, *self.block_out_channels, *self.attention_heads,
        )  # fmt: skip
        _require(all(0 < size <= MAX_SIZE for size in sizes), f"unet: sizes must be between 1 and {MAX_SIZE}")
        for channels, heads in zip(self.block_out_channels, self.attention_heads, strict=True):
            _require(
                channels % self.norm_groups == 0 and channels % heads == 0 and channels % self.temporal_head_dim == 0,
                f"unet: {channels} channels must be a multiple of norm_groups, attention_heads and temporal_head_dim",
            )
        _require(1e-6 <= self.timestep_scale <= 1e6, "unet: timestep_scale must be between 1e-6 and 1e6")
        _require(self.temporal_head_dim % 2 == 0, "unet: temporal_head_dim must be even")
        _require(
            self.injection is Injection.CONCAT or not self.guide_mask, "unet: guide_mask goes with injection concat"
        )
        _require(self.guide_mask or not self.along_guide, "unet: along_guide goes with guide_mask")
        _require(not (self.fills and self.temporal), "unet: fills is of the image stage; temporal must be false")
        _require(self.reads_text or not self.temporal, "unet: without reads_text, temporal must be false")
        _require(
            self.temporal_layers is TemporalLayers.NATIVE or self.temporal_positions is Positions.NONE,
            "unet: temporal_layers modelscope have no positions; temporal_positions must be none",
        )

    @property
    def read_channels(self) -> int:
        """Of the network's input: the noisy latents and, where it fills, what is known and where."""
        return 2 * self.in_channels + 1 if self.fills else self.in_channels

    @property
    def time_embed_dim(self) -> int:
        return 4 * self.block_out_channels[0]


@dataclass(frozen=True, slots=True)
class DiffusionConfig(Config):
    """Schedule, prediction and the Appearance Noise Prior's coefficients (Sec. 3.3).

    Both coefficients multiply what the guide says of a frame, and its `known` where a part of it is unknown.
    """

    schedule: ScheduleName = ScheduleName.SD
    prediction: Prediction = Prediction.EPS
    prior_lambda: float = 0.03  # Eq. 3; belongs to the trained weights
    prior_gamma: float = 0.02  # the default of the user's dial; 0 on a zero-terminal-SNR schedule
    # TSR: the deviation, at each pass, of what is left of a latent without the line between the end frames. Then that
    # remainder over its deviation is what is diffused; empty: the latents themselves.
    residual_std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _require(0 <= self.prior_lambda <= 1, "diffusion: prior_lambda must be between 0 and 1")
        _require(0 <= self.prior_gamma <= 1, "diffusion: prior_gamma must be between 0 and 1")
        _require(all(1e-6 <= s <= 1e6 for s in self.residual_std), "diffusion: residual_std must be positive")


@dataclass(frozen=True, slots=True)
class LatentConfig(Config):
    """From the VAE's latent to the model's: model-space latent = (VAE latent - mean) / std, per channel."""

    downscale: int = 8
    mean: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1 / 0.18215,) * 4

    def __post_init__(self) -> None:
        _require(len(self.mean) == len(self.std) > 0, "latent: mean and std need one entry per channel")
        _require(all(-1e6 <= m <= 1e6 for m in self.mean), "latent: mean must be between -1e6 and 1e6")
        _require(all(1e-6 <= s <= 1e6 for s in self.std), "latent: std must be positive, from 1e-6 to 1e6")
        _require(1 <= self.downscale <= 64, "latent: downscale must be between 1 and 64")


@dataclass(frozen=True, slots=True)
class ClipConfig(Config):
    """The clip a video model was trained for (Sec. 4.1); of a TSR model, a segment at its first pass's output rate."""

    frames: int = 9
    fps: float = 2.0
    width: int = 320
    height: int = 320

    def __post_init__(self) -> None:
        _require(1 <= self.frames <= 4096, "clip: frames must be between 1 and 4096")
        _require(0.01 <= self.fps <= 1000, "clip: fps must be between 0.01 and 1000")
        _require(8 <= self.width <= 16384 and 8 <= self.height <= 16384, "clip: size must be 8 to 16384 pixels")


@dataclass(frozen=True, slots=True)
class VAEConfig(Config):
    """A tiny autoencoder in TAESD's architecture: the class that ComfyUI loads as `taesd_encoder`, `taesd_decoder`."""

    channels: int = 64
    latent_channels: int = 4
    blocks: int = 3

    def __post_init__(self) -> None:
        sizes = (self.channels, self.latent_channels, self.blocks)
        _require(all(0 < size <= 4096 for size in sizes), "vae: sizes must be between 1 and 4096")


@dataclass(frozen=True, slots=True)
class ComposerConfig(Config):
    """The network that puts the camera's own detail back into what a model made."""

    channels: int = 64  # of each block
    deep: int = 96  # of each block of the level below, twice as long
    block: int = 4  # pixels

    def __post_init__(self) -> None:
        _require(all(0 < size <= 4096 for size in (self.channels, self.deep)), "composer: sizes must be 1 to 4096")
        _require(1 <= self.block <= 16, "composer: block must be between 1 and 16")


START_TOKEN, END_TOKEN = "<|startoftext|>", "<|endoftext|>"  # of every CLIP vocabulary


@dataclass(frozen=True, slots=True)
class TextConfig(Config):
    """A CLIP text model with a vocabulary of its own."""

    vocab_size: int = 49408
    width: int = 1024
    layers: int = 23
    heads: int = 16
    max_length: int = 77
    activation: str = "quick_gelu"  # Stable Diffusion 2.x: gelu
    pad_token_id: int | None = None  # None: the end token; Stable Diffusion 2.x: 0

    def __post_init__(self) -> None:
        sizes = (self.vocab_size, self.width, self.layers, self.heads, self.max_length)
        _require(all(0 < size <= 1_000_000 for size in sizes), "text: sizes must be positive")
        _require(self.width % self.heads == 0, "text: width must be a multiple of heads")
        _require(self.activation in ("quick_gelu", "gelu"), "text: activation must be quick_gelu or gelu")
        pad = self.pad_token_id
        _require(pad is None or 0 <= pad < self.vocab_size, "text: pad_token_id must be a token of the vocabulary")


@dataclass(frozen=True, slots=True)
class ModelConfig(Config):
    """One model: what its checkpoint needs in order to be rebuilt and run."""

    name: str = "sd21"
    unet: UNetConfig = field(default_factory=UNetConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    vae: VAEConfig | None = None  # None: the bundle carries none
    text: TextConfig | None = None
    composer: ComposerConfig | None = None

    def __post_init__(self) -> None:
        sides, downscale = (self.clip.width, self.clip.height), self.latent.downscale
        _require(
            all(side % downscale == 0 for side in sides),
            f"clip: width and height must be multiples of latent.downscale, {downscale}",
        )
        said = (self.diffusion.schedule, self.diffusion.prediction)
        _require(
            not self.unet.fills or said == (ScheduleName.COSINE, Prediction.V),
            "unet: fills goes with diffusion's schedule cosine and prediction v",
        )


def tsr_stage(config: ModelConfig) -> ModelConfig:
    """The TSR model that is adapted from this video model (Sec. 3.1): segments of two ends and what is between them."""
    clip = config.clip
    return replace(config, clip=replace(clip, frames=TSR_FACTOR + 1, fps=TSR_FACTOR * clip.fps))


SD21 = ModelConfig("sd21", diffusion=DiffusionConfig(prediction=Prediction.V))
SD21_BASE = ModelConfig("sd21_base")
SD15 = ModelConfig(
    "sd15",
    unet=UNetConfig(attention_heads=(8, 8, 8, 8), cross_attention_dim=768, linear_projection=False),
)
# ModelScope T2V and its fine-tunes (ZeroScope): trained without the noise prior's lambda, at 16 frames of 256x256.
MODELSCOPE = ModelConfig(
    "modelscope",
    unet=UNetConfig(temporal_layers=TemporalLayers.MODELSCOPE, temporal_positions=Positions.NONE),
    diffusion=DiffusionConfig(prior_lambda=0.0),
    clip=ClipConfig(frames=16, fps=8.0, width=256, height=256),
)
TOYBOX = ModelConfig(
    "toybox",
    unet=UNetConfig(
        block_out_channels=(64, 80),
        layers_per_block=1,
        attention_levels=(False, True),
        attention_heads=(4, 5),
        cross_attention_dim=96,
        norm_groups=16,
        temporal_head_dim=16,
        pooled_text=True,
        timestep_scale=1000.0,
        spade_hidden=16,
    ),
    diffusion=DiffusionConfig(ScheduleName.COSINE, Prediction.V, prior_gamma=0.0),
    latent=LatentConfig(std=(1.0,) * 4),
    clip=ClipConfig(width=128, height=128),
    vae=VAEConfig(),
    text=TextConfig(vocab_size=896, width=96, layers=3, heads=4, max_length=48),
)
# Interpolation needs less than invention, and all of Toybox has to stay within 20 MB.
TOYBOX_TSR = replace(
    tsr_stage(TOYBOX),
    name="toybox_tsr",
    unet=replace(
        TOYBOX.unet,
        block_out_channels=(32, 40),
        attention_levels=(False, False),
        norm_groups=8,
        temporal_head_dim=8,
        spade_hidden=8,
    ),
)
# People's own pictures: what the camera uncovers, and what words ask for that nobody can draw.
POCKET = ModelConfig(
    "pocket",
    unet=UNetConfig(
        in_channels=16,
        block_out_channels=(64, 112, 160),
        layers_per_block=1,
        attention_levels=(False, True, True),
        attention_heads=(4, 7, 10),
        cross_attention_dim=128,
        norm_groups=16,
        temporal_head_dim=16,
        pooled_text=True,
        timestep_scale=1000.0,
        injection=Injection.CONCAT,
        spade_hidden=16,
        guide_mask=True,
    ),
    diffusion=DiffusionConfig(ScheduleName.COSINE, Prediction.V, prior_gamma=0.0),
    latent=LatentConfig(mean=(0.0,) * 16, std=(1.0,) * 16),
    clip=ClipConfig(width=256, height=256),
    vae=VAEConfig(latent_channels=16),
    text=TextConfig(vocab_size=2048, width=128, layers=3, heads=4, max_length=48),
    composer=ComposerConfig(),
)
# Its line goes along the camera's frames, so that of these nothing is lost.
POCKET_TSR = replace(
    tsr_stage(POCKET),
    name="pocket_tsr",
    unet=replace(
        POCKET.unet,
        block_out_channels=(32, 64),
        attention_levels=(False, False),
        attention_heads=(2, 4),
        along_guide=True,
    ),
)
# What lies beyond a picture's edge and behind what moved: single pictures with a mask.
POCKET_FILL = replace(
    POCKET,
    name="pocket_fill",
    unet=replace(
        POCKET.unet,
        block_out_channels=(48, 96, 128),
        attention_levels=(False, False, True),
        attention_heads=(3, 6, 8),
        temporal=False,
        pooled_text=False,
        guide_mask=False,
        fills=True,
        reads_text=False,
    ),
    clip=replace(POCKET.clip, frames=1),
)
PRESETS = types.MappingProxyType(
    {
        preset.name: preset
        for preset in (SD21, SD21_BASE, SD15, TOYBOX, TOYBOX_TSR, MODELSCOPE, POCKET, POCKET_TSR, POCKET_FILL)
    }
)


def preset(name: str) -> ModelConfig:
    """The named preset. Raises ConfigError for a name that is none."""
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} does not exist; there are: {', '.join(PRESETS)}")
    return PRESETS[name]


def image_stage(config: ModelConfig) -> ModelConfig:
    """The text-to-image model from which this video model is inflated: single frames, no prior."""
    return replace(
        config,
        unet=replace(config.unet, temporal=False),
        diffusion=replace(config.diffusion, prior_lambda=0.0, prior_gamma=0.0),
    )


def with_injection(config: ModelConfig, injection: Injection) -> ModelConfig:
    """A model's configuration with another injection mode."""
    unet, concat = config.unet, injection is Injection.CONCAT
    mask, along = unet.guide_mask and concat, unet.along_guide and concat
    return replace(config, unet=replace(unet, injection=injection, guide_mask=mask, along_guide=along))
