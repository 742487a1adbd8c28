"""What is measured, the most useful first: the paper's size of clips, then frames and pixels one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from microcinema_core.shot.settings import TSR_SAMPLING

from .rivals import RIVALS

FRAMES = (9, 17, 33)
PIXELS = (320, 256, 512)
CLIP_PIXELS = (320, 512)
SEGMENT = 5  # frames of temporal super-resolution's clips
PLAIN = "plain"  # ours against itself without anything of the keyframe's
WHOLE = "whole"  # decoding as diffusers does it: all frames at once
CONTROLLED = ("unet3d", "i2vgen")  # also beside the sum of themselves and a ControlNet at every step


class What(StrEnum):
    """The job of which both sides' times are compared."""

    STEP = "step"
    LOOP = "loop"
    CLIP = "clip"
    TSR = "tsr"
    DECODE = "decode"


STEPS = {What.LOOP: 2, What.CLIP: 25, What.TSR: TSR_SAMPLING.steps}  # of the jobs that are whole runs


@dataclass(frozen=True, slots=True)
class Measurement:
    """A job, whom ours is measured beside, and the work. rounds: how often both sides take turns."""

    what: What
    rival: str
    rounds: int
    frames: int = FRAMES[0]
    pixels: int = PIXELS[0]

    @property
    def work(self) -> str:
        return f"{self.frames}x{self.pixels}"

    @property
    def name(self) -> str:
        return f"{self.what}-{self.rival}-{self.work}"


def quick() -> list[Measurement]:
    """The base size beside the two nearest networks."""
    return [
        Measurement(What.STEP, "unet3d", 2),
        Measurement(What.STEP, PLAIN, 2),
        Measurement(What.STEP, "i2vgen", 2),
        Measurement(What.DECODE, WHOLE, 1),
        Measurement(What.LOOP, "i2vgen", 1),
        Measurement(What.TSR, "i2vgen", 1, frames=SEGMENT),
    ]


def full(*, clips: bool) -> list[Measurement]:
    """Everything: what has bounds first, then one rival after the other.

    clips: whole ones too, for which a CPU would take hours.
    """
    plan = [Measurement(What.STEP, name, 5) for name in (*CONTROLLED, PLAIN)]
    plan += [Measurement(What.DECODE, WHOLE, 3)]
    for name in RIVALS:
        plan += [Measurement(What.STEP, name, 3)] if name not in CONTROLLED else []
        plan += [Measurement(What.LOOP, name, 2), Measurement(What.TSR, name, 2, frames=SEGMENT)]
        plan += [Measurement(What.CLIP, name, 2, pixels=pixels) for pixels in CLIP_PIXELS if clips]
        plan += [Measurement(What.STEP, name, 2, pixels=pixels) for pixels in PIXELS[1:]]
        plan += [Measurement(What.STEP, name, 2, frames=frames) for frames in FRAMES[1:]]
    return plan
