"""How long a moving picture takes and what memory: `python -m studies.camera.speed --out docs/results/camera-speed.md`.

Three layers, two regions with paths of their own over the picture, and a camera that goes and zooms. Every figure is of
a process of its own; beside it stands how many processors other programs kept busy meanwhile. OpenCV renders the same
move, by `warpPerspective` (cubic, 8 bits), where it is installed: `pip install opencv-python-headless`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from microcinema_core.errors import InputError
from microcinema_core.files import written_whole
from microcinema_core.motion.plan import Camera, Plan, Region
from microcinema_core.motion.scene import Motion
from microcinema_core.standalone.camera import Take, move
from microcinema_core.standalone.framing import Timing

from ..speed.gauge import Neighbours

PICTURE = Path("assets/pictures/starry-night.jpg")
SIZES = ((1024, 1024, 30.0), (1920, 1080, 60.0))  # width, height, seconds that 129 frames may take
FRAMES, LONG, FPS = 129, 1290, 32.0
SMALL = 512  # pixels a side of the clips whose memory is compared
PLAN = Plan(Camera(horizontal=0.1, zoom=1.15))
PATHS = (Region(horizontal=0.1, zoom=1.1), Region(vertical=0.1, roll=8.0))


def taken(width: int, height: int, frames: int) -> Take:
    """The clip that everything is measured on."""
    picture = Image.open(PICTURE).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    motion = Motion(PLAN)
    for path, across in zip(PATHS, (0.3, 0.7), strict=True):
        motion = motion.with_region(path, ellipse(width, height, across))
    return move(picture, motion, Timing(frames, FPS))


def ellipse(width: int, height: int, across: float) -> Tensor:
    """A mask [height, width] with a soft edge, a third of the picture wide and half of it high."""
    x, y = torch.arange(width) / width - across, torch.arange(height)[:, None] / height - 0.5
    return ((1 - torch.sqrt((x / 0.17) ** 2 + (y / 0.25) ** 2)) * 20 + 0.5).clamp(0, 1)


def measured(what: str, width: int, height: int, frames: int) -> dict[str, Any]:
    """One figure: seconds of the work, of what comes before it, peak memory of the process in MB, neighbours."""
    neighbours, start = Neighbours(), time.perf_counter()
    take = taken(width, height, frames)
    prepared = time.perf_counter() - start
    start = time.perf_counter()
    WORKS[what](take)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = {"seconds": seconds, "prepared": prepared, "processor": time.process_time()}
    return {**spent, "peak": peak, "busy": neighbours.busy()}


def written(take: Take) -> None:
    """The clip as MP4."""
    with tempfile.TemporaryDirectory() as folder:
        take.save(Path(folder) / "clip.mp4")


def rendered(take: Take) -> None:
    """Its frames, with no encoder."""
    for _ in take.frames(range(len(take))):
        pass


def by_opencv(take: Take) -> None:
    """The same plates through the same homographies, each frame composed in 8 bits."""
    import cv2

    scene, view = take.renderer.scene, take.renderer.view
    plates = [(plate, _eight_bits(plate.colour), plate.alpha) for plate in scene.plates]
    size, flags = (view.width, view.height), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])  # its pixels' centres are at whole numbers
    for moment in take.renderer.moments:
        frame: Any = np.zeros((view.height, view.width, 3), np.uint8)
        for plate, colour, alpha in plates:
            place = plate.where(scene.plan, moment, view)
            if place is None:
                continue
            shift = np.array([[1, 0, -plate.corner[0]], [0, 1, -plate.corner[1]], [0, 0, 1.0]])
            matrix = half @ shift @ place @ np.linalg.inv(half)
            seen = cv2.warpPerspective(colour, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            if alpha is None:
                frame = seen
                continue
            cover = cv2.warpPerspective(_eight_bits(alpha)[..., 0], matrix, size, flags=flags)
            frame = _laid(frame, seen, cover)


def _eight_bits(pixels: Tensor) -> np.ndarray[Any, Any]:
    """[C, h, w] in 0..1 -> [h, w, C] in 0..255."""
    return np.ascontiguousarray((pixels * 255).round().byte().movedim(0, -1).numpy())


def _laid(below: np.ndarray[Any, Any], above: np.ndarray[Any, Any], cover: np.ndarray[Any, Any]) -> Any:
    import cv2

    share = cv2.merge([cover] * 3)
    return cv2.add(cv2.multiply(above, share, scale=1 / 255), cv2.multiply(below, 255 - share, scale=1 / 255))


WORKS: dict[str, Callable[[Take], None]] = {"written": written, "rendered": rendered, "opencv": by_opencv}


def apart(what: str, width: int, height: int, frames: int) -> dict[str, Any]:
    """`measured`, by a process of its own. Raises InputError where that fails."""
    command = [sys.executable, "-m", "studies.camera.speed", "--measure", what, str(width), str(height), str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{what}: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def page(frames: int, long: int) -> str:
    """The measurements, as Markdown."""
    opencv = importlib.util.find_spec("cv2") is not None
    lines = [
        "# How fast pictures move",
        "",
        f"By `python -m studies.camera.speed`: {frames} frames, three layers, on {torch.get_num_threads()} cores. "
        "*Prepared* is the",
        "picture cut into plates and these filled, once for a clip; *processor* the cores' time that all of it took;",
        "*others* how many cores other programs kept busy meanwhile: where they did, the true figures are lower.",
        "",
        "| frames | prepared | rendered | with the encoder (H.264) | in all | wanted | processor | OpenCV renders it | "
        "times OpenCV's | others |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for width, height, wanted in SIZES:
        alone, whole = (apart(what, width, height, frames) for what in ("rendered", "written"))
        cubic = apart("opencv", width, height, frames) if opencv else None
        theirs = "not installed | " if cubic is None else f"{cubic['seconds']:.1f} s | {_times(alone, cubic)}"
        total = whole["prepared"] + whole["seconds"]
        busy = [one["busy"] for one in (alone, whole, cubic) if one is not None and one["busy"] is not None]
        lines.append(
            f"| {width}x{height} | {whole['prepared']:.1f} s | {alone['seconds']:.1f} s | {whole['seconds']:.1f} s | "
            f"{total:.1f} s | {wanted:g} s | {whole['processor']:.0f} s | {theirs} | "
            f"{max(busy, default=math.nan):.1f} |"
        )
    short, far = (apart("written", SMALL, SMALL, count) for count in (frames, long))
    lines += [
        "",
        f"Peak memory of the whole process at {SMALL}x{SMALL}: {short['peak']:.0f} MB for {frames} frames, "
        f"{far['peak']:.0f} MB for {long}.",
    ]
    return "\n".join(lines) + "\n"


def _times(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    return f"{ours['seconds'] / theirs['seconds']:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.camera.speed", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/camera-speed.md"))
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--long", type=int, default=LONG)
    parser.add_argument("--measure", nargs=4, metavar=("WHAT", "WIDTH", "HEIGHT", "FRAMES"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        what, *numbers = options.measure
        sys.stdout.write(json.dumps(measured(what, *map(int, numbers))))
        return
    text = page(options.frames, options.long)
    with written_whole(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
