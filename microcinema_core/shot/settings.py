"""How to sample, and what else of a request can be checked before any model is loaded; imports no torch."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from ..errors import InputError
from .dials import Dial, Settings
from .resize import SIDE

MAX_PROMPT = 10_000  # characters
SCHEDULER_PREFIX = "diffusers:"  # of a sampler's name: one of diffusers' schedulers, which the standalone program has
STEPS = Dial("Denoising steps.", 1, 1000)
CFG = Dial(
    "Guidance: how closely the prompt is followed; 1 is twice as fast and follows less.",
    0.0,
    100.0,
    step=0.1,
    precision=0.01,
)
SAMPLER = Dial(f"euler, euler_ancestral, dpmpp_2m, or {SCHEDULER_PREFIX}NAME, e.g. {SCHEDULER_PREFIX}unipc.")
GAMMA = Dial(
    "Share of the keyframe in the starting noise.", 0.0, 1.0, step=0.005, precision=0.0001, unset="the model's"
)
SEED = Dial("The same seed gives the same result, another seed another one.", 0, 2**64 - 1)


class Precision(StrEnum):
    """Of the networks. AUTO: float16 on a GPU; float32 on a CPU, with which every machine makes the same clip."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class Compile(StrEnum):
    """Whether torch.compile makes the U-Nets' kernels, and with REDUCE_OVERHEAD, on a GPU, one CUDA graph of them.

    CUDA_GRAPH: a CUDA graph of the kernels that there are; nothing is compiled.
    """

    NONE = "none"
    CUDA_GRAPH = "cuda-graph"
    DEFAULT = "default"
    REDUCE_OVERHEAD = "reduce-overhead"


@dataclass(frozen=True, slots=True)
class SamplingConfig(Settings):
    """How to sample."""

    steps: Annotated[int, STEPS] = 12
    cfg: Annotated[float, CFG] = 2.0
    sampler: Annotated[str, SAMPLER] = "dpmpp_2m"
    gamma: Annotated[float | None, GAMMA] = None  # None: the checkpoint's


SAMPLING = SamplingConfig()
# Between two given frames little is left to invent: few steps, and no guidance, which would double their cost.
TSR_SAMPLING = SamplingConfig(steps=4, cfg=1.0)
# What is painted on the camera's frames has them as its guide; what guidance would add was not measured.
PAINT_SAMPLING = SamplingConfig(steps=8, cfg=1.0)
TSR_STEPS = replace(STEPS, help="Denoising steps of each pass.")
TSR_BATCH = 8
SEGMENTS = Dial(  # bounds the memory of a pass
    "Segments at once, of frames up to 320x320, and fewer of larger ones: more is faster and takes more memory; the "
    "result is the same.",
    1,
    1024,
    called="the batch of segments",
)


def segments_at_once(batch: int, height: int, width: int) -> int:
    """How many segments of latents of this size go together: the batch, or what takes as much memory as that many of
    40x40, which are 320x320 pixels."""
    return max(1, min(batch, batch * 40 * 40 // (height * width)))


@dataclass(frozen=True, slots=True)
class PictureConfig(Settings):
    """How to make a picture from text. None is the model's own: SAMPLING's, or what a diffusers folder says."""

    steps: Annotated[int | None, replace(STEPS, unset=str(SAMPLING.steps))] = None
    cfg: Annotated[float | None, replace(CFG, unset=str(SAMPLING.cfg))] = None
    sampler: Annotated[str | None, replace(SAMPLER, unset=SAMPLING.sampler)] = None
    width: Annotated[int | None, replace(SIDE, help="For diffusers folders.")] = None
    height: Annotated[int | None, replace(SIDE, help="For diffusers folders.")] = None

    @property
    def sampling(self) -> SamplingConfig:
        """How to sample, of a model without defaults of its own."""
        return SamplingConfig(
            SAMPLING.steps if self.steps is None else self.steps,
            SAMPLING.cfg if self.cfg is None else self.cfg,
            SAMPLING.sampler if self.sampler is None else self.sampler,
        )


PICTURE = PictureConfig()


def check_seed(seed: int) -> int:
    """The seed as Python's integer, NumPy's too. Raises InputError for no integer, and outside 0..2^64 - 1."""
    try:
        whole = operator.index(seed)
    except TypeError as error:
        raise InputError(f"seed must be a whole number, got {seed!r}") from error
    SEED.check("seed", whole)
    return whole


def check_prompt(prompt: str) -> str:
    """The prompt itself, which may be empty. Raises InputError for what cannot be a text."""
    if len(prompt) > MAX_PROMPT:
        raise InputError(f"the prompt has {len(prompt)} characters; give at most {MAX_PROMPT}")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"the prompt is no valid Unicode text ({error.reason}); type it anew") from error
    return prompt
