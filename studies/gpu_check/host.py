"""ComfyUI's server with this pack and one graph, as the tests start it: as it is, with little memory, in float8."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..journal import ROOT
from .part import Figure, Gate, LeftOut, Task
from .pictures import psnr, read_video
from .plan import ON_CPU, PLAIN

GRAPH = "toybox-picture-to-video.json"
TROUBLE = ("IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint", "Unable to parse pyproject.toml")
FEWER = (("MicroCinema Sampler.steps", 8), ("TSR Interpolate.passes", 1))  # so that a CPU keeps up
FEWEST = (*FEWER[1:], ("MicroCinema Sampler.steps", 2), ("TSR Interpolate.steps", 1))


@dataclass(frozen=True, slots=True)
class Way:
    """A way to start ComfyUI. flags: of its own; beside: the part whose clip is compared with; least: decibels."""

    flags: tuple[str, ...] = ()
    beside: str = ""
    least: float = 0.0


# The host computes in float16 where the CPU takes float32: as in `frames`. Weights that come to the GPU layer by layer
# are the same weights. float8's mantissa has 3 bits: the clip may differ in detail and shows the same; on a CPU two
# steps were 39 dB apart.
WAYS = {
    "cpu": Way(),
    "gpu": Way(beside=ON_CPU, least=32.0),
    "low": Way(("--novram",), PLAIN, 40.0),
    "float8": Way(("--fp8_e4m3fn-unet",), PLAIN, 18.0),
}


def run(task: Task, gate: Gate) -> Iterator[Figure]:
    """option: the way."""
    sys.path.append(str(ROOT / "tests" / "host"))
    way, start, setup = WAYS[task.option], import_module("run_host"), import_module("setup_host")
    host = found(setup)
    check_offered(way, host.tree, task)
    base = task.folder / "base"
    start.copy_pack(base / "custom_nodes")
    begin = time.monotonic()
    server = start.start_server(host, base, way.flags, device=() if task.cuda else ("--cpu",))
    try:
        yield Figure("until it answers", time.monotonic() - begin, "s")
        told = [line for line in server.log_text().splitlines() if start.PACK in line]  # not of what ComfyUI brings
        trouble = [line for line in told if any(sign in line for sign in TROUBLE)]
        yield Figure("troubles when this pack was loaded", len(trouble), limit=0)
        gate()
        yield from graph(task, server.address)
    finally:
        server.stop()
    if way.beside:
        yield compared(task, way)


def found(setup: Any) -> Any:
    """The host. Raises LeftOut where there is none."""
    try:
        return setup.find_host()
    except setup.HostSetupError as error:
        raise LeftOut(str(error)) from error


def check_offered(way: Way, tree: Path, task: Task) -> None:
    """Raises LeftOut for what this host or a CPU does not have."""
    options = (tree / "comfy" / "cli_args.py").read_text(encoding="utf-8")
    for flag in way.flags:
        if f'"{flag}"' not in options:
            raise LeftOut(f"this ComfyUI has no {flag}")
    if "--novram" in way.flags and not task.cuda:
        raise LeftOut("a CPU has no other memory to bring weights from")


def graph(task: Task, address: str) -> Iterator[Figure]:
    """The graph, on a GPU twice, with another seed first; how long it took."""
    sys.path.append(str(ROOT / "docs" / "api"))
    client = import_module("client")
    comfy = client.ComfyClient(address)
    for when, seed in (("first", 2), ("warm", 1)) if task.cuda else (("first", 1),):
        values = {**dict(FEWEST if task.tiny else FEWER), "MicroCinema Sampler.seed": seed}
        asked = client.load_graph(ROOT / "docs" / "api" / GRAPH, values)
        begin = time.monotonic()
        files = comfy.run(asked)
        yield Figure(f"the graph, {when}", time.monotonic() - begin, "s")
    comfy.download(files[0], task.folder / "made")


def compared(task: Task, way: Way) -> Figure:
    """Decibels of the worst frame. Raises LeftOut where the other part has made no clip."""
    ours, theirs = (next((f / "made").glob("*.mp4"), None) for f in (task.folder, task.beside(way.beside)))
    if ours is None or theirs is None:
        raise LeftOut(f"{way.beside}: made no clip to compare with")
    made = psnr(read_video(ours), read_video(theirs))
    return Figure(f"worst frame beside that of {way.beside}", made, "dB", way.least, least=True)
