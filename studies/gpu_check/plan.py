"""The parts, in the order in which they are told: what is timed alone first, then what may run side by side.

Imports none of them: each brings large libraries into its own process.
"""

from __future__ import annotations

import os

from microcinema_core.config import WHOLE

from .part import Part

REFERENCE = "frames on the CPU"  # the parts that others are compared with
PLAIN, ON_CPU = "ComfyUI", "ComfyUI on the CPU"
SIDES = (320, 512)  # pixels, of what is compiled
COMPILING = max(4, (os.cpu_count() or 0) // 2)  # threads of each of the two that compile, side by side
FULL_STEP = 60_000  # MiB: float32 weights, gradients, two moments, their average, and every activation


def plan(*, card: bool, tiny: bool = False) -> list[Part]:
    """card: whether there is a GPU; without one nothing needs to be compared with the CPU's server.

    tiny: one size is compiled for, as all sizes are the same then.
    """
    room = "studies.gpu_check."
    frames, stages, host, speed = (room + name for name in ("frames", "stages", "host", "speed"))
    aside = [Part(REFERENCE, frames, 2, 120, "cpu", starts=2, background=True, on_cpu=True)]
    if card:
        aside += [Part(ON_CPU, host, 2, 120, "cpu", starts=2, background=True, threads=3, on_cpu=True)]
    sides = SIDES[:1] if tiny else SIDES
    return [
        Part("step", speed, 1, 70, "eager"),
        Part("shot", speed, 2, 45, "shot"),
        *aside,
        Part("training at full size", room + "full_step", 3, 45, threads=2, memory=FULL_STEP),
        *(Part(f"training, {kind.word}", stages, 3, 60, str(kind), threads=1) for kind in WHOLE),
        Part(PLAIN, host, 3, 60, "gpu" if card else "cpu", after=(ON_CPU,) if card else ()),
        Part("frames", frames, 4, 45, after=(REFERENCE,)),
        Part("ComfyUI, low memory", host, 4, 45, "low", after=(PLAIN,)),
        Part("ComfyUI, float8", host, 4, 45, "float8", after=(PLAIN,)),
        *(
            Part(f"compiled, {side}", speed, 5 + i, 150, str(side), starts=3, threads=COMPILING)
            for i, side in enumerate(sides)
        ),
    ]
