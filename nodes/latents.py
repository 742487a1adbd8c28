"""The host's latent format of a model: from the VAE's latents to the model's, and to rough colours for previews."""

from __future__ import annotations

from typing import Any

import comfy.latent_formats
import torch
from torch import Tensor

from ..microcinema_core.config import LatentConfig
from ..microcinema_core.errors import InputError

LEVELS = (0.1, 0.5, 0.9)
PATCH = 32  # pixels, of one flat colour


class LatentFormat(comfy.latent_formats.LatentFormat):
    """(VAE latent - mean) / std, per channel."""

    def __init__(self, config: LatentConfig) -> None:
        self.latent_channels = len(config.mean)
        self.spacial_downscale_ratio = config.downscale
        self.mean = torch.tensor(config.mean).view(1, -1, 1, 1)
        self.std = torch.tensor(config.std).view(1, -1, 1, 1)

    def process_in(self, latent: Tensor) -> Tensor:
        """The VAE's latents [N, C, ...] -> model-space ones.

        Raises InputError for latents of another model, which the host brings here before anywhere else.
        """
        if latent.ndim < 2 or latent.shape[1] != self.latent_channels:
            raise InputError(
                f"MicroCinema: latents of shape {list(latent.shape)} are not this model's, which have "
                f"{self.latent_channels} channels; make them with its own VAE"
            )
        return (latent - self.mean.to(latent)) / self.std.to(latent)

    def process_out(self, latent: Tensor) -> Tensor:
        """Model-space latents [N, C, ...] -> the VAE's."""
        return latent * self.std.to(latent) + self.mean.to(latent)


def latent_format(config: LatentConfig, vae: Any = None) -> comfy.latent_formats.LatentFormat:
    """Stable Diffusion's own where the numbers are its own; else one whose preview colours are fitted to `vae`."""
    if config == LatentConfig():
        return comfy.latent_formats.SD15()
    made = LatentFormat(config)
    if vae is not None:
        made.latent_rgb_factors, made.latent_rgb_factors_bias = preview_factors(vae, made)
    return made


@torch.no_grad()
def preview_factors(vae: Any, into: comfy.latent_formats.LatentFormat) -> tuple[list[list[float]], list[float]]:
    """Least squares from model-space latents of flat colours to those colours in -1..1: (factors [C][3], bias [3]).

    Every position counts, not a picture's mean: how latents vary within one colour tells which of them to trust less.
    """
    levels = torch.tensor(LEVELS)
    colours = torch.cartesian_prod(levels, levels, levels)  # [N, 3]
    pictures = colours[:, None, None].expand(-1, PATCH, PATCH, -1)
    latents = into.process_in(vae.encode(pictures).float()).cpu()  # [N, C, h, w]
    seen = latents.movedim(1, -1).flatten(1, 2)  # [N, h*w, C]
    known = torch.cat([seen, torch.ones(*seen.shape[:2], 1)], dim=-1).flatten(0, 1)
    wanted = (2 * colours - 1).repeat_interleave(seen.shape[1], dim=0)
    solved = torch.linalg.lstsq(known, wanted).solution
    return solved[:-1].tolist(), solved[-1].tolist()
