"""The host's own VAE from a file's autoencoder, and pictures as a model's latents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.sd
import torch
from torch import Tensor

from ..microcinema_core.checkpoint.format import VAE, Checkpoint, expect_tensors
from ..microcinema_core.checkpoint.names import KL_MARK
from ..microcinema_core.checkpoint.sections import find_section
from ..microcinema_core.errors import CheckpointError, InputError
from .files import read_file
from .finite import is_finite

SIZES: dict[str, Any] = {
    "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
    "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip
CONSTANTS = {"vae_scale": 1.0, "vae_shift": 0.0}  # of the host's TAESD class, which our files leave out


def load_vae(path: Path, checkpoint: Checkpoint) -> Any:
    """The host's VAE of a file's autoencoder.

    Raises CheckpointError where the file and its companions hold none, or one of another architecture.
    """
    section = find_section(VAE, path, checkpoint)
    state = section.state
    if KL_MARK not in state:
        state = {name: torch.tensor(value) for name, value in CONSTANTS.items()} | state
    if KL_MARK not in state and "taesd_decoder.1.weight" not in state:
        raise CheckpointError(f"{section.path.name}: its autoencoder is none that ComfyUI knows; get the file anew")
    vae = comfy.sd.VAE(sd=_checked(state, section.path.name))
    vae.patcher.cached_patcher_init = (load_vae_patcher, (path,))
    return vae


def load_vae_patcher(path: Path, disable_dynamic: bool = False) -> Any:
    """What the host reloads a VAE with, whose class chooses the patcher itself: `disable_dynamic` is not read."""
    return load_vae(path, read_file(path)).patcher


def _checked(state: Mapping[str, Tensor], title: str) -> dict[str, Tensor]:
    """Strict, which the host's own loading is not."""
    with torch.device("meta"):
        if KL_MARK in state:
            outline: Any = comfy.ldm.models.autoencoder.AutoencoderKL(ddconfig=SIZES, embed_dim=4)
        else:
            outline = comfy.taesd.taesd.TAESD(latent_channels=state["taesd_decoder.1.weight"].shape[1])
    expect_tensors(outline.state_dict(), state, f"{title}: {VAE}", "the file")
    return dict(state)


def encode_keyframes(vae: Any, image: Tensor, channels: int) -> Tensor:
    """IMAGE [N, H, W, 3] in 0..1 -> the VAE's latents [N, C, h, w]; a margin beyond a multiple of 8 is cropped.

    Raises InputError for pictures that are none, and for a VAE of another kind of latents.
    """
    check_image(image)
    latents: Tensor = vae.encode(image[..., :3])
    if latents.ndim != 4 or latents.shape[1] != channels:
        raise InputError(
            f"MicroCinema: this VAE makes latents of shape {list(latents.shape)}, the model takes {channels} channels; "
            "connect the VAE that belongs to the model"
        )
    return latents


def check_image(image: Tensor) -> None:
    """Raises InputError for what is no IMAGE [N, H, W, 3 or 4] of at least 8x8 finite pixels."""
    if image.ndim != 4 or 0 in image.shape or min(image.shape[1:3]) < 8:
        raise InputError(f"MicroCinema: the keyframe has shape {list(image.shape)}; give at least 8x8 pixels")
    if not is_finite(image):
        raise InputError("MicroCinema: the keyframe holds NaN or infinity; look for the node it comes from")
