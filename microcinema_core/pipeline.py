"""From a picture and a sentence to a clip, and from a sentence to a picture: the standalone jobs.

Wiring only: files become modules (checkpoint), pictures become latents (autoencoder), noise becomes clips (generation).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from . import __version__
from .autoencoder import LatentCodec
from .backend import Backend, attention_named
from .checkpoint.components import load_codec, load_text_encoder
from .checkpoint.format import read_checkpoint
from .checkpoint.load import Networks, networks_of
from .clip.settings import SamplingConfig, check_prompt, check_seed
from .clip.timing import check_frames, frame_times, keyframe_index
from .config import Kind
from .diffusion.samplers import Callback
from .errors import CheckpointError, InputError
from .generation import Conditioning, NoiseStream, check_sampler, sample_latents
from .media import Frames, fit_picture, save_clip, save_picture, to_picture, to_pixels, to_uint8
from .text import TextEncoder

logger = logging.getLogger("microcinema")


@dataclass(frozen=True, slots=True)
class Clips:
    """frames: uint8 RGB [B, T, H, W, 3]. settings: for each clip, all that made it."""

    frames: Frames
    fps: float
    settings: list[dict[str, Any]]

    def save(self, out: str | Path, index: int = 0) -> None:
        """Write one clip as MP4, as numbered PNG files or as a folder of them, by the name's ending."""
        save_clip(out, self.frames[index], self.fps, self.settings[index])


@dataclass(frozen=True, slots=True)
class Pictures:
    """pictures: uint8 RGB [B, H, W, 3]. settings: for each picture, all that made it."""

    pictures: Frames
    settings: list[dict[str, Any]]

    def save(self, out: str | Path, index: int = 0) -> None:
        """Write one picture as a PNG file."""
        save_picture(Path(out), self.pictures[index], self.settings[index])


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _aligned(lists: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Lists of one item repeated to the length of the others. Raises InputError where lengths differ."""
    count = max(map(len, lists.values()))
    for name, items in lists.items():
        if len(items) not in (1, count) or not items:
            raise InputError(f"{name}: {len(items)} were given and {count} of another list; give one, or as many")
    return {name: items if len(items) == count else items * count for name, items in lists.items()}


class Bundle:
    """Networks, autoencoder and text encoder of one file and its companions, on one device."""

    def __init__(self, networks: Networks, codec: LatentCodec, text: TextEncoder, name: str) -> None:
        self.networks, self.codec, self.text, self.name = networks, codec, text, name
        self.config = networks.header.config

    @classmethod
    def load(
        cls, path: Path, kind: Kind, device: torch.device | str | None, dtype: torch.dtype | None, attention: str
    ) -> Self:
        backend = Backend(attention=attention_named(attention))
        checkpoint = read_checkpoint(path)
        networks = networks_of(checkpoint, path, backend, kind=kind)
        codec, text = load_codec(path, checkpoint), load_text_encoder(path, checkpoint)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        for network in (networks.unet, networks.appearnet):
            if network is not None:
                network.to(device, dtype)
        frozen: tuple[nn.Module, ...] = (codec.vae, text.model)
        for module in frozen:
            module.to(device)
        return cls(networks, codec, text, path.name)

    @property
    def device(self) -> torch.device:
        return next(self.networks.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.networks.unet.parameters()).dtype

    def prompts(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings [B, L, D] of the prompts and [1, L, D] of the null prompt."""
        for prompt in dict.fromkeys(prompts):
            if not check_prompt(prompt).strip():
                logger.warning("the prompt is empty: the motion is left to chance")
            elif self.text.truncated(prompt):
                logger.warning("the prompt is longer than the model reads: its end is ignored")
        return self.text.encode(prompts), self.text.encode([""])

    def size(self) -> tuple[int, int]:
        """Height and width of latents at the size the model was trained for."""
        clip = self.config.clip
        return clip.height // self.codec.downscale, clip.width // self.codec.downscale

    def decode(self, latents: Tensor) -> Frames:
        """[B, C, T, h, w] -> uint8 [B, T, H, W, 3]."""
        pixels = self.codec.decode(latents.transpose(1, 2).flatten(0, 1))
        return to_uint8(pixels.unflatten(0, (latents.shape[0], latents.shape[2])))

    def settings(
        self, config: SamplingConfig, prompts: list[str], seeds: list[int], **more: Any
    ) -> list[dict[str, Any]]:
        """One dictionary for each result."""
        common = {
            "steps": config.steps,
            "cfg": config.cfg,
            "sampler": config.sampler,
            **more,
            "width": self.config.clip.width,
            "height": self.config.clip.height,
            "model": self.name,
            "precision": str(self.dtype).removeprefix("torch."),
            "program": f"microcinema {__version__}",
        }
        return [{"prompt": p, "seed": s, **common} for p, s in zip(prompts, seeds, strict=True)]


class MicroCinemaPipeline:
    """A keyframe and a prompt -> a clip around that keyframe."""

    def __init__(self, bundle: Bundle) -> None:
        if bundle.networks.appearnet is None:
            raise CheckpointError(f"{bundle.name}: has no AppearNet; a video model is needed here")
        self.bundle, self.appearnet = bundle, bundle.networks.appearnet

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: str = "sdpa",
    ) -> Self:
        """Load a video model's file, and its companions beside it. Raises CheckpointError for any other file.

        device: None takes a GPU where there is one. dtype: of both networks, None for float32.
        attention: sdpa or xformers.
        """
        return cls(Bundle.load(Path(path), Kind.VIDEO, device, dtype, attention))

    @torch.no_grad()
    def __call__(
        self,
        image: Any,
        prompt: str | Sequence[str],
        *,
        steps: int | None = None,
        cfg: float | None = None,
        sampler: str | None = None,
        gamma: float | None = None,
        seed: int | Sequence[int] = 0,
        keyframe_at: str | int = "centre",
        frames: int | None = None,
        callback: Callback | None = None,
    ) -> Clips:
        """One clip, or several at once where lists are given: of equal length, single values shared by all.

        image: PIL, uint8 [H, W, 3] or float tensor [3, H, W] in 0..1, of any size; cropped around its centre.
        keyframe_at: centre, first, last or an index. frames: None is the number the model was trained for.
        steps, cfg, sampler: None is the default of SamplingConfig; gamma: None is the checkpoint's.
        callback: (steps done, steps in all, estimate of z_0 [B, C, T, h, w]); may raise Cancelled.
        A clip depends on its own seed, not on those made with it. Raises InputError for unusable values.
        """
        config = SamplingConfig.of(steps, cfg, sampler, gamma)
        check_sampler(config.sampler)
        model = self.bundle.config
        count = check_frames(model.clip.frames if frames is None else frames)
        key = keyframe_index(keyframe_at, count)
        images = _listed(image)
        every = _aligned({"image": images, "prompt": _listed(prompt), "seed": _listed(seed)})
        seeds = [check_seed(value) for value in every["seed"]]
        context, null = self.bundle.prompts(every["prompt"])
        z_c = self._keyframe_latents(images)
        appearance = self.appearnet(z_c.to(self.bundle.dtype))
        times = torch.tensor(frame_times(count, model.clip.fps, key), device=self.bundle.device)
        latents = sample_latents(
            self.bundle.networks.unet,
            model.diffusion,
            Conditioning(context, null, appearance, times),
            [NoiseStream(value) for value in seeds],
            (count, *self.bundle.size()),
            config,
            callback,
        )
        settings = self.bundle.settings(
            config,
            every["prompt"],
            seeds,
            gamma=model.diffusion.prior_gamma if config.gamma is None else config.gamma,
            keyframe_at=key,
            frames=count,
            fps=model.clip.fps,
        )
        return Clips(self.bundle.decode(latents), model.clip.fps, settings)

    def _keyframe_latents(self, images: Sequence[Any]) -> Tensor:
        """[N, C, 1, h, w], of each picture once."""
        clip = self.bundle.config.clip
        pictures = [fit_picture(to_picture(image), clip.width, clip.height) for image in images]
        return self.bundle.codec.encode(to_pixels(pictures).to(self.bundle.device)).unsqueeze(2)


class ImagePipeline(ABC):
    """A prompt -> a picture that can serve as keyframe."""

    @staticmethod
    def from_pretrained(
        path: str | Path,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: str = "sdpa",
    ) -> ImagePipeline:
        """A file of this project's image stage, or a local folder of a diffusers text-to-image model such as SDXL."""
        path = Path(path)
        if path.is_dir():
            return DiffusersImages.load(path, device, dtype)
        return EmbeddedImages(Bundle.load(path, Kind.IMAGE, device, dtype, attention))

    @abstractmethod
    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        steps: int | None = None,
        cfg: float | None = None,
        sampler: str | None = None,
        seed: int | Sequence[int] = 0,
        width: int | None = None,
        height: int | None = None,
        callback: Callback | None = None,
    ) -> Pictures:
        """One picture, or several at once where lists are given. None is the model's own default.

        Raises InputError for values that the model cannot use.
        """


class EmbeddedImages(ImagePipeline):
    """The image stage from which the video model was inflated."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        steps: int | None = None,
        cfg: float | None = None,
        sampler: str | None = None,
        seed: int | Sequence[int] = 0,
        width: int | None = None,
        height: int | None = None,
        callback: Callback | None = None,
    ) -> Pictures:
        clip = self.bundle.config.clip
        if (width or clip.width, height or clip.height) != (clip.width, clip.height):
            raise InputError(f"this model makes pictures of {clip.width}x{clip.height}; leave out width and height")
        config = SamplingConfig.of(steps, cfg, sampler)
        check_sampler(config.sampler)
        every = _aligned({"prompt": _listed(prompt), "seed": _listed(seed)})
        seeds = [check_seed(value) for value in every["seed"]]
        given = Conditioning(*self.bundle.prompts(every["prompt"]))
        size = (1, *self.bundle.size())
        diffusion = self.bundle.config.diffusion
        noise = [NoiseStream(value) for value in seeds]
        latents = sample_latents(self.bundle.networks.unet, diffusion, given, noise, size, config, callback)
        return Pictures(self.bundle.decode(latents)[:, 0], self.bundle.settings(config, every["prompt"], seeds))


class DiffusersImages(ImagePipeline):
    """Any text-to-image model in a local diffusers folder, with that model's own defaults and scheduler."""

    def __init__(self, pipeline: Any, name: str) -> None:
        self.pipeline, self.name = pipeline, name

    @classmethod
    def load(cls, folder: Path, device: torch.device | str | None, dtype: torch.dtype | None) -> Self:
        """Raises CheckpointError for a folder that holds no such model; never reads pickles or the network."""
        from diffusers import AutoPipelineForText2Image

        if not (folder / "model_index.json").is_file():
            raise CheckpointError(f"{folder}: holds no model_index.json; give the folder of a diffusers model")
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = dtype or (torch.float32 if torch.device(device).type == "cpu" else torch.float16)
        try:
            pipeline = AutoPipelineForText2Image.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, torch_dtype=dtype
            )
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise CheckpointError(f"{folder}: is no whole diffusers text-to-image model ({error})") from error
        pipeline.set_progress_bar_config(disable=True)
        return cls(pipeline.to(device), folder.resolve().name)

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        steps: int | None = None,
        cfg: float | None = None,
        sampler: str | None = None,
        seed: int | Sequence[int] = 0,
        width: int | None = None,
        height: int | None = None,
        callback: Callback | None = None,
    ) -> Pictures:
        if sampler is not None:
            raise InputError("a diffusers folder brings its own scheduler; leave out the sampler")
        SamplingConfig.of(steps, cfg)
        for side in (width, height):
            if side is not None and not (64 <= side <= 4096 and side % 8 == 0):
                raise InputError(f"width and height must be multiples of 8 between 64 and 4096, got {side}")
        every = _aligned({"prompt": _listed(prompt), "seed": _listed(seed)})
        prompts, seeds = [check_prompt(p) for p in every["prompt"]], [check_seed(s) for s in every["seed"]]
        options = {"num_inference_steps": steps, "guidance_scale": cfg, "width": width, "height": height}
        given = {name: value for name, value in options.items() if value is not None}

        def report(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            if callback is not None:
                callback(step + 1, pipeline.num_timesteps, tensors["latents"])
            return tensors

        generators = [torch.Generator().manual_seed(value) for value in seeds]
        made = self.pipeline(prompts, generator=generators, output_type="pt", callback_on_step_end=report, **given)
        pictures = to_uint8(made.images.clamp(0, 1))
        common = {**given, "model": self.name, "program": f"microcinema {__version__}"}
        settings = [{"prompt": p, "seed": s, **common} for p, s in zip(prompts, seeds, strict=True)]
        return Pictures(pictures, settings)
