"""Stable Diffusion as people have it, a folder or one file, in one form: diffusers' names, our configuration, notes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..backend import Backend
from ..checkpoint.foreign import IMAGE_MODEL, VARIANTS
from ..checkpoint.identify import identify
from ..checkpoint.limits import MAX_BLOCKS
from ..config import MAX_SIZE, LatentConfig, ModelConfig, Prediction, ScheduleName, UNetConfig, preset
from ..errors import CheckpointError, ConfigError, shown
from ..files import reachable
from ..models.unet import VideoUNet
from .autoencoder import folder_vae, single_vae
from .clip_text import TextPart, find_text, folder_text
from .keys import ema_name, renamed, unet_to_diffusers
from .lazy import State, below, expect_stored, open_file, open_folder, shapes_of, sizes
from .told import Told, is_there, open_json

FAMILIES = {768: "sd15", 1024: "sd21"}  # by the width of the text
SETTINGS = {  # of diffusers' UNet2DConditionModel: the values with which our network computes the same
    "act_fn": "silu",
    "center_input_sample": False,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default",
}
BETAS = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PREDICTIONS = {"epsilon": Prediction.EPS, "eps": Prediction.EPS, "v_prediction": Prediction.V, "v": Prediction.V}
COMPVIS = "model.diffusion_model."


@dataclass(frozen=True, slots=True)
class Choices:
    """What a file may leave open; None: as the file says, else as its family usually is."""

    preset: str | None = None  # what the source is expected to be
    prediction: Prediction | None = None
    schedule: ScheduleName | None = None
    ema: bool = False  # the running average of the weights instead of the weights themselves


@dataclass(frozen=True, slots=True)
class Source:
    """unet: diffusers' names. vae: CompVis' names, which are the host's. notes: what was assumed or left out."""

    path: Path
    config: ModelConfig
    unet: State
    vae: State
    text: TextPart | None
    licence: str
    notes: list[str] = field(default_factory=list)


def open_source(path: str | Path, choices: Choices) -> Source:
    """A Stable Diffusion model, in a diffusers folder or one file.

    Raises CheckpointError, naming what it is instead, for whatever is no Stable Diffusion 1.x or 2.x.
    """
    path = Path(path)
    with reachable(path):
        return _open_folder(path, choices) if path.is_dir() else _open_single(path, choices)


def _refuse(path: Path) -> CheckpointError:
    found = identify(path)
    named = f" ({found.details['class']})" if "class" in found.details else ""
    return CheckpointError(f"{path}: is something else: {found.title}{named}; {_advice(found.title)}")


def _open_single(path: Path, choices: Choices) -> Source:
    state, metadata = open_file(path)
    if not re.match(IMAGE_MODEL, identify(path).title):
        raise _refuse(path)
    unet, notes = _single_unet(path, state, choices.ema)
    config = _unet_config(path, unet)
    vae = single_vae(state, str(path))
    told, schedule = metadata.get("modelspec.prediction_type"), ScheduleName.SD
    prediction = PREDICTIONS.get(told or "", Prediction.V if "v_pred" in state else None)
    if "ztsnr" in state:
        schedule = ScheduleName.SD_ZSNR
    model, more = _model(config, prediction, schedule, choices, path)
    licence = metadata.get("modelspec.license", "") or _licence(model.name)
    return Source(path, model, unet, vae, find_text(state, str(path)), shown(licence), [*notes, *more])


def _single_unet(path: Path, state: State, ema: bool) -> tuple[State, list[str]]:
    """The U-Net's tensors with diffusers' names."""
    notes: list[str] = []
    inside = below(state, COMPVIS) or (state if "input_blocks.0.0.weight" in state else {})
    if not inside and "conv_in.weight" in state and "down_blocks.0.resnets.0.conv1.weight" in state:
        if ema:
            raise CheckpointError(f"{path}: holds no running average (model_ema.*); leave --ema out")
        return dict(state), notes
    if not inside:
        raise _refuse(path)
    averaged = any(key.startswith("model_ema.") for key in state)
    if ema:
        names = {key: ema_name(COMPVIS + key) for key in inside}
        if missing := [name for name in names.values() if name not in state]:
            raise CheckpointError(
                f"{path}: {len(missing)} of its U-Net's {len(names)} tensors have no running average (first: "
                f"{shown(missing[0])}); leave --ema out"
            )
        inside = {key: state[name] for key, name in names.items()}
    elif averaged:
        notes.append("took the weights themselves, not their running average, which the file holds too (--ema)")
    layers = _compvis_layers(inside)
    try:
        return renamed(inside, lambda key: unet_to_diffusers(key, layers)), notes
    except KeyError as error:
        raise CheckpointError(
            f"{path}: {shown(error.args[0])} is no tensor of Stable Diffusion 1.x's or 2.x's U-Net; give a model of "
            "one of these"
        ) from error


def _advice(title: str) -> str:
    if "LoRA" in title:
        return "give the model that it belongs to, and this file with --lora"
    if any(word in title for word in ("autoencoder", "text encoder", "model folder")):
        return "a Stable Diffusion 1.x or 2.x model with its U-Net is needed here"
    if "input channels" in title:
        return "give the text-to-image model that it was made from"
    if "ModelScope" in title:
        return "`microcinema convert` takes such a model"
    if "MicroCinema" in title:
        return "it needs no inflation: train from it, or animate with it"
    return "give a Stable Diffusion 1.x or 2.x model"


def _compvis_layers(state: State) -> int:
    """ResBlocks of a level: the first block with a downsampling convolution follows them."""
    found = [int(m[1]) for key in state if (m := re.match(r"input_blocks\.(\d+)\.0\.op\.weight", key))]
    inputs = [int(m[1]) for key in state if (m := re.match(r"input_blocks\.(\d+)\.", key))]
    return (min(found) if found else max(inputs) + 1) - 1


def _open_folder(path: Path, choices: Choices) -> Source:
    folder = path / "unet" if (path / "unet").is_dir() else path
    if not is_there(folder / "config.json"):
        raise _refuse(path)
    stored = open_json(folder / "config.json")
    if stored.word("_class_name", "") != "UNet2DConditionModel":
        raise _refuse(path)
    notes: list[str] = []
    if choices.ema:
        raise CheckpointError(
            f"{path}: is a diffusers folder, which keeps no running average beside the weights (model_ema.*); leave "
            "--ema out"
        )
    unet = open_folder(folder, "diffusion_pytorch_model")
    config = _unet_config(path, unet, stored)
    prediction, schedule = read_scheduler(path / "scheduler" / "scheduler_config.json")
    model, more = _model(config, prediction, schedule, choices, path)
    vae: State = {}
    if (path / "vae").is_dir():
        scaling = open_json(path / "vae" / "config.json").number("scaling_factor", 0.18215, 1e-3, 1e3)
        model = replace(model, latent=LatentConfig(std=(1 / scaling,) * config.in_channels))
        vae = folder_vae(open_folder(path / "vae", "diffusion_pytorch_model"), str(path / "vae"))
    text = folder_text(path / "text_encoder") if (path / "text_encoder").is_dir() else None
    if text is not None and is_there(path / "tokenizer" / "vocab.json"):
        text = text.with_tokenizer(path / "tokenizer")
    return Source(path, model, unet, vae, text, _licence(model.name), [*notes, *more])


def _unet_config(path: Path, state: State, stored: Told | None = None) -> UNetConfig:
    """Sizes from the tensors; what these do not tell from diffusers' config.json, else as in the published models."""
    stored, where = stored or Told(path, {}), str(path)
    stored.expect(SETTINGS, "give a U-Net of Stable Diffusion")
    channels = sizes(state, "conv_in.weight", 4, where)[1]
    if channels != 4:
        raise CheckpointError(
            f"{path}: is a model for {VARIANTS.get(channels, 'something else')} ({channels} input channels, 4 are "
            "needed); give the text-to-image model that it was made from"
        )
    width = next((sizes(state, k, 2, where)[1] for k in state if k.endswith("attn2.to_k.weight")), 0)
    if width not in FAMILIES:
        raise _refuse(path)
    levels = sum(bool(re.fullmatch(r"down_blocks\.\d+\.resnets\.0\.conv1\.weight", key)) for key in state)
    blocks = tuple(sizes(state, f"down_blocks.{i}.resnets.0.conv1.weight", 4, where)[0] for i in range(levels))
    linear = all(len(v.shape) == 2 for k, v in state.items() if k.endswith("proj_in.weight"))
    # diffusers' name for their number is attention_head_dim.
    heads = stored.wholes("num_attention_heads", levels, 1, MAX_SIZE)
    heads = heads or stored.wholes("attention_head_dim", levels, 1, MAX_SIZE)
    try:
        config = UNetConfig(
            block_out_channels=blocks,
            layers_per_block=len({key.split(".")[3] for key in state if key.startswith("down_blocks.0.resnets.")}),
            attention_levels=tuple(f"down_blocks.{i}.attentions.0.proj_in.weight" in state for i in range(levels)),
            attention_heads=heads or (tuple(max(1, c // 64) for c in blocks) if linear else (8,) * levels),
            cross_attention_dim=width,
            linear_projection=linear,
            norm_groups=stored.whole("norm_num_groups", 32, 1, MAX_SIZE),
        )
    except ConfigError as error:
        raise CheckpointError(f"{path}: no U-Net that can be built here: {error}") from error
    if levels * config.layers_per_block > MAX_BLOCKS:
        raise CheckpointError(f"{path}: has more than {MAX_BLOCKS} blocks, as no network has; get the model anew")
    outline = VideoUNet(replace(config, temporal=False), Backend(device="meta")).state_dict()
    expect_stored(shapes_of(outline), state, where, "Stable Diffusion's U-Net", "get the model anew")
    return config


def read_scheduler(path: Path) -> tuple[Prediction | None, ScheduleName]:
    """What a diffusers scheduler's file says of prediction and schedule. Without one: None, and Stable Diffusion's.

    Raises CheckpointError for a schedule that is not Stable Diffusion's.
    """
    if not is_there(path):
        return None, ScheduleName.SD
    stored = open_json(path)
    stored.expect(BETAS, "Stable Diffusion's has it; give such a model")
    named = stored.word("prediction_type", "epsilon")
    if named not in PREDICTIONS:
        raise CheckpointError(f"{path}: prediction_type {shown(named)!r} is none of epsilon, v_prediction")
    zero = stored.flag("rescale_betas_zero_snr")
    return PREDICTIONS[named], ScheduleName.SD_ZSNR if zero else ScheduleName.SD


def _model(
    unet: UNetConfig, prediction: Prediction | None, schedule: ScheduleName, choices: Choices, path: Path
) -> tuple[ModelConfig, list[str]]:
    """The preset of this family, with what the source says and the user chose; and what had to be assumed."""
    family = FAMILIES[unet.cross_attention_dim]
    wanted = choices.preset or family
    if preset(wanted).unet.cross_attention_dim != unet.cross_attention_dim:
        raise CheckpointError(
            f"{path}: is a Stable Diffusion {'1.x' if family == 'sd15' else '2.x'} model, {wanted} was asked for; give "
            f"such a model, or --preset {family}"
        )
    notes = []
    usual = preset(wanted).diffusion.prediction
    if choices.preset and prediction not in (None, usual) and choices.prediction is None:
        raise CheckpointError(
            f"{path}: says that it predicts {prediction}, {wanted} predicts {usual}; give such a model, leave --preset "
            "out, or say --prediction"
        )
    if prediction is None and choices.prediction is None:
        told = "as asked with --preset" if choices.preset else "as is usual for its family"
        notes.append(f"the source does not say what it predicts: {usual} was assumed, {told} (--prediction)")
    chosen = choices.prediction or prediction or usual
    if family == "sd21" and choices.preset is None:
        wanted = "sd21" if chosen is Prediction.V else "sd21_base"
    schedule = choices.schedule or schedule
    base = preset(wanted)
    diffusion = replace(base.diffusion, prediction=chosen, schedule=schedule)
    if schedule is ScheduleName.SD_ZSNR:
        if chosen is Prediction.EPS:
            raise CheckpointError(f"{path}: zero terminal SNR needs v-prediction; say --prediction v or --schedule sd")
        diffusion = replace(diffusion, prior_gamma=0.0)  # nothing to repair
    return replace(base, unet=replace(unet, injection=base.unet.injection), diffusion=diffusion), notes


def _licence(name: str) -> str:
    usual = "CreativeML OpenRAIL-M" if name == "sd15" else "CreativeML Open RAIL++-M"
    return f"of the source, see where it came from ({usual} for Stable Diffusion itself; a fine-tune may have another)"
