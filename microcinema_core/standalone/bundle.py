"""What every standalone job starts from: a file's networks, its autoencoder and its text encoder, on one device."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from .. import __version__
from ..backend import Backend, attention_named
from ..checkpoint.addition import Addition
from ..checkpoint.format import read_checkpoint
from ..checkpoint.load import Networks, expect_kind, expect_text_to_image, networks_of
from ..checkpoint.lora_file import with_loras
from ..config import Kind
from ..diffusion.samplers import is_finite
from ..errors import InputError
from ..media import Frames, to_uint8
from ..shot.settings import Precision, SamplingConfig, check_prompt, check_seed
from .autoencoders import LatentCodec
from .components import load_codec, load_text_encoder
from .precision import default_device, dtype_for
from .sampling import Text
from .text import TextEncoder

logger = logging.getLogger("microcinema")


def listed(value: Any) -> list[Any]:
    """A list or tuple as a list, anything else as the one item of a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def seeds_of(value: Any) -> list[int]:
    """One seed, or several, as Python's integers. Raises InputError for what is none."""
    return [check_seed(seed) for seed in listed(value.tolist() if isinstance(value, np.ndarray) else value)]


def aligned(lists: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Lists of one item repeated to the length of the others. Raises InputError where lengths differ."""
    count = max(map(len, lists.values()))
    for name, items in lists.items():
        if len(items) not in (1, count) or not items:
            raise InputError(f"{name}: {len(items)} were given and {count} of another list; give one, or as many")
    return {name: items if len(items) == count else items * count for name, items in lists.items()}


def file_identity(path: Path) -> str:
    """Tells a file from one that replaced it, without reading it."""
    stat = path.stat()
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


class Bundle:
    """Networks, autoencoder and text encoder of one file and its companions, on one device."""

    def __init__(
        self, networks: Networks, codec: LatentCodec, text: TextEncoder, path: Path, loras: Sequence[Addition] = ()
    ) -> None:
        self.networks, self.codec, self.text, self.loras = networks, codec, text, loras
        self.name = path.name
        self.identity = " ".join([file_identity(path), *(f"{file_identity(a.path)} {a.strength}" for a in loras)])
        self.config = networks.header.config

    @classmethod
    def load(
        cls,
        path: str | Path,
        kind: Kind,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        attention: str,
        loras: Sequence[Addition] = (),
    ) -> Self:
        """loras: merged into the U-Net, each by its strength. Raises CheckpointError for files that do not fit."""
        path, backend = Path(path), Backend(attention=attention_named(attention))
        checkpoint = read_checkpoint(path)
        expect_kind(checkpoint.header, path, kind)
        if kind is Kind.IMAGE:
            expect_text_to_image(checkpoint.header, path)
        if loras:
            checkpoint = with_loras(checkpoint, path, loras)
        networks = networks_of(checkpoint, path, backend, kind=kind)
        codec, text = load_codec(path, checkpoint), load_text_encoder(path, checkpoint)
        device = torch.device(device) if device else default_device()
        dtype = dtype or dtype_for(Precision.AUTO, device)
        networks.to_(device, dtype)
        codec.to_(device, dtype)
        frozen: nn.Module = text.model
        frozen.to(device)
        return cls(networks, codec, text, path, loras)

    @property
    def device(self) -> torch.device:
        return next(self.networks.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.networks.unet.parameters()).dtype

    def prompts(self, prompts: Sequence[str]) -> Text:
        """Embeddings of the prompts and of the null prompt."""
        for prompt in dict.fromkeys(prompts):
            if not check_prompt(prompt).strip():
                logger.warning("the prompt is empty: the motion is left to chance")
            elif self.text.truncated(prompt):
                logger.warning("the prompt is longer than the model reads: its end is ignored")
        return Text(self.text.encode(prompts), self.text.encode([""]))

    def size(self) -> tuple[int, int]:
        """Height and width of latents at the size the model was trained for."""
        clip = self.config.clip
        return clip.height // self.codec.downscale, clip.width // self.codec.downscale

    def decode(self, latents: Tensor) -> Frames:
        """[B, C, T, h, w] -> uint8 [B, T, H, W, 3]. Raises InputError for pictures of NaN or infinity."""
        batch, _, frames = latents.shape[:3]
        made = np.concatenate([self._picture(p) for p in self.codec.decoded(latents.transpose(1, 2).flatten(0, 1))])
        return made.reshape(batch, frames, *made.shape[1:])

    def pixels(self, latents: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, 3, H, W], pixels 0..1. Raises InputError for pictures of NaN or infinity."""
        return self._finite(self.codec.decode(latents))

    def _picture(self, pixels: Tensor) -> Frames:
        return to_uint8(self._finite(pixels))

    def _finite(self, pixels: Tensor) -> Tensor:
        if not is_finite(pixels):
            raise InputError(f"{self.name}: its autoencoder made NaN or infinity of the latents; get its files anew")
        return pixels

    def settings(self, config: SamplingConfig, prompts: list[str], seeds: list[int]) -> list[dict[str, Any]]:
        """One dictionary for each result, with what of the sampling there is."""
        common = {
            **{name: value for name, value in asdict(config).items() if value is not None},
            "width": self.config.clip.width,
            "height": self.config.clip.height,
            "model": self.name,
            **({"loras": [f"{lora.path.name}:{lora.strength:g}" for lora in self.loras]} if self.loras else {}),
            "precision": str(self.dtype).removeprefix("torch."),
            "program": f"microcinema {__version__}",
        }
        return [{"prompt": p, "seed": s, **common} for p, s in zip(prompts, seeds, strict=True)]
