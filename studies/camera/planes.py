"""What the planes of a depth picture cost: `python -m studies.camera.planes --out docs/results/camera-planes.md`.

One frame of a camera that goes forward and sideways over a slope with two things on it, for several numbers of planes;
each in a process of its own. Beside: OpenCV's `remap` of the same picture by the depth itself, the rubber sheet that
tools such as DepthFlow draw, where it is installed, and how much of each frame is drawn out to more than three times.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from microcinema_core.errors import InputError
from microcinema_core.files import written_whole
from microcinema_core.motion.easing import Ease
from microcinema_core.motion.moments import Moments
from microcinema_core.motion.plan import Camera, Plan, Relief
from microcinema_core.motion.relief import disparity_of
from microcinema_core.motion.render import Renderer
from microcinema_core.motion.scene import Motion, cut

from ..speed.gauge import Neighbours

PICTURE = Path("assets/pictures/starry-night.jpg")
SIDE, FRAMES, COUNTS = 1024, 8, (4, 8, 16, 32)
CAMERA = Camera(horizontal=0.08, dolly=0.1)
STRETCHED = 3.0


def depth() -> Tensor:
    """[1, SIDE, SIDE]: ground that comes nearer, a tree and a stone before it, edges as soft as a network's."""
    y, x = torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij")
    drawn = 0.05 + 0.5 * (y - 0.5).clamp(min=0)
    drawn = torch.where((x - 0.25).abs() < 0.08, 0.8, drawn)
    drawn = torch.where((x - 0.7) ** 2 + (y - 0.75) ** 2 < 0.01, 1.0, drawn)
    return F.avg_pool2d(F.pad(drawn[None, None], [4] * 4, mode="replicate"), 9, 1)[0]


def places() -> Tensor:
    """[3, SIDE, SIDE]: a picture whose pixels tell where they lie."""
    side = (torch.arange(SIDE) + 0.5) / SIDE
    return torch.stack([side.expand(SIDE, SIDE), side[:, None].expand(SIDE, SIDE), torch.zeros(SIDE, SIDE)])


def renderer(picture: Tensor, planes: int) -> Renderer:
    plan = Plan(CAMERA, relief=Relief(planes=planes), ease=Ease.LINEAR, keyframe_at=0.0)
    return Renderer(cut(picture, Motion(plan, depth=depth())).filled(), Moments(plan, FRAMES + 1, 24.0))


def stretched(shown: np.ndarray[Any, Any]) -> float:
    """The share of pixels [2, H, W] whose right neighbour comes from less than a third of a pixel away."""
    steps = np.hypot(*(shown[:, :, 1:] - shown[:, :, :-1])) * SIDE
    return float((steps < 1 / STRETCHED).mean())


def measured(planes: int) -> dict[str, Any]:
    """Seconds of the plates and of a frame, peak memory in MB, the share drawn out; planes 0: OpenCV's sheet."""
    picture = torch.from_numpy(np.array(Image.open(PICTURE).convert("RGB").resize((SIDE, SIDE)))).movedim(-1, 0) / 255
    neighbours, start = Neighbours(), time.perf_counter()
    if planes:
        made = renderer(picture, planes)
        prepared, start = time.perf_counter() - start, time.perf_counter()
        for index in range(1, FRAMES + 1):
            _ = made[index]
    else:
        maps = sheet_maps()
        prepared, start = time.perf_counter() - start, time.perf_counter()
        for index in range(1, FRAMES + 1):
            _ = remapped(picture, maps, index / FRAMES)
    seconds = (time.perf_counter() - start) / FRAMES
    peak, busy = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, neighbours.busy()
    told: dict[str, Any] = {"prepared": prepared, "seconds": seconds, "peak": peak, "busy": busy}
    last = renderer(places(), planes)[FRAMES] if planes else None
    shown = remapped(places(), sheet_maps(), 1.0) if last is None else last.picture.numpy()
    known = np.ones((SIDE, SIDE), bool) if last is None else last.unknown[0].numpy() < 0.01
    shown[:, ~known] = np.nan
    return told | {"drawn out": stretched(shown[:2])}


def sheet_maps() -> np.ndarray[Any, Any]:
    """How far each pixel's source moves over the whole clip, [2, SIDE, SIDE], by its own depth."""
    near = disparity_of(depth(), Plan(), (SIDE, SIDE))[0].numpy()
    x, y = (places()[i].numpy() - 0.5 for i in (0, 1))
    ahead = 1 - CAMERA.dolly * near
    return np.stack([x * ahead + CAMERA.horizontal * near - x, y * ahead - y]).astype(np.float32)


def remapped(picture: Tensor, maps: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, Any]:
    """[3, H, W] by OpenCV's bicubic remap."""
    import cv2

    at = (places()[:2].numpy() + share * maps) * SIDE - 0.5
    pixels = np.ascontiguousarray(picture.float().movedim(0, -1).numpy())
    seen = cv2.remap(pixels, at[0], at[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen).transpose(2, 0, 1)


def apart(planes: int) -> dict[str, Any]:
    """`measured`, by a process of its own. Raises InputError where that fails."""
    command = [sys.executable, "-m", "studies.camera.planes", "--measure", str(planes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{planes} planes: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def page() -> str:
    """The measurements, as Markdown."""
    lines = [
        "# What the planes of a depth picture cost",
        "",
        f"By `python -m studies.camera.planes`: {SIDE}x{SIDE}, a camera that goes forward and sideways. *Drawn out*:",
        f"share of pixels whose neighbours come from less than 1/{STRETCHED:g} pixel beside each other; *others*: how",
        "many cores other programs kept busy meanwhile.",
        "",
        "| planes | prepared | a frame | peak memory | drawn out | others |",
        "|---|---|---|---|---|---|",
    ]
    counts = (*COUNTS, 0) if importlib.util.find_spec("cv2") is not None else COUNTS
    for count in counts:
        one = apart(count)
        lines.append(
            f"| {count or 'OpenCV remap, a rubber sheet'} | {one['prepared']:.2f} s | {one['seconds']:.3f} s "
            f"| {one['peak']:.0f} MB | {100 * one['drawn out']:.2f} % | {one['busy']:.1f} |"
        )
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/camera-planes.md"))
    parser.add_argument("--measure", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure is not None:
        sys.stdout.write(json.dumps(measured(options.measure)))
        return
    text = page()
    with written_whole(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
