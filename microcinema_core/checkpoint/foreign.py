"""Whose model a file of tensors is, told by their names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..errors import shown

IN_SAFETENSORS = ", in safetensors"
IMAGE_MODEL = r"Stable Diffusion [12]\.x (checkpoint|U-Net)"  # titles of what can be inflated
Shapes = Mapping[str, tuple[int, ...]]


def _width(shapes: Shapes, ending: str) -> int:
    """The last dimension of the first tensor of that name: the text's width, for keys of cross-attention."""
    return next((shape[-1] for key, shape in sorted(shapes.items()) if key.endswith(ending) and len(shape) > 1), 0)


FIRST = r"(^|\.)input_blocks\.0\.0\.weight$|^conv_in\.weight$"  # the U-Net's first convolution
VARIANTS = {5: "depth-to-image", 7: "upscaling", 8: "picture-editing", 9: "inpainting"}  # by its input channels
STABLE_DIFFUSION = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}


LORA = (".lora_down.", ".lora_A.", ".lora.down.", "_lora.down.", ".lora_linear_layer.", "lora_unet_")


def _stable_diffusion(shapes: Shapes) -> str:
    family = STABLE_DIFFUSION.get(_width(shapes, "attn2.to_k.weight"), "Stable Diffusion-like, unknown size")
    first = next((shape for key, shape in shapes.items() if re.search(FIRST, key) and len(shape) > 1), (0, 0))
    return f"{family} {VARIANTS[first[1]]} ({first[1]} input channels)" if first[1] in VARIANTS else family


def foreign_title(shapes: Shapes) -> str:
    """Which known family these tensor names and shapes belong to; the first pattern that fits."""
    names = "\n".join(shapes)

    def holds(*parts: str) -> bool:
        return all(part in names for part in parts)

    def starts(*prefixes: str) -> bool:
        return all(any(key.startswith(prefix) for key in shapes) for prefix in prefixes)

    patterns: list[tuple[Callable[[], bool], str]] = [
        (lambda: any(mark in names for mark in LORA), "LoRA weights"),
        (lambda: holds("motion_modules."), "AnimateDiff motion module"),
        (lambda: holds("image_latents_proj_in."), "I2VGen-XL U-Net (diffusers layout)"),
        (lambda: holds("init_attn.", "temopral_conv"), "VideoCrafter- or DynamiCrafter-like U-Net"),
        # "temopral" is how ModelScope's own files spell it.
        (lambda: holds("temopral_conv"), "ModelScope text-to-video U-Net (original layout)"),
        (lambda: holds("temp_convs.", "transformer_in."), "ModelScope-like text-to-video U-Net (diffusers' UNet3D)"),
        (lambda: holds("temporal_transformer_blocks") or holds("time_stack."), "Stable Video Diffusion-like U-Net"),
        (lambda: holds("patch_embed.text_proj.", "transformer_blocks.0."), "CogVideoX-like video transformer"),
        (lambda: holds("patch_embedding.", "blocks.0.self_attn."), "Wan-like video transformer"),
        (lambda: holds("double_blocks."), "diffusion transformer"),
        (lambda: starts("control_model.") or holds("controlnet_cond_embedding"), "ControlNet"),
        (
            lambda: starts("model.diffusion_model.", "first_stage_model."),
            f"{_stable_diffusion(shapes)} checkpoint, single file (CompVis layout)",
        ),
        (
            lambda: starts("model.diffusion_model.") or starts("input_blocks."),
            f"{_stable_diffusion(shapes)} U-Net (CompVis layout)",
        ),
        (
            lambda: starts("down_blocks.", "up_blocks.", "conv_in.") and holds("attn2.to_k.weight"),
            f"{_stable_diffusion(shapes)} U-Net (diffusers layout)",
        ),
        (lambda: starts("taesd_encoder.") or starts("taesd_decoder."), "TAESD tiny autoencoder (ComfyUI layout)"),
        (lambda: starts("encoder.layers.", "decoder.layers."), "TAESD tiny autoencoder (diffusers layout)"),
        (lambda: starts("1.conv.0.") or starts("3.conv.0."), "TAESD tiny autoencoder, one half (original layout)"),
        (lambda: starts("encoder.down_blocks.", "post_quant_conv."), "Stable Diffusion autoencoder (diffusers layout)"),
        (lambda: holds("encoder.down.0.block", "decoder.up.0.block"), "Stable Diffusion autoencoder (CompVis layout)"),
        (lambda: holds("text_model.encoder.layers."), "CLIP text encoder"),
        (lambda: holds("transformer.resblocks.", "token_embedding.weight"), "CLIP text encoder (OpenCLIP layout)"),
        (lambda: starts("encoder.layers.", "embeddings.token_embedding."), "CLIP text encoder"),
        (lambda: holds("transformer_blocks.0."), "diffusion transformer"),
    ]
    for fits, title in patterns:
        if fits():
            return title + IN_SAFETENSORS
    first = f" (first: {shown(min(shapes))})" if shapes else ""
    return f"safetensors file of a model not known here{first}"
