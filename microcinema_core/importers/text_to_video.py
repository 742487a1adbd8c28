"""Text-to-video models of ModelScope's family as people have them: a diffusers folder, or one file in either layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..backend import Backend
from ..checkpoint.foreign import IMAGE_MODEL
from ..checkpoint.format import PREFIX
from ..checkpoint.identify import identify
from ..checkpoint.limits import MAX_BLOCKS
from ..config import MAX_SIZE, MODELSCOPE, ClipConfig, Injection, ModelConfig, UNetConfig
from ..errors import CheckpointError, ConfigError, shown
from ..files import reachable
from ..models.unet import VideoUNet
from .autoencoder import folder_vae
from .clip_text import TextPart, open_text
from .lazy import State, Stored, expect_stored, open_file, open_folder, shapes_of
from .modelscope import fitted, to_diffusers, unet_config
from .source import read_scheduler
from .told import Told, is_there, open_json

SETTINGS = {  # of diffusers' UNet3DConditionModel: the values with which our network computes the same
    "act_fn": "silu",
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "time_cond_proj_dim": None,
}
IMAGE_CLASSES = ("StableDiffusionPipeline", "UNet2DConditionModel")
LICENCE_KEYS = ("license", "licence", "modelspec.license")
CARD = "README.md"
CARD_CHARACTERS = 20_000  # of a model card's beginning, where its licence stands
RELATED = "it is damaged, or a related model such as VideoCrafter, DynamiCrafter or I2VGen-XL"
WANTED = (
    "give a ModelScope text-to-video model or a fine-tune of it, such as ZeroScope (.safetensors or diffusers folder)"
)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a source says of its licence, and where it does."""

    name: str = "unknown"
    where: str = ""

    def __str__(self) -> str:
        return f"{self.name} (says {self.where})" if self.where else "the source names none: see where it came from"


@dataclass(frozen=True, slots=True)
class TextToVideo:
    """unet: diffusers' names, each tensor of the shape that our network has. original: whether it had other names."""

    path: Path
    config: ModelConfig
    unet: State
    original: bool
    vae: State  # CompVis' names, which are the host's
    text: TextPart | None
    licence: Licence


def open_text_to_video(path: str | Path, clip: ClipConfig = MODELSCOPE.clip) -> TextToVideo:
    """clip: frames, rate and size to sample at, which no source tells.

    Raises CheckpointError, naming what it is instead, for whatever is no model of the family.
    """
    path = Path(path)
    with reachable(path):
        return _open_folder(path, clip) if path.is_dir() else _open_file(path, clip)


def _open_file(path: Path, clip: ClipConfig) -> TextToVideo:
    state, metadata = open_file(path)
    if PREFIX + "format" in metadata:
        raise _refused(path)
    stated = next((metadata[key] for key in LICENCE_KEYS if metadata.get(key)), None)
    licence = _card_licence(path.parent) if stated is None else Licence(shown(stated), path.name)
    named = to_diffusers(state)
    config = _config(path, named, MODELSCOPE.unet.norm_groups)
    original = not any(key.startswith("transformer_in.") for key in state)
    return TextToVideo(
        path, replace(MODELSCOPE, unet=config, clip=clip), _fitting(path, named, config), original, {}, None, licence
    )


def _open_folder(path: Path, clip: ClipConfig) -> TextToVideo:
    whole = (path / "unet").is_dir()
    folder, top = (path / "unet", path) if whole else (path, path.parent)
    config_file = folder / "config.json"
    stored = open_json(config_file) if is_there(config_file) else Told(config_file, {})
    if stored.word("_class_name", "") != "UNet3DConditionModel":
        raise _refused(path)
    stored.expect(SETTINGS, WANTED)
    groups = stored.whole("norm_num_groups", MODELSCOPE.unet.norm_groups, 1, MAX_SIZE)
    named = open_folder(folder, "diffusion_pytorch_model")
    config = _config(path, named, groups)
    prediction, schedule = read_scheduler(top / "scheduler" / "scheduler_config.json")
    diffusion = replace(
        MODELSCOPE.diffusion, prediction=prediction or MODELSCOPE.diffusion.prediction, schedule=schedule
    )
    model = replace(MODELSCOPE, unet=config, diffusion=diffusion, clip=clip)
    vae: State = {}
    if (top / "vae").is_dir():
        vae = folder_vae(open_folder(top / "vae", "diffusion_pytorch_model"), str(top / "vae"))
    text = open_text(top) if (top / "text_encoder").is_dir() else None
    return TextToVideo(path, model, _fitting(path, named, config), False, vae, text, _card_licence(top))


def _refused(path: Path) -> CheckpointError:
    found = identify(path)
    kind = found.details.get("class", "")
    title = found.title + (f" ({kind})" if kind else "")
    image = re.match(IMAGE_MODEL, title) or kind in IMAGE_CLASSES
    if "MicroCinema" in title:
        return CheckpointError(f"{path}: is a {title} already: animate with it, or train from it")
    if image:
        return CheckpointError(
            f"{path}: is a {title}, without layers over time; `microcinema inflate` takes such models"
        )
    return CheckpointError(f"{path}: is something else: {title}; {WANTED}")


def _config(path: Path, named: Mapping[str, Stored], norm_groups: int) -> UNetConfig:
    if not all(any(part in key for key in named) for part in ("transformer_in.", ".temp_convs.", ".temp_attentions.")):
        raise _refused(path)
    try:
        config = unet_config(named, norm_groups)
    except (ConfigError, CheckpointError, IndexError) as error:
        raise CheckpointError(
            f"{path}: its tensors are those of no ModelScope text-to-video U-Net ({error}); {RELATED}: {WANTED}"
        ) from error
    if len(config.block_out_channels) * config.layers_per_block > MAX_BLOCKS:
        raise CheckpointError(f"{path}: has more than {MAX_BLOCKS} blocks, as no network has; {WANTED}")
    return config


def _fitting(path: Path, named: Mapping[str, Stored], config: UNetConfig) -> State:
    """Every tensor of the network, in its shape. Raises CheckpointError where one is missing or there is another."""
    # What this project adds to such a network is frame time and, for the modes of injection but `concat`, gates.
    plain = replace(config, frame_time=False, injection=Injection.CONCAT)
    wanted = shapes_of(VideoUNet(plain, Backend(device="meta")).state_dict())
    channels = len(MODELSCOPE.latent.mean)
    if config.in_channels != channels and wanted.keys() == named.keys():
        raise CheckpointError(f"{path}: has {config.in_channels} input channels, {channels} are needed; {WANTED}")
    state = {key: fitted(value, wanted.get(key, value.shape)) for key, value in named.items()}
    whose = "ModelScope's text-to-video U-Net"
    expect_stored(wanted, state, str(path), whose, f"{RELATED}: {WANTED}")
    return {key: state[key] for key in wanted}


def _card_licence(folder: Path) -> Licence:
    """The `license:` line at the beginning of a model card."""
    card = folder / CARD
    if not card.is_file():
        return Licence()
    try:
        with card.open(encoding="utf-8", errors="replace") as file:
            start = file.read(CARD_CHARACTERS)
    except OSError:
        return Licence()
    found = re.search(r"^license(?:_name)?:[ \t]*(\S.*)$", start, re.MULTILINE)
    return Licence(shown(found[1].strip().strip("\"'")), CARD) if found else Licence()
