"""The Appearance Noise Prior's second dial, gamma, as a LATENT for any stock sampler and as a NOISE for any model.

x = a n + b latent is how the host starts at denoise 1; with latent = (a / b) gamma z_c that is a (n + gamma z_c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.sample
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.config import DiffusionConfig
from ..microcinema_core.diffusion.noise import gamma_for, prior_mean, start_noise
from ..microcinema_core.errors import InputError
from ..microcinema_core.models.guide import Guide
from ..microcinema_core.shot.settings import GAMMA
from ..microcinema_core.shot.timing import FRAMES
from .conditions import by_frame, model_guide
from .dials import CLIP, seed_input, widget
from .guiding import frames_guide, guide_inputs
from .model import HostModel
from .node import Node
from .pictures import check_pictures
from .vae import check_image, encode_keyframes

AUTO, VALUE = "auto", "value"
LATENT = "Appearance Noise Prior Latent"


def gamma_input() -> io.DynamicCombo.Input:
    usual = DiffusionConfig().prior_gamma
    return io.DynamicCombo.Input(
        "gamma",
        options=[
            io.DynamicCombo.Option(AUTO, []),
            io.DynamicCombo.Option(VALUE, [widget(VALUE, GAMMA, usual)]),
        ],
        tooltip=f"{GAMMA.help} auto: what the model's file says, else {usual:g}; 0 where sampling starts from pure "
        "noise by design.",
    )


def keyframe_inputs() -> list[io.Input]:
    return [
        io.Model.Input("model", tooltip="The model that will sample."),
        io.Vae.Input("vae", tooltip="The VAE that belongs to the model."),
        io.Image.Input("keyframe", tooltip="The clip's keyframe; a batch is several clips."),
    ]


def start(model: Any) -> tuple[float, float]:
    """(a, b): what the host multiplies noise and latent by at the start of sampling, where abar = (b / a)^2.

    Raises InputError for a MODEL of ours that another node has made the host read as one of another kind.
    """
    sampling = model.get_model_object("model_sampling")
    if isinstance(model.model, HostModel):
        model.model.check_read_by(sampling)
    sigma = torch.as_tensor(sampling.sigma_max, dtype=torch.float32).cpu()
    zero, one = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    of_noise = sampling.noise_scaling(sigma, one.clone(), zero.clone(), max_denoise=True)
    of_latent = sampling.noise_scaling(sigma, zero.clone(), one.clone(), max_denoise=True)
    return float(of_noise), float(of_latent)


def gamma_of(model: Any, gamma: dict[str, Any]) -> float:
    """The number that was chosen, or what `auto` means for this model."""
    if gamma["gamma"] == VALUE:
        return float(gamma[VALUE])
    a, b = start(model)
    stored = model.model.header.config.diffusion if isinstance(model.model, HostModel) else DiffusionConfig()
    return gamma_for(None, stored, signal=(b / a) ** 2)


def model_space(model: Any, latents: Tensor) -> Tensor:
    """The VAE's latents [N, C, ...] as the model takes them, float32."""
    scaled: Tensor = model.get_model_object("latent_format").process_in(latents.float())
    return scaled


def check_form(model: Any) -> Any:
    """The host's latent format. Raises InputError for a MODEL whose frames are no batch."""
    form = model.get_model_object("latent_format")
    if form.latent_dimensions != 2:
        raise InputError(
            f"{LATENT}: this model's latents hold frames in a dimension of their own; "
            "use Appearance Noise Prior Noise with SamplerCustomAdvanced"
        )
    return form


def prior_latent(model: Any, guide: Guide, frames: int, gamma: float) -> dict[str, Any]:
    """A LATENT [N * frames, C, h, w] that gives every clip the noise of its single run, and gamma z_c.

    guide: model-space latents of N clips.
    """
    form = check_form(model)
    a, b = start(model)
    if gamma and b / a < 1e-6:
        raise InputError(
            f"{LATENT}: this model leaves the latent out of its start (flow matching); "
            "use Appearance Noise Prior Noise with SamplerCustomAdvanced"
        )
    mean = prior_mean(guide, a / b * gamma) if gamma else None
    samples = torch.zeros_like(guide.latents) if mean is None else by_frame(mean, form.process_out)
    samples = samples.expand(-1, -1, frames, -1, -1).transpose(1, 2).flatten(0, 1).contiguous()
    return {"samples": samples, "batch_index": list(range(frames)) * guide.clips}


class NoisePriorLatent(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaNoisePriorLatent",
            display_name=LATENT,
            category="MicroCinema",
            description="Latents to sample a clip from with KSampler at denoise 1: the noise will hold a little of the "
            "keyframe. Also the empty latents of the right size and number.",
            search_aliases=["empty latent video", "microcinema latent", "noise prior", "gamma"],
            inputs=[
                *keyframe_inputs(),
                widget("frames", FRAMES, CLIP.frames, "As in AppearNet Encode."),
                gamma_input(),
                *guide_inputs(),
            ],
            outputs=[io.Latent.Output(tooltip="For a sampler at denoise 1, from its first step on.")],
        )

    @classmethod
    def run(
        cls,
        model: Any,
        vae: Any,
        keyframe: Tensor,
        frames: int,
        gamma: dict[str, Any],
        guide: Tensor | None = None,
        guide_mask: Tensor | None = None,
    ) -> io.NodeOutput:
        """keyframe: IMAGE [N, H, W, 3], one for each clip; guide: IMAGE [N * frames, H, W, 3], in 0..1 both.

        -> a LATENT [N * frames, C, h, w].
        """
        share, form = gamma_of(model, gamma), check_form(model)
        given = Guide(encode_keyframes(vae, keyframe, form.latent_channels).unsqueeze(2))
        if guide is not None:
            given = frames_guide(vae, LATENT, guide, guide_mask, len(keyframe), frames, form.latent_channels)
        return io.NodeOutput(prior_latent(model, model_guide(given, form), frames, share))


@dataclass(frozen=True, slots=True, eq=False)
class PriorNoise:
    """The host's NOISE: n + gamma z_c, in the model's own space, as the host scales latents but not noise.

    z_c: [N, C, h, w], or [N, C, T or 1, h, w] for latents with a dimension of frames.
    """

    seed: int
    gamma: float
    z_c: Tensor

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """For a LATENT [clips * frames, C, h, w], or [clips, C, T, h, w], noise of its shape on the CPU."""
        samples = input_latent["samples"]
        if samples.is_nested:
            raise InputError("Appearance Noise Prior Noise: latents of several kinds at once are not supported")
        noise: Tensor = comfy.sample.prepare_noise(samples, self.seed, input_latent.get("batch_index"))
        held = input_latent.get("noise_mask")  # what a mask holds is noised anew at every step, and not by gamma
        known = None if held is None else comfy.utils.reshape_mask(held, samples.shape).cpu()
        guide = Guide(self._per_row(samples).to(noise), known)  # noise is on the CPU wherever latents are
        return start_noise(noise, guide, self.gamma)

    def _per_row(self, samples: Tensor) -> Tensor:
        """z_c for each row of the batch, whose clips follow one another."""
        rows, clips = samples.shape[0], self.z_c.shape[0]
        steps = self.z_c.shape[2:-2] in ((), (1,), tuple(samples.shape[2:-2]))
        if rows % clips or samples.ndim != self.z_c.ndim or samples.shape[-2:] != self.z_c.shape[-2:] or not steps:
            raise InputError(
                f"Appearance Noise Prior Noise: {clips} keyframes of latents {list(self.z_c.shape[1:])} do not fit "
                f"latents of shape {list(samples.shape)}; encode keyframes of the latents' size"
            )
        return self.z_c.repeat_interleave(rows // clips, dim=0).expand_as(samples)


class NoisePriorNoise(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MicroCinemaNoisePriorNoise",
            display_name="Appearance Noise Prior Noise",
            category="MicroCinema",
            description="Noise for SamplerCustomAdvanced that holds a little of the keyframe, for any model.",
            search_aliases=["noise prior", "random noise", "image noise", "gamma"],
            inputs=[
                *keyframe_inputs(),
                seed_input(),
                gamma_input(),
                guide_inputs()[0],
            ],
            outputs=[io.Noise.Output(tooltip="For SamplerCustomAdvanced, at full denoise.")],
        )

    @classmethod
    def run(
        cls, model: Any, vae: Any, keyframe: Tensor, seed: int, gamma: dict[str, Any], guide: Tensor | None = None
    ) -> io.NodeOutput:
        """keyframe: IMAGE [N, H, W, 3] in 0..1, one for each clip; guide: IMAGE [T, H, W, 3] of one -> a NOISE."""
        check_image(keyframe)
        if guide is None:
            # One by one: a video VAE would take a batch for the frames of one clip.
            latents = torch.cat([vae.encode(picture[None, ..., :3]) for picture in keyframe])
        else:
            check_pictures(guide, "Appearance Noise Prior Noise: guide")
            latents = vae.encode(guide[..., :3])
        return io.NodeOutput(PriorNoise(seed, gamma_of(model, gamma), model_space(model, latents)))
