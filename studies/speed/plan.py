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
    SHOT = "shot"
    TSR = "tsr"
    DECODE = "decode"


class Compiled(StrEnum):
    """Whose networks go through torch.compile: nobody's, ours beside theirs as they ship them, or both sides'.

    GRAPH: nobody's, but ours is replayed as a CUDA graph.
    """

    NOBODY = ""
    GRAPH = "graph"
    OURS = "compiled"
    BOTH = "both-compiled"


# Of the jobs that are whole runs.
STEPS = {What.LOOP: 2, What.CLIP: 25, What.SHOT: 25, What.TSR: TSR_SAMPLING.steps}


@dataclass(frozen=True, slots=True)
class Measurement:
    """A job, whom ours is measured beside, and the work. rounds: how often both sides take turns.

    guided: a step is of two clips at once, with the prompt and without it, as guidance takes it.
    """

    what: What
    rival: str
    rounds: int
    frames: int = FRAMES[0]
    pixels: int = PIXELS[0]
    guided: bool = False
    compiled: Compiled = Compiled.NOBODY

    @property
    def work(self) -> str:
        parts = (f"{self.frames}x{self.pixels}", "guided" if self.guided else "", self.compiled)
        return "-".join(part for part in parts if part)

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


def full(*, card: bool) -> list[Measurement]:
    """Everything: what has bounds first, then one rival after the other.

    card: whole clips and shots too, for which a CPU would take hours, and what torch.compile makes of steps and clips.
    """
    plan = [Measurement(What.STEP, name, 5) for name in (*CONTROLLED, PLAIN)]
    plan += [Measurement(What.DECODE, WHOLE, 3)]
    for name in RIVALS:
        plan += [Measurement(What.STEP, name, 3)] if name not in CONTROLLED else []
        plan += [Measurement(What.LOOP, name, 2), Measurement(What.TSR, name, 2, frames=SEGMENT)]
        plan += _of_a_card(name) if card else []
        plan += [Measurement(What.STEP, name, 2, pixels=pixels) for pixels in PIXELS[1:]]
        plan += [Measurement(What.STEP, name, 2, frames=frames) for frames in FRAMES[1:]]
    return plan


def _of_a_card(name: str) -> list[Measurement]:
    """Beside one rival: clips of two sizes, a shot, a step with guidance; and the same compiled."""
    plan = [Measurement(What.CLIP, name, 2, pixels=pixels) for pixels in CLIP_PIXELS]
    plan += [Measurement(What.SHOT, name, 2)]
    for compiled in Compiled:
        plan += [Measurement(What.STEP, name, 5, pixels=s, guided=True, compiled=compiled) for s in CLIP_PIXELS]
    plan += [
        Measurement(what, name, 2, compiled=how)
        for how in (Compiled.GRAPH, Compiled.OURS, Compiled.BOTH)
        for what in (What.CLIP, What.SHOT)
    ]
    return plan
