"""MicroCinema Compose: what a model painted, on the camera's own frames, at their size and with their detail."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import comfy.model_management
import comfy.utils
import torch
import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.checkpoint.embedded import POCKET, embedded
from ..microcinema_core.config import Kind
from ..microcinema_core.errors import CheckpointError, InputError
from ..microcinema_core.shot.composing import compose, resized, switched_off
from ..microcinema_core.shot.dials import Dial
from .composer import load_composer_patcher, loaded
from .dials import choice
from .finite import is_finite
from .node import Node
from .pictures import check_pictures
from .told import tell

TITLE = "MicroCinema Compose"


class Detail(StrEnum):
    """How the camera's own detail comes back."""

    COMPOSER = "composer"
    PLAIN = "plain"


DETAIL = Dial("Composer: Pocket's network weighs the detail. Plain: it is added as it is; for other VAEs.")


class MicroCinemaCompose(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaCompose",
            display_name=TITLE,
            category="MicroCinema",
            description="What a model painted, on MicroCinema Render's frames, at their size and with their detail.",
            search_aliases=["upscale", "restore detail", "paint the difference", "composite", "full resolution"],
            inputs=[
                io.Latent.Input("latent", tooltip="What the model made, a latent for each frame."),
                io.Image.Input("frames", tooltip="MicroCinema Render's frames, at the size that is wanted."),
                io.Vae.Input("vae", tooltip="The model's own."),
                choice("detail", DETAIL, Detail, Detail.PLAIN),
                io.Mask.Input(
                    "unknown", optional=True, tooltip="Render's unknown: 1 where the frame is the model's alone."
                ),
                io.Mask.Input(
                    "asked", optional=True, tooltip="1 where anything was asked of the model; elsewhere frames stay."
                ),
            ],
            outputs=[io.Image.Output(display_name="frames", tooltip="For Create Video, at the size of the input.")],
        )

    @classmethod
    def run(
        cls,
        latent: dict[str, Any],
        frames: Tensor,
        vae: Any,
        detail: str,
        unknown: Tensor | None = None,
        asked: Tensor | None = None,
    ) -> io.NodeOutput:
        """latent: [T, C, h, w]; frames: IMAGE [T, H, W, 3]; masks [1 or T, H, W] -> IMAGE [T, H, W, 3]."""
        check_pictures(frames, f"{TITLE}: frames")
        samples: Tensor = latent["samples"]
        check_latents(samples, len(frames), getattr(vae, "latent_channels", samples.shape[1]))
        drawn = frames[..., :3]
        known = None if unknown is None else 1 - _mask(unknown, drawn, "unknown")
        where = None if asked is None else _mask(asked, drawn, "asked")
        patcher = _patcher() if detail == Detail.COMPOSER else None
        return io.NodeOutput(composed(samples, drawn, vae, known, where, patcher))


def check_latents(samples: Tensor, count: int, channels: int) -> None:
    """Raises InputError for latents that are not one of each frame, are another VAE's, or hold no numbers."""
    if samples.ndim != 4 or 0 in samples.shape or samples.shape[1] != channels:
        raise InputError(
            f"{TITLE}: latent has shape {list(samples.shape)}, this VAE's are [frames, {channels}, h, w]; connect a "
            "sampler's latent and the VAE that belongs to its model"
        )
    if len(samples) != count:
        raise InputError(
            f"{TITLE}: latent holds {len(samples)} frames, and {count} were rendered; give MicroCinema Render as many"
        )
    if not is_finite(samples):
        raise InputError(f"{TITLE}: latent holds NaN or infinity; look for the node it comes from")


def _mask(mask: Tensor, frames: Tensor, name: str) -> Tensor:
    """MASK [1 or T, h, w], scaled to the frames [T, H, W, 3]: [1 or T, 1, H, W] in 0..1."""
    mask = mask[None] if mask.ndim == 2 else mask
    if mask.ndim != 3 or 0 in mask.shape or len(mask) not in (1, len(frames)):
        raise InputError(
            f"{TITLE}: {name} has shape {list(mask.shape)}; connect one mask, or one for each of {len(frames)} frames"
        )
    if not is_finite(mask):
        raise InputError(f"{TITLE}: {name} holds NaN or infinity; look for the node it comes from")
    shaped = mask[:, None].float().clamp(0, 1)
    if shaped.shape[2:] == frames.shape[1:3]:
        return shaped
    return F.interpolate(shaped, tuple(frames.shape[1:3]), mode="bilinear", align_corners=False, antialias=True)


def _patcher() -> Any:
    """The embedded composer; None, which is said, where its file is not there: then the plain form is taken."""
    try:
        return load_composer_patcher(embedded(Kind.COMPOSER, POCKET))
    except CheckpointError as error:
        tell(TITLE, f"detail is added as it is: {error}", "detail: plain, as the composer's file is not there")
        return None


def composed(
    samples: Tensor, frames: Tensor, vae: Any, known: Tensor | None, asked: Tensor | None, patcher: Any
) -> Tensor:
    """All frames, IMAGE [T, H, W, 3], where the host keeps results, one after the other. The user may cancel.

    samples: [T, C, h, w]; frames: [T, H, W, 3]; known, asked: [1 or T, 1, H, W] or None.
    """
    management = comfy.model_management
    made = torch.empty(frames.shape, dtype=torch.float32, device=management.intermediate_device())
    bar = comfy.utils.ProgressBar(len(frames))
    for index in range(len(frames)):
        management.throw_exception_if_processing_interrupted()
        drawn = frames[index : index + 1].float().movedim(-1, 1)
        seen = torch.ones_like(drawn[:, :1]) if known is None else _of(known, index)
        where = None if asked is None else _of(asked, index)
        if where is not None and bool(switched_off(seen, where)):
            made[index].copy_(drawn[0].movedim(0, -1))
        else:
            one = _composed(samples[index : index + 1], drawn, vae, seen, where, patcher)
            made[index].copy_(one[0].movedim(0, -1))
        bar.update(1)
    return made


def _of(masks: Tensor, index: int) -> Tensor:
    """The frame's mask [1, 1, H, W] of one for all, or of one for each."""
    return masks if len(masks) == 1 else masks[index : index + 1]


def _composed(sample: Tensor, drawn: Tensor, vae: Any, known: Tensor, asked: Tensor | None, patcher: Any) -> Tensor:
    """One frame [1, 3, H, W]."""
    model_made = _decoded(vae, sample)
    small = resized(drawn, (model_made.shape[2], model_made.shape[3])).movedim(1, -1)
    encoded: Tensor = vae.encode(small)
    if encoded.shape != sample.shape:
        raise InputError(
            f"{TITLE}: latent has shape {list(sample.shape)[1:]} for each frame, and this VAE makes "
            f"{list(encoded.shape)[1:]} of what it decodes to; connect the VAE that belongs to the model"
        )
    guide = _decoded(vae, encoded)
    network = None if patcher is None else loaded(patcher)
    device = comfy.model_management.get_torch_device()
    parts = [part.to(device) for part in (model_made, guide, drawn, known)]
    return compose(*parts, network, None if asked is None else asked.to(device))


def _decoded(vae: Any, sample: Tensor) -> Tensor:
    """Pixels [1, 3, h, w] in 0..1."""
    picture: Tensor = vae.decode(sample)
    if picture.ndim != 4 or len(picture) != 1 or picture.shape[3] != 3:
        raise InputError(
            f"{TITLE}: this VAE makes {list(picture.shape)} of one frame's latent; connect one of single pictures, "
            "that of the model"
        )
    return picture.float().movedim(-1, 1).clamp(0, 1)
