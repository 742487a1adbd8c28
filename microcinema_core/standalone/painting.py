"""What words ask for, painted by a model on what the camera drew: made at its size, composed at the picture's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ..backend import Backend
from ..checkpoint.addition import Addition
from ..checkpoint.load import load_composer
from ..config import ClipConfig, Injection, ModelConfig
from ..diffusion.samplers import Callback
from ..errors import InputError
from ..models.composer import Composer
from ..models.guide import Guide
from ..motion.masked import MaskFrames, masked
from ..motion.render import Frame, Renderer
from ..shot.composing import compose, resized
from ..shot.resize import Size, inner_size
from ..shot.settings import PAINT_SAMPLING, Compile, SamplingConfig, check_seed
from .between import Between, Carrier, held
from .camera import Take
from .framing import Timing
from .pipeline import MicroCinemaPipeline

SLACK = 1e-3  # seconds by which a clip may be longer than the model's, as rates such as 23.976 make it


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """One thing that is painted.

    told: the sentence for the model. mask: [H, W] or [1, H, W] of the keyframe, 1 = there; None: everywhere.
    """

    told: str
    mask: Tensor | None = None


class Painter:
    """A model that was taught to paint on the camera's frames, each of which is its guide."""

    def __init__(self, pipeline: MicroCinemaPipeline, composer: Composer | None = None) -> None:
        """composer: what puts the camera's detail back; None: the plain form. Raises InputError for another model."""
        check_paints(pipeline.bundle.config, pipeline.bundle.name)
        self.pipeline, self.bundle, self.composer = pipeline, pipeline.bundle, composer

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: str = "sdpa",
        compile: Compile = Compile.NONE,
        loras: Sequence[str | Path | Addition] = (),
        composer: str | Path | None = None,
    ) -> Self:
        """As `MicroCinemaPipeline.from_pretrained`; temporal super-resolution is not asked for.

        composer: the file of the network that puts the camera's own detail back; None: the plain form.
        """
        pipeline = MicroCinemaPipeline.from_pretrained(
            path, device=device, dtype=dtype, attention=attention, compile=compile, loras=loras
        )
        network = None if composer is None else load_composer(composer, Backend(device=pipeline.bundle.device))
        return cls(pipeline, network)

    def paint(
        self,
        take: Take,
        strokes: Sequence[Stroke],
        *,
        sampling: SamplingConfig = PAINT_SAMPLING,
        seed: int = 0,
        callback: Callback | None = None,
    ) -> Take:
        """The camera's clip with all of it painted on it; where nothing was asked its frames are the camera's.

        The model's frames are spread over the whole clip. They are made here, at once; the clip's while they are read.
        callback: (steps done, steps in all, estimate of z_0 [E, C, T, h, w]); may raise Cancelled.
        Raises InputError for a clip that is longer than the model's, for one that loops, and for strokes without a
        place in it.
        """
        made = self._made(take, strokes, sampling, seed, callback)
        return made.over(take, strokes, range(len(strokes)))

    def paint_each(
        self,
        take: Take,
        strokes: Sequence[Stroke],
        *,
        sampling: SamplingConfig = PAINT_SAMPLING,
        seed: int = 0,
        callback: Callback | None = None,
    ) -> list[Take]:
        """The same, but for each stroke a clip with it alone."""
        made = self._made(take, strokes, sampling, seed, callback)
        return [made.over(take, [stroke], [number]) for number, stroke in enumerate(strokes)]

    @torch.no_grad()
    def _made(
        self, take: Take, strokes: Sequence[Stroke], sampling: SamplingConfig, seed: int, callback: Callback | None
    ) -> _Made:
        told = [stroke.told for stroke in strokes]
        check_strokes(strokes, take)
        clip, moments = self.bundle.config.clip, take.renderer.moments
        check_length(Timing(len(take), moments.fps, moments.loop), clip)
        size, keys = inner_size(take.size, clip.width * clip.height), spread(len(take), clip.frames)
        guide, drawn = self._guide(take, keys, size)
        latents = self.pipeline.around(guide, told, sampling=sampling, seed=seed, callback=callback)
        made = torch.stack([self._decoded(one) for one in latents])
        given = self.bundle.settings(sampling, [told[0]], [check_seed(seed)])[0]
        settings = {name: value for name, value in given.items() if name not in ("prompt", "width", "height")}
        settings["painted_size"] = list(size)
        return _Made(size, keys, drawn, self._decoded(guide.latents[0]), made, self.composer, settings)

    def _guide(self, take: Take, keys: Sequence[int], size: Size) -> tuple[Guide, Tensor]:
        """The guide [1, C, T, h, w] of the clip's frames of these numbers, and their pixels [T, 3, H, W] at a size."""
        frames = [take.renderer[key] for key in keys]
        drawn = resized(torch.stack([frame.picture for frame in frames]), size[::-1])
        latents = self.bundle.codec.encode(drawn.to(self.bundle.device))
        unknown = torch.stack([frame.unknown for frame in frames])
        known = 1 - F.adaptive_avg_pool2d(unknown, (latents.shape[-2], latents.shape[-1])).to(latents)
        return Guide(latents.transpose(0, 1)[None], known.transpose(0, 1)[None]), drawn

    def _decoded(self, latents: Tensor) -> Tensor:
        """[C, T, h, w] -> pixels [T, 3, H, W] where the camera's are."""
        return self.bundle.pixels(latents.transpose(0, 1)).cpu()


def check_strokes(strokes: Sequence[Stroke], take: Take) -> None:
    """Raises InputError where there is nothing to paint, and for a mask of another shape than the picture."""
    if not strokes:
        raise InputError("nothing to paint: give one stroke or more")
    height, width = take.renderer.scene.picture.shape[-2:]
    for number, stroke in enumerate(strokes, start=1):
        if stroke.mask is not None and stroke.mask.shape[-2:] != (height, width):
            raise InputError(
                f"the mask of stroke {number} is {list(stroke.mask.shape)}, the picture {height} by {width}; "
                "give one of its size"
            )


def spread(frames: int, keys: int) -> list[int]:
    """The frames of a clip that the model's are, first and last among them; some are the same where there are fewer."""
    return [round(i * (frames - 1) / max(1, keys - 1)) for i in range(keys)]


def check_paints(config: ModelConfig, name: str) -> None:
    """Raises InputError for a model that knows nothing of holes in a guide of many frames, or makes no clips."""
    unet = config.unet
    if not (unet.guide_mask and unet.injection is Injection.CONCAT):
        raise InputError(
            f"{name}: was not taught to paint on the camera's frames; take a model of the preset `pocket` "
            "(--model pocket: the embedded one), or leave --paint out"
        )


def check_length(timing: Timing, clip: ClipConfig) -> None:
    """Raises InputError for a clip that is longer than a model's, or that loops."""
    if timing.loop:
        raise InputError("what is painted cannot loop yet: it would run backwards; leave --loop or --paint out")
    seconds, most = (timing.frames - 1) / timing.fps, (clip.frames - 1) / clip.fps
    if seconds > most + SLACK:
        raise InputError(
            f"this clip lasts {seconds:.2f} s from its first frame to its last, and the model paints {most:g} s at "
            f"most, as clips are not chained yet; ask for --duration {most:g}, or leave --paint out"
        )


class _Masks:
    """Where each stroke is in a frame."""

    def __init__(self, renderer: Renderer, strokes: Sequence[Stroke]) -> None:
        kept: dict[int, MaskFrames] = {}
        for stroke in strokes:
            if stroke.mask is not None and id(stroke.mask) not in kept:
                kept[id(stroke.mask)] = masked(renderer, stroke.mask)
        self._found = [None if one.mask is None else kept[id(one.mask)] for one in strokes]

    def at(self, index: int, picture: Tensor) -> Tensor:
        """[E, 1, H, W], for a frame's picture [3, H, W]."""
        whole = torch.ones_like(picture[:1])
        return torch.stack([whole if mask is None else mask[index] for mask in self._found])


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """The model's frames, of the clip's `keys`, at its size: as the camera drew them and through the autoencoder,
    [T, 3, h, w], and as they were made for each stroke, [E, T, 3, h, w]; and what made them."""

    size: Size
    keys: list[int]
    drawn: Tensor
    guide: Tensor
    made: Tensor
    composer: Composer | None
    settings: dict[str, Any]

    def over(self, take: Take, strokes: Sequence[Stroke], numbers: Sequence[int]) -> Take:
        """The camera's clip with strokes on it, of which these are the numbers."""
        between = held(Carrier(take.renderer, self.size), self.keys, self.drawn, self.guide, self.made[list(numbers)])
        painting = _Painting(between, _Masks(take.renderer, strokes), self.size, self.composer)
        told = {"painted": [stroke.told for stroke in strokes]}
        return replace(take, over=painting, settings={**take.settings, **self.settings, **told})


@dataclass(frozen=True, slots=True, eq=False)
class _Painting:
    """What becomes of the camera's frames. size: the model's, width and height."""

    between: Between
    masks: _Masks
    size: Size
    composer: Composer | None

    @torch.no_grad()
    def __call__(self, index: int, frame: Frame) -> Tensor:
        """[3, H, W], pixels 0..1."""
        small = resized(frame.picture[None], self.size[::-1])[0]
        made, guide = self.between(index, small)
        there = self.masks.at(index, frame.picture)
        asked = there.amax(dim=0, keepdim=True)
        if not bool(asked.any()):
            return frame.picture
        # Each in its own share of what is asked: the masks themselves are for the frame's own size.
        soft = resized(there, self.size[::-1])
        share = soft / soft.amax(dim=0).clamp(min=1e-6)
        whole = (guide + (share * (made - guide)).sum(dim=0))[None]
        known = 1 - frame.unknown[None] * asked  # elsewhere what the camera filled is as good, and stays
        place = frame.picture.device if self.composer is None else next(self.composer.parameters()).device
        whole, guide, drawn, known, asked = (
            part.to(place) for part in (whole, guide[None], frame.picture[None], known, asked)
        )
        return compose(whole, guide, drawn, known, self.composer, asked)[0].to(frame.picture)
