"""The parts, in the order in which they are told: what is timed alone first, then what may run side by side.

Imports none of them: each brings large libraries into its own process.
"""

from __future__ import annotations

from microcinema_core.config import Kind

from .part import Part

REFERENCE = "frames on the CPU"  # the parts that others are compared with
PLAIN, ON_CPU = "ComfyUI", "ComfyUI on the CPU"
SIDES = (320, 512)  # pixels, of what is compiled
FULL_STEP = 60_000  # MiB: float32 weights, gradients, two moments, their average, and every activation


def plan(*, card: bool, tiny: bool = False) -> list[Part]:
    """card: whether there is a GPU; without one nothing needs to be compared with the CPU's server.

    tiny: one size is compiled for, as all sizes are the same then.
    """
    room = "studies.gpu_check."
    frames, stages, host, speed = (room + name for name in ("frames", "stages", "host", "speed"))
    stock = [Part(ON_CPU, host, 1, 120, "cpu", background=True, on_cpu=True)] if card else []
    sides = SIDES[:1] if tiny else SIDES
    after = (ON_CPU,) if card else ()
    return [
        Part("step", speed, 1, 60, "eager", threads=4),
        Part("shot", speed, 2, 40, "shot", threads=4),
        Part(REFERENCE, frames, 1, 120, "cpu", background=True, threads=5, on_cpu=True),
        Part("frames", frames, 3, 40, after=(REFERENCE,)),
        Part("training at full size", room + "full_step", 3, 40, threads=8, memory=FULL_STEP),
        *(Part(f"training, {kind.word}", stages, 4, 45, str(kind), threads=2) for kind in Kind),
        *stock,
        Part(PLAIN, host, 4, 45, "gpu" if card else "cpu", after=after),
        Part("ComfyUI, low memory", host, 5, 45, "low", starts=4),
        Part("ComfyUI, float8", host, 5, 45, "float8", starts=4),
        *(Part(f"compiled, {side}", speed, 6 + i, 60, str(side), starts=3) for i, side in enumerate(sides)),
    ]
