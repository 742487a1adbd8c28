"""MicroCinema's networks as the host's MODEL: any sampler, scheduler, LoRA, ControlNet or merge of the host applies."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import comfy.conds
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.model_base import ModelType
from torch import Tensor

from ..microcinema_core.checkpoint.format import UNET, Header, expect_fit
from ..microcinema_core.checkpoint.load import unet_outline
from ..microcinema_core.checkpoint.sections import Section, find_section
from ..microcinema_core.config import DiffusionConfig, Kind, Prediction, ScheduleName
from ..microcinema_core.diffusion.schedule import CosineSchedule
from ..microcinema_core.errors import CheckpointError, InputError, shown
from ..microcinema_core.motion.fill import filled_latents
from .agreement import check_agreement, check_rows
from .conditions import KEY, CONDEncoded, CONDPrompts, Encoded, Placed, check_prompts
from .files import SAVED_HEADER, header_tensor, read_file
from .finite import Watch, check_result, is_finite
from .guests import check_call, check_guidance, check_levels, check_sampling
from .latents import latent_format
from .network import Clips, HostUNet

SETTINGS: dict[ScheduleName, dict[str, Any]] = {
    ScheduleName.SD: {},
    ScheduleName.SD_ZSNR: {"zsnr": True},
    ScheduleName.COSINE: {"sigma_min": CosineSchedule.sigma_min, "sigma_max": CosineSchedule.sigma_max},
}
FILLS = ("masked_image", "mask_inverted")  # what a model that fills is told, by the host's names, in our order
SD_CHANNELS = 320  # of the first level
TYPES = {
    (ScheduleName.SD, Prediction.EPS): ModelType.EPS,
    (ScheduleName.SD, Prediction.V): ModelType.V_PREDICTION,
    (ScheduleName.SD_ZSNR, Prediction.V): ModelType.V_PREDICTION,
    (ScheduleName.SD_ZSNR, Prediction.EPS): ModelType.EPS,
    (ScheduleName.COSINE, Prediction.V): ModelType.V_PREDICTION_CONTINUOUS,
}


class HostConfig(comfy.supported_models_base.BASE):
    """Without `num_res_blocks` in `unet_config`, LoRAs of the diffusers layout map onto our keys by name."""

    unet_extra_config: dict[str, Any] = {}  # noqa: RUF012  the host's own shape of it
    # At Stable Diffusion's width, for each frame of the batch: 1.0 of it are the activations, the rest is for what
    # kernels use inside themselves.
    memory_usage_factor = 1.5

    def __init__(self, header: Header, vae: Any = None) -> None:
        super().__init__({"config": header.config.unet})
        self.header = header
        self.memory_usage_factor *= header.config.unet.block_out_channels[0] / SD_CHANNELS
        self.sampling_settings = dict(SETTINGS[header.config.diffusion.schedule])
        self.latent_format = latent_format(header.config.latent, vae)

    def model_type(self, state_dict: Any = None, prefix: str = "") -> ModelType:
        """How the host reads the network's output. Raises CheckpointError for a combination that it cannot sample."""
        diffusion: DiffusionConfig = self.header.config.diffusion
        kind = TYPES.get((diffusion.schedule, diffusion.prediction))
        if kind is None:
            raise CheckpointError(
                f"a model with the {diffusion.schedule} schedule and {diffusion.prediction}-prediction cannot be "
                "sampled here; train it with v-prediction"
            )
        return kind

    def get_model(self, state_dict: Any, prefix: str = "", device: Any = None) -> HostModel:
        return HostModel(self, model_type=self.model_type(), device=device)


class HostModel(comfy.model_base.BaseModel):
    """Frames are in the batch, [clips * frames, C, h, w]; lambda z_c is added here, so every sampler is exact."""

    def __init__(self, model_config: HostConfig, model_type: ModelType, device: Any = None) -> None:
        super().__init__(model_config, model_type, device=device, unet_model=HostUNet)
        self.header = model_config.header
        self.concat_keys = FILLS if self.header.config.unet.fills else ()
        self.watch = Watch()
        self.levels: Tensor | None = None  # of the run under way, once they are checked

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        self.watch, self.levels = Watch(), None  # a run begins; one that was stopped has left its own
        noise: Tensor = kwargs["noise"]
        self._check_latents(noise, kwargs.get("latent_image"))
        out = super().extra_conds(**kwargs)
        self._check_guests(noise.shape[0])
        prompts, what = self._prompts(kwargs), f"MicroCinema: the {kwargs['prompt_type']} conditioning"
        out["c_crossattn"] = CONDPrompts(prompts)
        if not self.header.kind.needs_appearance:
            check_prompts(prompts, noise.shape[0], what)
            return out
        encoded = self._encoded(kwargs, noise)
        check_prompts(prompts, encoded.clips, what)
        device, dtype = kwargs["device"], self.get_dtype_inference()
        out["encoded"] = CONDEncoded(Placed.of(encoded, device, dtype, self.model_sampling))
        seconds = torch.tensor(encoded.seconds, dtype=torch.float32, device=device).repeat(encoded.clips)
        out["seconds"] = comfy.conds.CONDRegular(seconds)
        if encoded.acting.share_attention:
            out["from_key"] = comfy.conds.CONDRegular(torch.tensor(encoded.from_key).repeat(encoded.clips))
        out["num_video_frames"] = comfy.conds.CONDConstant(encoded.frames)
        return out

    def concat_cond(self, **kwargs: Any) -> Tensor | None:
        """For a model that fills: latents and how much of each place is known, [N, C + 1, h, w]; None for others.

        The host's nodes leave grey or the picture itself in a hole: a pyramid's colour takes its place.
        """
        told: Tensor | None = super().concat_cond(**kwargs)
        if told is None:
            return None
        latents, known = told[:, :-1], told[:, -1:]
        return torch.cat([filled_latents(latents.float(), known.float()), known], dim=1).to(told)

    def blank_inpaint_image_like(self, latents: Tensor) -> Tensor:
        """What is known of a picture without a mask: nothing, [N, C, h, w] of zeros."""
        return torch.zeros_like(latents)

    def apply_model(self, x: Tensor, t: Tensor, *given: Any, **named: Any) -> Tensor:
        """The estimate of noisy x [N, C, h, w], in that shape. Raises InputError where the last one was none."""
        estimate: Tensor = super().apply_model(x, t, *given, **named)
        self.watch.see(estimate, x, t, named.get("transformer_options") or {})
        return estimate

    def _apply_model(
        self,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        options = transformer_options or {}
        check_call(options)
        if options.get("sample_sigmas") is not self.levels:  # reading them waits for the device
            check_levels(options, self.model_sampling)
            self.levels = options.get("sample_sigmas")
        placed: Placed | None = kwargs.pop("encoded", None)
        if placed is not None:
            frames, seconds = kwargs.pop("num_video_frames"), kwargs.pop("seconds")
            from_key = kwargs.pop("from_key", None)
            check_rows(x, options, placed.source, frames, self.header.config.latent.downscale)
            x = placed.shifted(x, t, frames, self.header.config.diffusion.prior_lambda)
            acting = placed.acts(t)
            # A context window without the keyframe shares the frame that is nearest to it.
            shared = int(from_key[:frames].argmin()) if acting and from_key is not None else None
            kwargs["clips"] = Clips(frames, placed.appearance if acting else None, seconds, shared)
        return super()._apply_model(x, t, c_concat, c_crossattn, control, options, **kwargs)

    def process_latent_out(self, latent: Tensor) -> Tensor:
        """Sampled latents [N, C, h, w] as the VAE's. Raises InputError where they are no numbers."""
        out: Tensor = super().process_latent_out(latent)
        self.watch.settle()
        check_result(out)
        return out

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, Any]:
        """The features too, which the host moves to the device after it has made room there."""
        shapes: dict[str, Any] = super().extra_conds_shapes(**kwargs)
        encoded: Encoded | None = kwargs.get(KEY)
        return shapes if encoded is None else shapes | {KEY: [encoded.numbers]}

    def memory_required(self, input_shape: Any, cond_shapes: Any = None) -> float:
        """Bytes of activations, and of the largest features: prompts of one run share them."""
        given = cond_shapes or {}
        features = max((numbers for (numbers,) in given.get(KEY, ())), default=0)
        size: int = comfy.model_management.dtype_size(self.get_dtype_inference())
        activations: float = super().memory_required(input_shape, cond_shapes=given)
        return activations + features * size

    def resize_cond_for_context_window(
        self, cond_key: str, cond_value: Any, window: Any, x_in: Tensor, device: Any, retain_index_list: Any = ()
    ) -> Any:
        """The frames in a context window, and what the guide says of them; None leaves all else to the host.

        x_in: [rows, C, h, w]. A window may have an anchor frame in front, which the host's own count leaves out.
        """
        if cond_key not in ("num_video_frames", "encoded"):
            return None
        anchor = getattr(window, "causal_anchor_index", None)
        frames = [*([anchor] if anchor is not None and anchor >= 0 else []), *window.index_list]
        if cond_key == "encoded":
            return CONDEncoded(cond_value.cond.window(frames))
        return comfy.conds.CONDConstant(len(frames))

    def state_dict_for_saving(
        self, unet_state_dict: dict[str, Tensor], *parts: Any, **kwargs: Any
    ) -> dict[str, Tensor]:
        """The network's tensors, and the header as one of bytes [N], since the host's savers drop our metadata."""
        state: dict[str, Tensor] = super().state_dict_for_saving(unet_state_dict, *parts, **kwargs)
        return state | {SAVED_HEADER: header_tensor(self.header)}

    def _check_latents(self, noise: Tensor, latents: Tensor | None) -> None:
        channels = self.header.config.unet.in_channels
        if noise.ndim != 4 or noise.shape[1] != channels:
            raise InputError(
                f"MicroCinema: the latents have shape {list(noise.shape)}; this model takes {channels} channels with "
                "frames in the batch: use its own VAE, or Empty Latent Image with batch_size as the number of frames"
            )
        if latents is not None and not is_finite(latents):
            raise InputError("MicroCinema: the latents hold NaN or infinity; look for the node they come from")

    def check_read_by(self, sampling: Any) -> None:
        """Raises InputError for a sampling of the host's that reads the network as one of another kind."""
        check_sampling(sampling, comfy.model_base.model_sampling(self.model_config, self.model_type))

    def _check_guests(self, frames: int) -> None:
        """What other nodes change of a whole run."""
        self.check_read_by(self.model_sampling)
        if self.current_patcher is not None:
            check_guidance(self.current_patcher.model_options, frames)

    def _prompts(self, given: dict[str, Any]) -> Tensor:
        unet = self.header.config.unet
        text, width = given.get("cross_attn"), unet.cross_attention_dim
        if not unet.reads_text:
            return torch.zeros(1, 1, width)
        if text is None or text.shape[-1] != width:
            found = "none" if text is None else f"{text.shape[-1]} wide"
            raise InputError(
                f"MicroCinema: the {given['prompt_type']} text embedding is {found}, this model reads {width}; "
                "encode the prompt with the CLIP of the same Load MicroCinema"
            )
        prompts: Tensor = text
        return prompts

    def _encoded(self, given: dict[str, Any], noise: Tensor) -> Encoded:
        encoded: Encoded | None = given.get(KEY)
        branch = given["prompt_type"]
        if encoded is None and self.header.kind is Kind.TSR:
            raise InputError("MicroCinema: this is a temporal super-resolution model; use it with TSR Interpolate")
        if encoded is None:
            raise InputError(
                f"MicroCinema: a {branch} conditioning did not pass through AppearNet Encode, so the video model lacks "
                "the keyframe; connect both positive and negative of AppearNet Encode, and for each further input of a "
                "guider (empty_conditioning, cond2) the output of a second AppearNet Encode with the same settings"
            )
        if encoded.unet != self.header.config.unet:
            raise InputError(
                f"MicroCinema: the {branch} conditioning was encoded by another model's AppearNet; take MODEL and "
                "APPEARNET from one Load MicroCinema"
            )
        if "area" in given:
            raise InputError(
                f"MicroCinema: the {branch} conditioning is limited to an area, which the keyframe's features are "
                "not; remove what limits it, or use Conditioning (Set Mask) with set_cond_area `default`"
            )
        check_agreement(encoded, noise, self.header.config.latent.downscale)
        return encoded


def load_model(path: Path, disable_dynamic: bool = False) -> Any:
    """A MODEL from a file's path alone, as the host makes another one when it needs it."""
    from .vae import load_vae

    checkpoint = read_file(path)
    section = find_section(UNET, path, checkpoint)
    try:
        vae = load_vae(path, checkpoint)
    except CheckpointError:
        vae = None  # previews have no colours then
    return make_model(section, vae, disable_dynamic)


def make_model(section: Section, vae: Any = None, disable_dynamic: bool = False) -> Any:
    """A ModelPatcher around the U-Net of a file. Raises CheckpointError where its tensors are not those it describes.

    vae: the host's VAE of the same latents, for the colours of previews.
    """
    what = f"{section.path.name}: {UNET}"
    expect_fit(unet_outline(section.header.config.unet, section.state, what), section.state, what)

    management = comfy.model_management
    config = HostConfig(section.header, vae)
    load_device, offload_device = management.get_torch_device(), management.unet_offload_device()
    supported = list(config.supported_inference_dtypes)
    dtype = management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(section.state),
        supported_dtypes=supported,
        weight_dtype=comfy.utils.weight_dtype(section.state),
    )
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, load_device, supported), device=load_device)
    model = config.get_model(section.state)
    # FreeU reads it; without it the node fails before the model can say in words that it has no place for FreeU.
    config.unet_config["model_channels"] = section.header.config.unet.block_out_channels[0]
    patcher_class = comfy.model_patcher.ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(model, load_device=load_device, offload_device=offload_device)
    if not management.is_device_cpu(offload_device):
        model.to(offload_device)
    model.load_model_weights(dict(section.state), "", assign=patcher.is_dynamic())
    patcher.cached_patcher_init = (load_model, (section.path,))
    logging.debug("MicroCinema: %s loaded as %s", shown(section.path.name), dtype)
    return patcher
