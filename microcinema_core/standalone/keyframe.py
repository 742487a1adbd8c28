"""From a sentence to a picture that can serve as keyframe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from torch import Tensor

from .. import __version__
from ..config import Kind
from ..diffusion.samplers import Callback
from ..errors import CheckpointError, InputError, shown
from ..files import check_readable
from ..media import Frames, save_picture, to_uint8
from ..shot.resize import check_side
from ..shot.settings import PICTURE, PictureConfig, Precision, check_prompt
from .bundle import Bundle, aligned, listed, seeds_of
from .precision import default_device, dtype_for
from .sampling import Conditioning, NoiseStream, check_sampler, sample_latents

# What libraries say of a model folder whose files hold anything: diffusers, transformers, tokenizers and safetensors
# check little of it, so that Python's own errors come up from there.
UNUSABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """pictures: uint8 RGB [B, H, W, 3]. settings: for each picture, all that made it."""

    pictures: Frames
    settings: list[dict[str, Any]]

    def save(self, out: str | Path, index: int = 0) -> None:
        """Write one picture as a PNG file."""
        save_picture(Path(out), self.pictures[index], self.settings[index])


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

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        picture: PictureConfig = PICTURE,
        *,
        seed: int | Sequence[int] = 0,
        callback: Callback | None = None,
    ) -> Pictures:
        """One picture, or several at once where lists are given.

        Raises InputError for values that the model cannot use.
        """
        every = aligned({"prompt": listed(prompt), "seed": seeds_of(seed)})
        return self._make(every["prompt"], every["seed"], picture, callback)

    @abstractmethod
    def _make(
        self, prompts: list[str], seeds: list[int], picture: PictureConfig, callback: Callback | None
    ) -> Pictures:
        """As many pictures as there are prompts and seeds."""


class EmbeddedImages(ImagePipeline):
    """The image stage from which the video model was inflated."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def _make(
        self, prompts: list[str], seeds: list[int], picture: PictureConfig, callback: Callback | None
    ) -> Pictures:
        clip, config = self.bundle.config.clip, picture.sampling
        if (picture.width or clip.width, picture.height or clip.height) != (clip.width, clip.height):
            raise InputError(f"this model makes pictures of {clip.width}x{clip.height}; leave out width and height")
        check_sampler(config.sampler)
        given = Conditioning(self.bundle.prompts(prompts))
        size = (1, *self.bundle.size())
        diffusion = self.bundle.config.diffusion
        noise = [NoiseStream(value) for value in seeds]
        latents = sample_latents(self.bundle.networks.unet, diffusion, given, noise, size, config, callback)
        return Pictures(self.bundle.decode(latents)[:, 0], self.bundle.settings(config, prompts, seeds))


class DiffusersImages(ImagePipeline):
    """Any text-to-image model in a local diffusers folder, with that model's own defaults and scheduler."""

    def __init__(self, pipeline: Any, name: str) -> None:
        self.pipeline, self.name = pipeline, name

    @classmethod
    def load(cls, folder: Path, device: torch.device | str | None, dtype: torch.dtype | None) -> Self:
        """A local diffusers folder's text-to-image model, of no pickles. Raises CheckpointError where there is none."""
        from diffusers import AutoPipelineForText2Image

        if not (folder / "model_index.json").is_file():
            raise CheckpointError(f"{folder}: holds no model_index.json; give the folder of a diffusers model")
        device = torch.device(device) if device else default_device()
        dtype = dtype or dtype_for(Precision.AUTO, device)
        for member in folder.rglob("*"):
            if not member.is_dir():
                check_readable(member, "a whole diffusers folder", CheckpointError)
        with _usable(folder):
            pipeline = AutoPipelineForText2Image.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, torch_dtype=dtype
            )
            pipeline.set_progress_bar_config(disable=True)
            return cls(pipeline.to(device), folder.resolve().name)

    def _make(
        self, prompts: list[str], seeds: list[int], picture: PictureConfig, callback: Callback | None
    ) -> Pictures:
        if picture.sampler is not None:
            raise InputError("a diffusers folder brings its own scheduler; leave out the sampler")
        prompts = [check_prompt(prompt) for prompt in prompts]
        given = _given(picture)

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


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Turns what libraries say of an unusable folder into a CheckpointError; a full memory stays one."""
    try:
        yield
    except UNUSABLE as error:
        if "memory" in str(error):
            raise
        said = f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{folder}: is no whole diffusers text-to-image model ({shown(said)}); get the folder anew"
        ) from error


def _given(picture: PictureConfig) -> dict[str, float]:
    """What is asked of a diffusers pipeline, by its own names."""
    options = {"num_inference_steps": picture.steps, "guidance_scale": picture.cfg}
    sides = {"width": picture.width, "height": picture.height}
    for name, side in sides.items():
        check_side(name, side)
    return {name: value for name, value in (options | sides).items() if value is not None}
