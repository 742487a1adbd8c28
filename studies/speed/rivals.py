"""diffusers' networks for the same work, at the size of Stable Diffusion 2.1 where the class allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from diffusers import (
    ControlNetModel,
    I2VGenXLUNet,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetMotionModel,
    UNetSpatioTemporalConditionModel,
)
from torch import Tensor, nn

from microcinema_core.config import UNetConfig

from .given import Given

LONGEST = 64  # frames that UNetMotionModel's table of positions has room for; its default is 32


@dataclass(frozen=True, slots=True)
class Rival:
    """A way to make clips with diffusers.

    options: what is asked of the class for a network of our sizes; the rest is the class's own default.
    forward: one denoising step, [B, C, T, h, w] -> [B, C, T, h, w] in eps or v.
    """

    title: str
    options: Callable[[UNetConfig], dict[str, Any]]
    build: Callable[[dict[str, Any]], Any]
    forward: Callable[[Any, Given], Tensor]

    def network(self, config: UNetConfig) -> Any:
        return self.build(self.options(config))


def _common(config: UNetConfig) -> dict[str, Any]:
    return {
        "block_out_channels": config.block_out_channels,
        "layers_per_block": config.layers_per_block,
        "cross_attention_dim": config.cross_attention_dim,
    }


def _three_d(config: UNetConfig) -> dict[str, Any]:
    return {**_common(config), "attention_head_dim": config.temporal_head_dim}


def _spatio_temporal(config: UNetConfig) -> dict[str, Any]:
    return {**_common(config), "num_attention_heads": config.attention_heads}


def _motion(config: UNetConfig) -> dict[str, Any]:
    """AnimateDiff's was made for SD 1.5; this is the same class with SD 2.1's spatial part."""
    return {
        **_spatio_temporal(config),
        "use_linear_projection": config.linear_projection,
        "motion_max_seq_length": LONGEST,
    }


def _image(config: UNetConfig) -> dict[str, Any]:
    return {
        **_common(config),
        "attention_head_dim": config.attention_heads,
        "use_linear_projection": config.linear_projection,
    }


def _plain_forward(model: Any, given: Given) -> Tensor:
    out: Tensor = model(given.x, given.t, given.text, return_dict=False)[0]
    return out


def _motion_forward(model: Any, given: Given) -> Tensor:
    """It wants the text once for each frame."""
    text = given.text.repeat_interleave(given.x.shape[2], dim=0)
    out: Tensor = model(given.x, given.t, text, return_dict=False)[0]
    return out


def _i2vgen_forward(model: Any, given: Given) -> Tensor:
    image = given.keyframe.expand_as(given.x)
    fps = torch.full_like(given.t, 8)
    out: Tensor = model(
        given.x, given.t, fps, image, image_embeddings=given.text[:, 0], encoder_hidden_states=given.text,
        return_dict=False,
    )[0]  # fmt: skip
    return out


def _spatio_temporal_forward(model: Any, given: Given) -> Tensor:
    """It reads one picture embedding instead of a text, and the keyframe's latent beside each frame's."""
    x = torch.cat([given.x, given.keyframe.expand_as(given.x)], dim=1).transpose(1, 2)  # [B, T, 2C, h, w]
    ids = given.x.new_zeros(len(x), 3)
    out: Tensor = model(x, given.t, given.text[:, :1], added_time_ids=ids, return_dict=False)[0]
    return out.transpose(1, 2)


class Controlled(nn.Module):
    """An image U-Net that gets a ControlNet's residuals at every step; each frame is a picture of its own."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.unet: Any = UNet2DConditionModel(**options)
        self.controlnet: Any = ControlNetModel(**options)

    def forward(self, given: Given) -> Tensor:
        """What the U-Net says of clips' noisy latents [B, C, T, h, w], frame by frame, in that shape."""
        x, text, pixels = _single_frames(given)
        down, mid = self.controlnet(x, given.t, text, pixels, return_dict=False)
        out: Tensor = self.unet(
            x, given.t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid, return_dict=False
        )[0]
        return out.unflatten(0, (len(given.x), -1)).transpose(1, 2)


def _single_frames(given: Given) -> tuple[Tensor, Tensor, Tensor]:
    """Every frame as a picture of its own: latents [B*T, C, h, w], texts [B*T, L, D], pixels [B*T, 3, 8h, 8w]."""
    rows, frames = given.x.shape[0], given.x.shape[2]
    text = given.text.repeat_interleave(frames, dim=0)
    return given.x.transpose(1, 2).flatten(0, 1), text, given.pixels.repeat(rows, 1, 1, 1)


def _control_forward(model: Any, given: Given) -> Tensor:
    x, text, pixels = _single_frames(given)
    down: tuple[Tensor, ...] = model(x, given.t, text, pixels, return_dict=False)[0]
    return down[-1]


RIVALS = MappingProxyType(
    {
        "unet3d": Rival("UNet3DConditionModel", _three_d, lambda o: UNet3DConditionModel(**o), _plain_forward),
        "i2vgen": Rival("I2VGenXLUNet", _three_d, lambda o: I2VGenXLUNet(**o), _i2vgen_forward),
        "svd": Rival(
            "UNetSpatioTemporalConditionModel",
            _spatio_temporal,
            lambda o: UNetSpatioTemporalConditionModel(**o),
            _spatio_temporal_forward,
        ),
        "motion": Rival("UNetMotionModel", _motion, lambda o: UNetMotionModel(**o), _motion_forward),
        "control": Rival(
            "UNet2DConditionModel + ControlNetModel", _image, Controlled, lambda model, given: model(given)
        ),
    }
)
CONTROLNET = Rival("ControlNetModel", _image, lambda o: ControlNetModel(**o), _control_forward)
