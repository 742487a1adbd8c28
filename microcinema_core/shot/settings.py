"""The user's dials and what of a request can be checked before any model is loaded; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ..config import Config
from ..errors import InputError

MAX_SEED = 2**64 - 1
MAX_PROMPT = 10_000  # characters
MAX_STEPS = 1000
MAX_CFG = 100.0
TSR_BATCH = 8  # segments at once: what bounds the memory of a pass
MAX_TSR_BATCH = 1024
SCHEDULER_PREFIX = "diffusers:"  # of a sampler's name: one of diffusers' schedulers, which the standalone program has


class Precision(StrEnum):
    """Of the networks. AUTO: float16 on a GPU; float32 on a CPU, with which every machine makes the same clip."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class SamplingConfig(Config):
    """How to sample. Raises InputError for values out of range."""

    steps: int = 12
    cfg: float = 2.0
    sampler: str = "dpmpp_2m"
    gamma: float | None = None  # None: the checkpoint's

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise InputError(f"steps must be between 1 and {MAX_STEPS}, got {self.steps}")
        if not 0 <= self.cfg <= MAX_CFG:
            raise InputError(f"cfg must be between 0 and {MAX_CFG:g}, got {self.cfg}")
        if self.gamma is not None and not 0 <= self.gamma <= 1:
            raise InputError(f"gamma must be between 0 and 1, got {self.gamma}")

    @classmethod
    def of(
        cls,
        steps: int | None = None,
        cfg: float | None = None,
        sampler: str | None = None,
        gamma: float | None = None,
    ) -> Self:
        """What is given, and the defaults for what is None."""
        given = {"steps": steps, "cfg": cfg, "sampler": sampler, "gamma": gamma}
        return cls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


# Between two given frames little is left to invent: few steps, and no guidance, which would double their cost.
TSR_SAMPLING = SamplingConfig(steps=4, cfg=1.0)


def check_seed(seed: int) -> int:
    """The seed itself. Raises InputError outside 0..2^64 - 1."""
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed must be between 0 and {MAX_SEED}, got {seed}")
    return seed


def check_prompt(prompt: str) -> str:
    """The prompt itself, which may be empty. Raises InputError for what cannot be a text."""
    if len(prompt) > MAX_PROMPT:
        raise InputError(f"the prompt has {len(prompt)} characters; give at most {MAX_PROMPT}")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"the prompt is no valid Unicode text ({error.reason}); type it anew") from error
    return prompt
