"""How long drawn layers take: `python -m studies.layers.speed --out docs/results/layers-speed.md`.

A camera that goes and zooms, snow, fog and falling light at 1280x720, encoder included; then each kind alone over a
still camera. Each figure is of a process of its own, beside it how many processors other programs kept busy.
OpenCV composes as good as the same overlay in 8 bits: the same plate warped, as many flakes as antialiased circles,
blurred by distance, a drifting noise blended by distance, a table of light: `pip install opencv-python-headless`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from microcinema_core.errors import InputError
from microcinema_core.files import written_whole
from microcinema_core.media import save_clip
from microcinema_core.motion.layer import Layer, LayerKind
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.motion.scene import Motion
from microcinema_core.standalone.camera import Take, move
from microcinema_core.standalone.framing import Timing

from ..speed.gauge import Neighbours

PICTURE = Path("assets/pictures/hills.jpg")
WIDTH, HEIGHT = 1280, 720
WANTED = 60.0  # seconds for the three layers with a camera and the encoder
FRAMES, LONG, FPS = 129, 387, 32.0
ALONE = 17  # frames of a kind's own clip
CAMERA = Camera(horizontal=0.1, zoom=1.15)
LAYERS = (Layer(LayerKind.SNOW), Layer(LayerKind.FOG), Layer(LayerKind.EVENING, fade_in=1.0))
Picture = NDArray[np.uint8]


def picture() -> Image.Image:
    shown = Image.open(PICTURE).convert("RGB")
    return shown.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def taken(layers: Sequence[Layer], camera: Camera, frames: int) -> Take:
    """The clip of these layers; where they need places, all of the picture is theirs."""
    mask = torch.ones(HEIGHT, WIDTH)
    motion = Motion(Plan(camera))
    for layer in layers:
        motion = motion.with_layer(layer, None if layer.where == "everywhere" else mask)
    return move(picture(), motion, Timing(frames, FPS))


def written(frames: Iterator[Picture]) -> None:
    """A clip as MP4."""
    with tempfile.TemporaryDirectory() as folder:
        save_clip(f"{folder}/clip.mp4", frames, FPS, {})


def drained(frames: Iterator[Picture]) -> None:
    """Frames made and left."""
    for _ in frames:
        pass


def by_opencv(flakes: int, frames: int) -> Iterator[Picture]:
    """The same overlay in 8 bits."""
    import cv2

    scene = move(picture(), Motion(Plan(CAMERA)), Timing(frames, FPS)).renderer
    plate = np.ascontiguousarray((scene.scene.plates[0].colour * 255).round().byte().movedim(0, -1).numpy())
    left, top = scene.scene.plates[0].corner
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.random((12, 20), np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    far = np.linspace(1.5, 0.2, HEIGHT, dtype=np.float32)[:, None]
    sheets = np.array_split(rng.random((flakes, 3)), 4)
    for index, moment in enumerate(scene.moments):
        place = scene.scene.plates[0].where(scene.scene.plan, moment, scene.view)
        assert place is not None
        shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpPerspective(plate, shift @ place, (WIDTH, HEIGHT), flags=flags)
        air = 1 - np.exp(-far * np.roll(noise, 3 * index, 1))
        seen = cv2.convertScaleAbs(seen * (1 - air[..., None]) + 200 * air[..., None])
        for number, sheet in enumerate(sheets):
            cover = np.zeros((HEIGHT, WIDTH), np.uint8)
            for x, y, size in sheet:
                down = (y + (0.1 + 0.1 * number) * index / FPS) % 1
                centre = (int(16 * x * WIDTH), int(16 * down * HEIGHT))
                cv2.circle(cover, centre, int(16 * (1 + number) * (0.5 + size)), 220, -1, cv2.LINE_AA, 4)
            cover = cv2.GaussianBlur(cover, (0, 0), 0.5 + number)
            share = cv2.merge([cover] * 3)
            white = cv2.multiply(np.full_like(seen, 235), share, scale=1 / 255)
            seen = cv2.add(white, cv2.multiply(seen, 255 - share, scale=1 / 255))
        table = (255 * (np.arange(256) / 255) ** (1 + index / frames)).astype(np.uint8)
        yield cv2.LUT(seen, table)


def flakes_of(take: Take) -> int:
    """How many particles are in its middle frame."""
    overlay, moment = take.renderer.overlay, take.renderer.moments[len(take) // 2]
    return sum(len(field.stamps(moment).depth) for _, field in overlay.fields) if overlay is not None else 0


def work(what: str, frames: int) -> Callable[[], None]:
    """What is measured, all prepared: `all`, `encoder`, `camera`, `opencv`, or a kind of layer."""
    if what == "opencv":
        flakes = flakes_of(taken(LAYERS, CAMERA, 3))
        return lambda: written(by_opencv(flakes, frames))
    if what == "all":
        take = taken(LAYERS, CAMERA, frames)
        return lambda: written(iter(take))
    if what == "camera":
        plain = taken((), CAMERA, frames)
        return lambda: written(iter(plain))
    one = taken((Layer(LayerKind(what)),), Camera(), frames)
    return lambda: drained(one.frames(range(len(one))))


def measured(what: str, frames: int) -> dict[str, Any]:
    """One figure: seconds, those of preparing it, peak memory of the process in MB, neighbours."""
    neighbours, start = Neighbours(), time.perf_counter()
    done = work(what, frames)
    prepared = time.perf_counter() - start
    start = time.perf_counter()
    done()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "prepared": prepared, "peak": peak, "busy": neighbours.busy()}


def apart(what: str, frames: int) -> dict[str, Any]:
    """`measured`, by a process of its own. Raises InputError where that fails."""
    command = [sys.executable, "-m", "studies.layers.speed", "--measure", what, str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{what}: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def page(frames: int, long: int, kinds: Sequence[str]) -> str:
    """The measurements, as Markdown."""
    whole, camera, peer = (apart(what, frames) for what in ("all", "camera", "opencv"))
    again = apart("all", long)
    both = whole["seconds"] + whole["prepared"]
    lines = [
        "# How fast layers are drawn",
        "",
        f"By `python -m studies.layers.speed`, on {torch.get_num_threads()} cores, {WIDTH}x{HEIGHT}, {frames} frames "
        "with the encoder (H.264).",
        "*Others*: how many cores other programs kept busy meanwhile; where they did, the true figures are lower.",
        "",
        "| clip | prepared | frames and encoder | in all | wanted | others |",
        "|---|---|---|---|---|---|",
        f"| camera, snow, fog, evening | {whole['prepared']:.1f} s | {whole['seconds']:.1f} s | **{both:.1f} s** | "
        f"{WANTED:g} s | {whole['busy']:.1f} |",
        f"| the camera alone | {camera['prepared']:.1f} s | {camera['seconds']:.1f} s | "
        f"{camera['prepared'] + camera['seconds']:.1f} s | | {camera['busy']:.1f} |",
        f"| as good as the same by OpenCV, 8 bits | | {peer['seconds']:.1f} s | | | {peer['busy']:.1f} |",
        "",
        f"Times OpenCV's: **{whole['seconds'] / peer['seconds']:.2f}**. "
        f"Memory: {whole['peak']:.0f} MB at most for {frames} frames, {again['peak']:.0f} MB for {long}.",
        "",
        "A kind alone, over a still camera, without the encoder:",
        "",
        "| kind | a frame | | kind | a frame |",
        "|---|---|---|---|---|",
    ]
    cells = [f"| `{kind}` | {apart(kind, ALONE)['seconds'] / ALONE:.3f} s |" for kind in kinds]
    half = (len(cells) + 1) // 2
    lines += [f"{left} {right}" for left, right in zip_longest(cells[:half], cells[half:], fillvalue="| | |")]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.layers.speed", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/layers-speed.md"))
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--long", type=int, default=LONG)
    parser.add_argument("--kinds", nargs="*", default=[str(kind) for kind in LayerKind if kind is not LayerKind.TAUGHT])
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        what, frames = options.measure
        sys.stdout.write(json.dumps(measured(what, int(frames))))
        return
    with written_whole(options.out) as path:
        path.write_text(page(options.frames, options.long, options.kinds), encoding="utf-8")


if __name__ == "__main__":
    main()
