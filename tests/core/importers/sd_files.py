"""Stable Diffusion as people have it, made of the reference libraries' models with random weights: no download.

Every tensor that a library starts at one number is made different: an equality would say nothing about it.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel, UNet3DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from microcinema_core.checkpoint.names import vae_to_compvis
from microcinema_core.config import PRESETS, UNetConfig
from microcinema_core.importers.keys import ema_name, unet_to_compvis

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def small(name: str) -> UNetConfig:
    """The preset's own kind of network, with fewer channels and levels."""
    config = PRESETS[name].unet
    heads = (1, 2) if config.linear_projection else (8, 8)
    return replace(
        config, block_out_channels=(64, 128), layers_per_block=1, attention_levels=(True, False), attention_heads=heads
    )


@dataclass(frozen=True)
class Model:
    """The three networks of one Stable Diffusion, and its vocabulary."""

    name: str
    config: UNetConfig
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: CLIPTextModel
    last_layer: dict[str, Tensor]  # of OpenCLIP, which Stable Diffusion 2.x does not read
    vocab: dict[str, int]

    @property
    def openclip(self) -> bool:
        return self.config.linear_projection

    def null_ids(self) -> Tensor:
        length, pad = self.text.config.max_position_embeddings, 0 if self.openclip else len(self.vocab) - 1
        ids = [len(self.vocab) - 2, len(self.vocab) - 1]
        return torch.tensor([[*ids, *[pad] * (length - 2)]])


def vocabulary(size: int) -> dict[str, int]:
    """`size` tokens; "!" is the first and start and end are the last, as in CLIP's."""
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += [f"unused-{i}" for i in range(size - 2 - len(tokens))]
    return {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}


def build(name: str, *, full: bool = False, seed: int = 1) -> Model:
    config = PRESETS[name].unet if full else small(name)
    vocab = vocabulary(49408 if full else 600)
    width, layers = config.cross_attention_dim, (23 if config.linear_projection else 12) if full else 1
    sizes = (128, 256, 512, 512) if full else (32, 32, 64, 64)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_config = CLIPTextConfig(
            vocab_size=len(vocab), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
            num_attention_heads=width // 64, hidden_act="gelu" if config.linear_projection else "quick_gelu",
            projection_dim=width, bos_token_id=len(vocab) - 2, eos_token_id=len(vocab) - 1,
        )  # fmt: skip
        model = Model(
            name, config, image_model(config), autoencoder(sizes), CLIPTextModel(text_config).eval(), {}, vocab
        )
        for part in (model.unet, model.vae, model.text):
            randomise_(part)
        model.last_layer.update(open_clip_layer(model.text, layers - 1, layers))
    return model


def image_model(config: UNetConfig) -> UNet2DConditionModel:
    kinds = ["CrossAttnDownBlock2D" if attended else "DownBlock2D" for attended in config.attention_levels]
    return UNet2DConditionModel(
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        down_block_types=tuple(kinds),
        up_block_types=tuple(kind.replace("Down", "Up") for kind in reversed(kinds)),
        attention_head_dim=config.attention_heads if config.linear_projection else 8,
        cross_attention_dim=config.cross_attention_dim,
        use_linear_projection=config.linear_projection,
    ).eval()


def autoencoder(sizes: tuple[int, ...]) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=sizes,
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * len(sizes),
        up_block_types=("UpDecoderBlock2D",) * len(sizes),
        latent_channels=4,
    ).eval()


@torch.no_grad()
def randomise_(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.min() == parameter.max():
            parameter += 0.2 * torch.randn(parameter.shape)
    assert all(parameter.min() < parameter.max() for parameter in module.parameters())


def open_clip_layer(text: CLIPTextModel, of: int, number: int) -> dict[str, Tensor]:
    """One layer in OpenCLIP's names, with q, k and v in one tensor, as its attention has them."""
    state = {key.removeprefix("text_model."): value for key, value in text.state_dict().items()}
    theirs, ours = f"encoder.layers.{of}.", f"transformer.resblocks.{number}."
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj"}
    names |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    layer = {}
    for end in ("weight", "bias"):
        for name, other in names.items():
            layer[f"{ours}{name}.{end}"] = state[f"{theirs}{other}.{end}"]
        parts = [state[f"{theirs}self_attn.{part}_proj.{end}"] for part in "qkv"]
        layer[f"{ours}attn.in_proj_{end}"] = torch.cat(parts)
    return layer


def open_clip_state(model: Model) -> dict[str, Tensor]:
    state = {key.removeprefix("text_model."): value for key, value in model.text.state_dict().items()}
    found = {
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": torch.randn(8, 8),
        "logit_scale": torch.tensor(4.6),
    }
    for layer in range(model.text.config.num_hidden_layers):
        found |= open_clip_layer(model.text, layer, layer)
    return found | model.last_layer


def compvis_state(model: Model) -> dict[str, Tensor]:
    """All three networks under their names in a single file."""
    config = model.config
    state = {
        "model.diffusion_model." + unet_to_compvis(key, config.layers_per_block, config.attention_levels): value
        for key, value in model.unet.state_dict().items()
    }
    for key, value in model.vae.state_dict().items():
        name = vae_to_compvis(key, len(model.vae.config.block_out_channels))
        attention = ".mid.attn_1." in name and value.ndim == 2
        state[f"first_stage_model.{name}"] = value[:, :, None, None] if attention else value
    if model.openclip:
        state |= {f"cond_stage_model.model.{key}": value for key, value in open_clip_state(model).items()}
    else:
        prefix = "cond_stage_model.transformer.text_model."
        state |= {prefix + key.removeprefix("text_model."): value for key, value in model.text.state_dict().items()}
        state[prefix + "embeddings.position_ids"] = torch.arange(77)[None]
    state["betas"] = torch.linspace(0.00085, 0.012, 1000)
    return state


def with_average(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with a running average of the U-Net, here its weights with the sign changed."""
    prefix = "model.diffusion_model."
    averages = {ema_name(key): -value for key, value in state.items() if key.startswith(prefix)}
    return state | averages | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}


def write_single(model: Model, path: Path, dtype: torch.dtype = torch.float32, average: bool = False) -> Path:
    state = compvis_state(model)
    state = with_average(state) if average else state
    tensors = {k: (v.to(dtype) if v.is_floating_point() else v).clone().contiguous() for k, v in state.items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def write_folder(model: Model, folder: Path, shard: str = "10GB", zsnr: bool = False) -> Path:
    """As `save_pretrained` of a pipeline leaves it. shard: the largest size of one of the U-Net's files."""
    model.unet.save_pretrained(folder / "unet", max_shard_size=shard)
    model.vae.save_pretrained(folder / "vae")
    model.text.save_pretrained(folder / "text_encoder")
    prediction = "v_prediction" if PRESETS[model.name].diffusion.prediction == "v" else "epsilon"
    DDIMScheduler(prediction_type=prediction, rescale_betas_zero_snr=zsnr, **BETAS).save_pretrained(
        folder / "scheduler"
    )
    write_tokenizer(model, folder / "tokenizer")
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_modelscope(stable_diffusion: Path, folder: Path) -> Path:
    """The same folder with a small network of ModelScope's layout in the place of the U-Net."""
    shutil.copytree(stable_diffusion, folder)
    shutil.rmtree(folder / "unet")
    UNet3DConditionModel(
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        attention_head_dim=64,
        cross_attention_dim=1024,
    ).save_pretrained(folder / "unet")
    return folder


def write_tokenizer(model: Model, folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(model.vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder
