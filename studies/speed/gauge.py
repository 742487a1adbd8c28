"""The instruments: wall clock, the allocator's record, counted operations, the rate of convolutions."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from .given import Place

Work = Callable[[], object]
STAT = Path("/proc/stat")
TICKS = 100  # a second: the unit of that file, the same on every common kind of processor


def seconds(work: Work, place: Place) -> float:
    place.synchronize()
    start = time.perf_counter()
    work()
    place.synchronize()
    return time.perf_counter() - start


def peak_bytes(work: Work, place: Place) -> int:
    """The most that the allocator had given out during the work, beyond what it had before."""
    if place.device.type == "cuda":
        place.synchronize()
        torch.cuda.reset_peak_memory_stats(place.device)
        before = torch.cuda.memory_allocated(place.device)
        work()
        place.synchronize()
        return torch.cuda.max_memory_allocated(place.device) - before
    gc.collect()  # nothing older may be freed within the record
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    record = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = [e.nbytes() for e in sorted(record, key=lambda e: e.start_ns())]
    return max(accumulate(changes), default=0)


def count_flops(work: Work) -> int:
    """Of matrix products and convolutions, two for each multiply-add; the work may be on the meta device."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def convolution_rate(place: Place, frames: int, side: int, width: int) -> float:
    """FLOP a second of the 3x3 convolutions of a U-Net's first three levels, each of which does the same work."""
    spent = total = 0.0
    for level in range(3):
        channels, size = width << level, side >> level
        x, kernel = place.random(frames, channels, size, size), place.random(channels, channels, 3, 3)
        F.conv2d(x, kernel, padding=1)
        spent += seconds(partial(F.conv2d, x, kernel, padding=1), place)
        total += 2 * 9 * channels * channels * x.shape[0] * size * size
    return total / spent


class Neighbours:
    """How many processors other processes kept busy meanwhile; None where the system does not say."""

    def __init__(self) -> None:
        self.start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        if not STAT.exists():
            return None
        user, nice, system, _, _, irq, softirq = map(int, STAT.read_text(encoding="ascii").split()[1:8])
        busy = (user + nice + system + irq + softirq) / TICKS
        return busy, time.process_time(), time.perf_counter()

    def busy(self) -> float | None:
        now = self._now()
        if self.start is None or now is None:
            return None
        busy, own, wall = (b - a for a, b in zip(self.start, now, strict=True))
        return round(max(0.0, (busy - own) / max(wall, 1e-9)), 3)


def machine(place: Place) -> dict[str, Any]:
    """What the figures hold for, without the machine's name."""
    import diffusers

    if place.device.type == "cuda":
        device = torch.cuda.get_device_name(place.device)
    else:
        capability = torch.backends.cpu.get_cpu_capability().replace("AVX512", "AVX-512")
        device = f"{torch.get_num_threads()} CPU cores, {capability}"
    return {
        "device": device,
        "dtype": str(place.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }
