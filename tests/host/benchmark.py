"""What it costs to be a guest: stock KSampler with our MODEL against the core alone, on the same work.

Run by hand with ComfyUI's Python: `.comfyui/venv/bin/python -P tests/host/benchmark.py`. Both sample the embedded video
model from the same noise with the same sampler and guidance, one after the other, taking turns at being first. The
figure is the median of the pairs' ratios. AppearNet, texts and the autoencoder are outside. On a machine that does
other work too, processor time is what counts. Then a server of its own runs the first workflow as it is shipped, from
picture to 129 frames at 32 a second: the first run loads the models too.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parent))

from run_host import ROOT, copy_pack, start_server
from setup_host import find_host

SAMPLER = "dpmpp_2m"
WORKFLOW = "toybox-picture-to-video"


def start_in_process(base: Path) -> None:
    """ComfyUI's modules, importable here, on the CPU and with folders in `base`."""
    for name in ("custom_nodes", "input", "models", "output", "temp", "user"):
        (base / name).mkdir()
    sys.path.insert(0, str(find_host().tree))
    sys.argv = ["main.py", "--cpu", "--base-directory", str(base)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.cli_args  # reads sys.argv once, now


def contestants(frames: int, steps: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """(in the host, by the core alone); their results are compared first."""
    import asyncio

    import conftest
    import nodes_kit

    pack = conftest.load(str(ROOT).replace(".", "_x_"), ROOT / "__init__.py")

    async def load_nodes() -> list[type]:
        extension = await pack.comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(load_nodes())}
    kit = nodes_kit.load(pack, nodes, nodes_kit.WEIGHTS / "toybox-video.safetensors")
    keyframes = nodes_kit.pictures(1, 128, 128)
    prompts, latent = kit.encode(keyframes, frames=frames), kit.prior(keyframes, frames)
    alone = nodes_kit.standalone(kit, keyframes, prompts, latent, steps, 2.0, SAMPLER)

    def hosted() -> object:
        return kit.ksampler(prompts, latent, SAMPLER, steps=steps)

    ours, theirs = hosted(), alone()
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"{frames} frames of 128x128, {steps} steps, {SAMPLER}; results differ by {difference:.1e}")
    return hosted, alone


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor and of wall clock."""
    processor, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - processor, time.perf_counter() - wall


def time_workflow(runs: int) -> None:
    """Seconds from the request to the finished video."""
    import conftest

    client = conftest.load("microcinema_api_client", ROOT / "docs" / "api" / "client.py")
    graph = client.load_graph(ROOT / "docs" / "api" / f"{WORKFLOW}.json")
    with tempfile.TemporaryDirectory() as folder:
        copy_pack(Path(folder) / "custom_nodes")
        server = start_server(find_host(), Path(folder))
        try:
            comfy = client.ComfyClient(server.address)
            for number in range(runs):
                client.find_node(graph, "MicroCinema Sampler")["inputs"]["seed"] = number
                start = time.perf_counter()
                comfy.run(graph)
                print(f"{WORKFLOW}, run {number + 1}: {time.perf_counter() - start:.1f} s", flush=True)
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3, help="of the whole workflow")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start_in_process(Path(folder))
        hosted, alone = contestants(args.frames, args.steps)
        pairs = []
        for number in range(args.pairs):
            order = (hosted, alone) if number % 2 == 0 else (alone, hosted)
            times = {run: timed(run) for run in order}
            pairs.append((times[hosted], times[alone]))
    for which, name in enumerate(("processor time", "wall clock")):
        ratios = sorted(host[which] / core[which] for host, core in pairs)
        seconds = [median(one[which] for one in column) for column in zip(*pairs, strict=True)]
        print(
            f"{name}: KSampler {seconds[0]:.2f} s, the core alone {seconds[1]:.2f} s; ratio {median(ratios):.3f}, "
            f"from {ratios[0]:.3f} to {ratios[-1]:.3f} over {len(ratios)} pairs"
        )
    time_workflow(args.runs)


if __name__ == "__main__":
    main()
