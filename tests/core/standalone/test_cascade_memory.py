"""The memory of a shot: bounded by the batch of segments, not by the length of the video."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

# Everything that a shot does once its slow frames exist: interpolation, decoding, encoding. VmHWM is the highest that
# VmRSS has been since it was last reset, which writing a 5 does (Linux).
SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
from PIL import Image
from microcinema_core.standalone import pipeline
from microcinema_core.shot.cascade import cascade
from microcinema_core.shot.settings import TSR_SAMPLING, SamplingConfig
from microcinema_core.shot.plan import ShotConfig

weights, out, after, side = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

def measured(*args):
    Path("/proc/self/clear_refs").write_text("5")
    found["before"] = memory("VmRSS")
    yield from cascade(*args)

found = {}
pipeline.cascade = measured
made = pipeline.MicroCinemaPipeline.from_pretrained(weights).shoot(
    Image.linear_gradient("L").convert("RGB"),
    "a red star",
    ShotConfig(after=after, width=side, height=side),
    sampling=SamplingConfig(steps=1, cfg=1.0),
    tsr_sampling=replace(TSR_SAMPLING, steps=1),
)
made.save(out)
print(json.dumps(found | {"peak": memory("VmHWM")}))
"""
# One arena and a fixed threshold from which blocks are mapped by themselves: what is freed leaves the process at once,
# so that the figure is what the program holds and not what the C library keeps for later.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"}


def growth(weights: Path, out: Path, after: int, frames: int, side: int) -> float:
    """MiB that the cascade, decoding and encoding add to the process at their peak."""
    args = [str(weights / "toybox-video.safetensors"), str(out), str(after), str(side)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *args], env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True
    )
    with av.open(str(out)) as container:
        assert container.streams.video[0].frames == frames
    found = json.loads(done.stdout)
    print(f"{frames} frames of {side}x{side}: {found['before']:.0f} MiB before, {found['peak']:.0f} MiB at the peak")
    return found["peak"] - found["before"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's own figures of a process")
def test_four_times_the_frames_take_the_same_memory(weights: Path, tmp_path: Path) -> None:
    """129 frames, and 513 by chaining four clips, each from two passes."""
    short = growth(weights, tmp_path / "short.mp4", after=0, frames=129, side=320)
    long = growth(weights, tmp_path / "long.mp4", after=3, frames=513, side=320)
    assert abs(long - short) <= 0.1 * short
