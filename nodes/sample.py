"""MicroCinema Sampler: the second stage in one node, with all frames in its preview."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.config import Kind
from ..microcinema_core.errors import InputError
from ..microcinema_core.models.guide import Guide
from ..microcinema_core.shot.hold import hold
from ..microcinema_core.shot.plan import SHOT
from ..microcinema_core.shot.settings import SAMPLING
from .agreement import check_agreement
from .conditions import KEY, Encoded, model_guide
from .dials import seed_input, setting
from .model import HostModel
from .node import Node
from .prior import gamma_input, gamma_of, keyframe_inputs, model_space, prior_latent
from .vae import encode_keyframes

SCHEDULER = "sgm_uniform"  # evenly spaced in time from the noisiest on, as the core's own schedule
PREVIEW = "JPEG"


class MicroCinemaSampler(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        model, vae, keyframe = keyframe_inputs()
        return io.Schema(
            node_id="MicroCinemaSampler",
            display_name="MicroCinema Sampler",
            category="MicroCinema",
            description="Makes the clip around the keyframe: noise prior, sampling and exact keyframe in one node.",
            search_aliases=["ksampler", "video sampler", "image to video", "animate picture"],
            inputs=[
                model,
                io.Conditioning.Input("positive", tooltip="From AppearNet Encode."),
                io.Conditioning.Input("negative", tooltip="From AppearNet Encode."),
                vae,
                keyframe,
                gamma_input(),
                seed_input(),
                setting(SAMPLING, "steps"),
                setting(SAMPLING, "cfg"),
                io.Combo.Input(
                    "sampler_name",
                    options=comfy.samplers.KSampler.SAMPLERS,
                    default=SAMPLING.sampler,
                    tooltip="Any of them; those that draw fresh noise are exact too.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.KSampler.SCHEDULERS,
                    default=SCHEDULER,
                    tooltip="How the steps are spread over the noise levels.",
                ),
                setting(SHOT, "exact_keyframe", advanced=True),
            ],
            outputs=[io.Latent.Output(tooltip="The clip's frames; decode them with VAE Decode.")],
        )

    @classmethod
    def run(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        vae: Any,
        keyframe: Tensor,
        gamma: dict[str, Any],
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        exact_keyframe: bool,
    ) -> io.NodeOutput:
        """keyframe: IMAGE [N, H, W, 3] in 0..1, those that AppearNet Encode was given -> a LATENT [N * T, C, h, w].

        Raises InputError for conditioning that did not come from there, and for another number of keyframes.
        """
        encoded = _encoded(model, positive)
        if keyframe.shape[0] != encoded.clips:
            raise InputError(
                f"MicroCinema Sampler: {keyframe.shape[0]} keyframes are given and AppearNet Encode was given "
                f"{encoded.clips}; connect the same pictures to both"
            )
        form = model.get_model_object("latent_format")
        keyframes = encode_keyframes(vae, keyframe, form.latent_channels)
        led = encoded.guide.latents.shape[2] > 1
        if led:
            check_agreement(
                encoded, keyframes.repeat_interleave(encoded.frames, 0), model.model.header.config.latent.downscale
            )
        guide = encoded.guide if led else model_guide(Guide(keyframes.unsqueeze(2)), form)
        latent = prior_latent(model, guide, encoded.frames, gamma_of(model, gamma))
        exact = keyframes if exact_keyframe else None
        sampled = model if exact is None else anchored(model, exact, encoded)
        samples = comfy.sample.sample(
            sampled,
            comfy.sample.prepare_noise(latent["samples"], seed, latent["batch_index"]),
            steps,
            cfg,
            sampler_name,
            scheduler,
            positive,
            negative,
            latent["samples"],
            callback=sheet_callback(model, steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=seed,
        )
        if exact is not None:
            samples = held(samples, exact, encoded)
        return io.NodeOutput({"samples": samples, "batch_index": latent["batch_index"]})


def _encoded(model: Any, positive: Any) -> Encoded:
    if not isinstance(model.model, HostModel) or model.model.header.kind is not Kind.VIDEO:
        raise InputError("MicroCinema Sampler: this MODEL is no MicroCinema video model; take it from Load MicroCinema")
    encoded = positive[0][1].get(KEY) if positive else None
    if encoded is None:
        raise InputError(
            "MicroCinema Sampler: the positive conditioning did not pass through AppearNet Encode; "
            "connect both outputs of AppearNet Encode"
        )
    found: Encoded = encoded
    return found


def held(latents: Tensor, keyframes: Tensor, encoded: Encoded) -> Tensor:
    """Latents [N*T, C, h, w] with each clip's own keyframe [N, C, h, w] at its frame."""
    clips = latents.unflatten(0, (-1, encoded.frames)).transpose(1, 2)  # [N, C, T, h, w]
    return hold(clips, Guide(keyframes.unsqueeze(2)), encoded.key).transpose(1, 2).flatten(0, 1)


def anchored(model: Any, keyframes: Tensor, encoded: Encoded) -> Any:
    """A clone whose estimate is the keyframe, VAE latents [N, C, h, w], at its frame: its neighbours follow it."""
    exact = model_space(model, keyframes)
    clone = model.clone()
    clone.set_model_sampler_post_cfg_function(lambda given: held(given["denoised"], exact, encoded))
    return clone


def sheet_callback(model: Any, steps: int) -> Callable[[int, Tensor, Tensor, int], None]:
    """The host's progress and preview, with all frames side by side in one picture."""
    form = model.get_model_object("latent_format")
    previewer = latent_preview.get_previewer(model.load_device, form)
    bar = comfy.utils.ProgressBar(steps)

    def callback(step: int, x0: Tensor, x: Tensor, total: int) -> None:
        shown = None if previewer is None else previewer.decode_latent_to_preview_image(PREVIEW, sheet(x0))
        bar.update_absolute(step + 1, total, shown)

    return callback


def sheet(latents: Tensor) -> Tensor:
    """[N, C, h, w] -> [1, C, rows * h, columns * w], in reading order; what is left over is 0."""
    count, _, height, width = latents.shape
    columns = min(count, max(1, round(math.sqrt(count * height / width))))
    rows = math.ceil(count / columns)
    filled = torch.cat([latents, latents.new_zeros(rows * columns - count, *latents.shape[1:])])
    grid = filled.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)  # [C, rows, h, columns, w]
    return grid.flatten(3, 4).flatten(1, 2)[None]
