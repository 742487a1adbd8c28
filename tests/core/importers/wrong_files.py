"""What people have and give in the place of what is asked for: small files and folders with the real ones' names.

Only names and shapes tell what a file is, so a few tensors of each do. No library is needed but torch and safetensors.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

UNET = "model.diffusion_model."
ATTENTION = "1.transformer_blocks.0.attn2.to_k.weight"
IN_TIME = ("transformer_in.norm.weight", "down_blocks.0.temp_convs.0.conv1.0.weight")
BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
Shapes = dict[str, tuple[int, ...]]


def single_file(width: int) -> Shapes:
    """A Stable Diffusion checkpoint; `width` of its text tells which."""
    return {
        UNET + "input_blocks.0.0.weight": (8, 4, 3, 3), f"{UNET}input_blocks.1.{ATTENTION}": (8, width),
        "first_stage_model.encoder.conv_in.weight": (8, 3, 3, 3),
    }  # fmt: skip


def unet(width: int, *more: str) -> Shapes:
    """diffusers' names, and what one model has besides."""
    own: Shapes = {
        "conv_in.weight": (8, 4, 3, 3),
        "up_blocks.0.resnets.0.conv1.weight": (8, 8, 3, 3),
        BLOCK: (8, width),
    }
    return own | dict.fromkeys(more, (8,))


FILES: dict[str, Shapes] = {
    "LoRA": {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 8)},
    "SD 1.5": single_file(768),
    "SD 2.1": single_file(1024),
    "SDXL": single_file(2048),
    "VAE": {"encoder.down.0.block.0.norm1.weight": (8,), "decoder.up.0.block.0.norm1.weight": (8,)},
    "ModelScope's VAE": {"encoder.down_blocks.0.resnets.0.norm1.weight": (8,), "post_quant_conv.weight": (4, 4, 1, 1)},
    "ModelScope": unet(1024, *IN_TIME),
    "AnimateDiff": {"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (8,)},
    "SVD": single_file(1024) | {UNET + "input_blocks.1.1.time_stack.0.norm1.weight": (8,)},
    "I2VGen-XL": unet(1024, *IN_TIME, "image_latents_proj_in.0.weight"),
    "VideoCrafter": dict.fromkeys(
        (UNET + "init_attn.0.norm.weight", UNET + "input_blocks.1.0.temopral_conv.conv1.0.weight"), (8,)
    ),
    "CogVideoX": {"patch_embed.text_proj.weight": (8, 8), "transformer_blocks.0.norm1.linear.weight": (8, 8)},
    "Wan": {UNET + "patch_embedding.weight": (8, 16, 1, 2, 2), UNET + "blocks.0.self_attn.q.weight": (8, 8)},
}  # fmt: skip
DAMAGED = ("half", "pickle", "shard")


def write(kind: str, folder: Path) -> Path:
    """A file, or the folder of a diffusers pipeline, of this kind."""
    path = folder / "wrong.safetensors"
    if kind == "half":
        save_file({"conv_in.weight": torch.zeros(400, 400)}, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "pickle":
        path = folder / "wrong.ckpt"
        torch.save({"state_dict": {"conv_in.weight": torch.zeros(2)}}, path)
    elif kind == "shard":
        return without_a_shard(folder / "sharded")
    else:
        save_file({key: torch.zeros(shape) for key, shape in FILES[kind].items()}, path)
    return path


def without_a_shard(folder: Path) -> Path:
    """Of a U-Net in two files the second is not there."""
    (folder / "unet").mkdir(parents=True)
    first, second = (f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2))
    save_file({"conv_in.weight": torch.zeros(8, 4, 3, 3)}, folder / "unet" / first)
    index = {"weight_map": {"conv_in.weight": first, "conv_out.weight": second}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def of_class(folder: Path, name: str) -> Path:
    """What the U-Net's folder says it is."""
    (folder / "unet" / "config.json").write_text(json.dumps({"_class_name": name}))
    return folder
