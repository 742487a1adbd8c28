"""`microcinema animate` with the embedded model on the GPU, beside the same frames made on the CPU in float32."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from microcinema_core import cli
from microcinema_core.shot.settings import Precision
from microcinema_core.standalone.precision import bfloat16_pays

from ..journal import ROOT
from .part import Figure, Gate, LeftOut, Task
from .pictures import psnr, read_folder
from .plan import REFERENCE
from .sizes import peak_mib

PROMPT = "A bright yellow star moves to the left quickly over a night sky."
# The same seed starts from the same noise everywhere, and the keyframe holds the clip, so what differs is rounding, and
# a wrong seed, frame or picture is below 25 dB. In float32 a GPU adds in another order and convolves with TF32, whose
# mantissa has 10 bits: less than a level of 255 is 48 dB, and 40 leaves room for what a run of steps makes of it.
# float16 has those 10 bits in every layer, bfloat16 7: on a CPU two steps in bfloat16 were 52 dB from float32.
LEAST = {Precision.FP32: 40.0, Precision.FP16: 32.0, Precision.BF16: 28.0}


@dataclass(frozen=True, slots=True)
class Clip:
    """What is asked of the program. words: beside model, prompt, precision and folder."""

    name: str
    words: tuple[str, ...]


PICTURE = Clip("picture", ("--image", str(ROOT / "assets" / "demo-keyframe.png"), "--passes", "1"))
TEXT = Clip("text", ("--keyframe-prompt", "A bright yellow star over a night sky", "--passes", "0"))
SMALL = ("--steps", "2", "--frames", "3", "--tsr-steps", "1", "--width", "64", "--height", "64")


def run(task: Task, gate: Gate) -> Iterator[Figure]:
    """option `cpu`: the frames of the reference; else those of the device, compared with them."""
    from microcinema_core.standalone import pipeline  # noqa: F401  what the command would import later

    gate()
    if task.option == "cpu":
        for clip in (PICTURE, TEXT):
            yield animated(task, clip, Precision.FP32)
        return
    for clip, precision in ((PICTURE, Precision.FP32), (PICTURE, second(task)), (TEXT, Precision.FP32)):
        if precision is not None:
            yield animated(task, clip, precision)
            yield compared(task, clip, precision)
    if task.cuda:
        yield Figure("peak of memory", peak_mib(task), "MiB")


def second(task: Task) -> Precision | None:
    """The other precision of the device; None where it has none."""
    if task.cuda:
        return Precision.FP16
    return Precision.BF16 if bfloat16_pays(torch.device(task.device)) else None


def animated(task: Task, clip: Clip, precision: Precision) -> Figure:
    """A clip in a folder of its own; how long the program took. Raises LeftOut with its message where it fails."""
    out = task.folder / f"{clip.name}-{precision}"
    small = SMALL if task.tiny else ()
    words = ["animate", *clip.words, *small, "--model", "toybox", "--prompt", PROMPT, "--precision", str(precision)]
    begin = time.monotonic()
    status = cli.run([*words, "--out", f"{out}/"])
    if status:
        raise SystemExit(f"animate, {clip.name}, {precision}: exit status {status}")
    return Figure(f"{clip.name}, {precision}", time.monotonic() - begin, "s")


def compared(task: Task, clip: Clip, precision: Precision) -> Figure:
    """Decibels of the worst frame. Raises LeftOut where the CPU made no frames."""
    theirs = task.beside(REFERENCE) / f"{clip.name}-{Precision.FP32}"
    if not any(theirs.glob("*.png")):
        raise LeftOut("the CPU made no frames to compare with")
    made = psnr(read_folder(task.folder / f"{clip.name}-{precision}"), read_folder(theirs))
    return Figure(f"{clip.name}, {precision}: worst frame beside the CPU's", made, "dB", LEAST[precision], least=True)
