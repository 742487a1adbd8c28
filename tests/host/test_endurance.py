"""Long use: runs that are cancelled, many runs, a long queue, and what is left after models are unloaded."""

import gc
import json
import shutil
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from http_graphs import FRAMES, Graph, graph, node, put, stock
from nodes_kit import Kit, load, pictures, write_small
from PIL import Image
from run_host import Server, copy_pack, start_server
from safetensors.torch import load_file
from setup_host import Host

LARGE = 128  # pixels: a step takes longer than the 0.1 s within which the host tells of no second one
QUEUED = 100
RUNS = 20
JOB = {"encode.frames": 9, "encode.keyframe_at": "centre", "interpolate.frames_per_clip": 9}  # to 33 frames


def get(comfy: Any, path: str) -> Any:
    with urllib.request.urlopen(comfy.address + path, timeout=comfy.timeout) as answer:
        return json.load(answer)


def post(comfy: Any, path: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        comfy.address + path, json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=comfy.timeout) as answer:
        assert answer.status == 200


def unload(comfy: Any) -> None:
    """As the button does that unloads models and empties the cache. The host does so after a run: of one picture."""
    post(comfy, "/free", {"unload_models": True, "free_memory": True})
    picture = node("EmptyImage", width=8, height=8, batch_size=1, color=int(time.monotonic() * 1000) % 2**24)
    comfy.run({"picture": picture, "save": node("PreviewImage", images=["picture", 0])})


def pixels(comfy: Any, files: list[Any], folder: Path) -> np.ndarray:
    """[N, H, W, 3] of the pictures that a run made."""
    opened = [Image.open(comfy.download(file, folder)) for file in files]
    return np.stack([np.asarray(picture) for picture in opened])


def ending_in_latents(asked: Graph, part: str) -> Graph:
    """The graph with this node's latents in place of its video."""
    del asked["video"], asked["decode"]
    asked["save"] = node("SaveLatent", samples=[part, 0], filename_prefix="cancelled")
    return asked


def latents(client: ModuleType, comfy: Any, asked: Graph, folder: Path) -> torch.Tensor:
    prompt_id = comfy.queue(asked)
    comfy.wait(prompt_id, asked)
    [made] = get(comfy, f"/history/{prompt_id}")[prompt_id]["outputs"]["save"]["latents"]
    found: torch.Tensor = load_file(comfy.download(client.OutputFile("save", **made), folder))["latent_tensor"]
    return found


def large(asked: Graph, part: str) -> Graph:
    """9 frames of 128x128 in 4 steps, or two of them interpolated in 5 segments, one at once."""
    size = {"picture.width": LARGE, "picture.height": LARGE}
    if part == "interpolate":
        return put(asked, size | {"interpolate.batch": 1, "interpolate.passes": 2, "interpolate.steps": 4})
    frames = {"encode.frames": 9, "encode.keyframe_at": "centre"}
    return put(asked, size | frames | {"sample.steps": 4} | ({"prior.frames": 9} if "prior" in asked else {}))


def cancelled_after_the_first(client: ModuleType, comfy: Any, asked: Graph, part: str) -> list[int]:
    """Every step that this node told of, where the run was cancelled when it told of the first."""
    told = []
    with closing(client.EventStream(comfy.address, comfy.client_id, timeout=30)) as events:
        prompt_id = comfy.queue(asked)
        for event in events.read(seconds=300):
            data = event.get("data", {}) if isinstance(event, dict) else {}
            if data.get("prompt_id") != prompt_id:
                continue
            if event["type"] == "progress" and data["node"] == part:
                told.append(data["value"])
                if len(told) == 1:
                    comfy.cancel(prompt_id)
            if event["type"] == "executing" and data["node"] is None:
                break
    with pytest.raises(client.Interrupted, match=f"node {part}"):
        comfy.wait(prompt_id, asked)
    return told


@pytest.mark.parametrize(
    ("make", "part"),
    [(graph, "sample"), (lambda: stock(graph()), "sample"), (graph, "interpolate")],
    ids=["sampler", "ksampler", "tsr"],
)
def test_cancel_returns_within_a_step(
    comfy: Any, client: ModuleType, make: Callable[[], Graph], part: str, tmp_path: Path
) -> None:
    """A step or segment that had begun may end; the next run then makes what a run makes that was never cancelled."""
    asked = ending_in_latents(large(make(), part), part)
    told = cancelled_after_the_first(client, comfy, asked, part)
    assert told[0] == 1
    assert told[-1] <= 2
    after = latents(client, comfy, asked, tmp_path)
    unload(comfy)  # or the next run would be taken from the cache
    assert torch.equal(latents(client, comfy, asked, tmp_path), after)


@pytest.fixture(scope="module")
def small(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return load(pack, pack_nodes, write_small(pack, tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def tsr(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return load(pack, pack_nodes, write_small(pack, tmp_path_factory.mktemp("models"), "tsr"))


def interpolated(kit: Kit, model: Any) -> torch.Tensor:
    """3 frames to 33: 2 segments at once, then 8."""
    latents = torch.randn(3, 4, 4, 5, generator=torch.Generator().manual_seed(2))
    made, _ = kit.run(
        "TSRInterpolate", model=model, appearnet=kit.appearnet, latent={"samples": latents}, frames_per_clip=3,
        fps=2.0, passes=2, steps=2, seed=5, batch=8,
    )  # fmt: skip
    return made["samples"]


def stock_sampled(kit: Kit, model: Any) -> torch.Tensor:
    return kit.ksampler(kit.encode(pictures(1)), kit.prior(pictures(1)), model=model)


def sampled(kit: Kit, model: Any) -> torch.Tensor:
    return kit.sampler(pictures(1), kit.encode(pictures(1)), model=model)


@pytest.mark.parametrize("run", [stock_sampled, sampled, interpolated])
def test_no_call_of_the_model_follows_the_cancel(
    run: Callable[[Kit, Any], torch.Tensor], request: pytest.FixtureRequest
) -> None:
    """However many steps or segments one call has: the one in which the user cancels is given up in its first layer."""
    kit = request.getfixturevalue("tsr" if run is interpolated else "small")
    import comfy.model_management

    expected = run(kit, kit.model)
    begun, ended, model = [], [], kit.model.clone()

    def cancelling(apply: Callable[..., torch.Tensor], args: dict[str, Any]) -> torch.Tensor:
        begun.append(args["input"].shape)
        if len(begun) == 2:
            comfy.model_management.interrupt_current_processing(True)
        made = apply(args["input"], args["timestep"], **args["c"])
        ended.append(made.shape)
        return made

    model.set_model_unet_function_wrapper(cancelling)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(kit, model)
    assert (len(begun), len(ended)) == (2, 1)
    assert torch.equal(run(kit, model), expected)


def test_nothing_is_left_after_unloading(
    pack: ModuleType, pack_nodes: dict[str, type], tsr: Kit, tmp_path: Path
) -> None:
    """The host's list of loaded models is empty, and a model goes with the last that refers to it."""
    import comfy.model_management

    kit = load(pack, pack_nodes, write_small(pack, tmp_path))
    latents = sampled(kit, kit.model)
    interpolated(tsr, tsr.model)
    with torch.inference_mode():
        kit.vae.decode(latents)
    networks = (
        kit.model.model, kit.appearnet.patcher.model, kit.clip.cond_stage_model, kit.vae.first_stage_model,
        kit.model.model.diffusion_model,
    )  # fmt: skip
    watched = [weakref.ref(network) for network in networks]
    assert len(comfy.model_management.current_loaded_models) >= 4
    comfy.model_management.unload_all_models()
    assert not comfy.model_management.current_loaded_models
    assert all(found() is not None for found in watched)
    del kit, networks
    gc.collect()
    assert [found() for found in watched] == [None] * len(watched)


@pytest.mark.slow
def test_a_hundred_prompts_end_in_order_each_with_its_own_clip(comfy: Any, tmp_path: Path) -> None:
    def asked(seed: int) -> Graph:
        changes = {"sample.steps": 1, "sample.cfg": 1.0, "sample.seed": seed, "sample.exact_keyframe": False}
        one = put(graph(), changes | {"decode.samples": ["sample", 0]})
        return one | {"save": node("SaveImage", images=["decode", 0], filename_prefix=f"queued/{seed}")}

    alone = {seed: pixels(comfy, comfy.run(asked(seed)), tmp_path) for seed in (0, QUEUED // 2, QUEUED - 1)}
    unload(comfy)
    queued = [comfy.queue(asked(seed)) for seed in range(QUEUED)]
    clips = [pixels(comfy, comfy.wait(prompt_id), tmp_path) for prompt_id in queued]
    assert all(clip.shape[0] == FRAMES for clip in clips)
    assert all(np.array_equal(clips[seed], clip) for seed, clip in alone.items())
    assert len({clip.tobytes() for clip in clips}) == QUEUED
    history = get(comfy, "/history")
    assert [prompt_id for prompt_id in history if prompt_id in queued] == queued
    spans = [dict(history[prompt_id]["status"]["messages"]) for prompt_id in queued]
    times = [span[name]["timestamp"] for span in spans for name in ("execution_start", "execution_success")]
    assert times == sorted(times)


@pytest.fixture(scope="module")
def classic(comfyui: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps the last run's results and no older ones, and says which models are alive."""
    base = tmp_path_factory.mktemp("classic")
    copy_pack(base / "custom_nodes")
    (base / "custom_nodes" / "live").mkdir()
    shutil.copy(Path(__file__).with_name("live_models.py"), base / "custom_nodes" / "live" / "__init__.py")
    server = start_server(comfyui, base, ["--cache-classic"])
    yield server
    server.stop()


@pytest.mark.slow
def test_memory_does_not_grow_and_is_given_back(classic: Server, client: ModuleType) -> None:
    """Twenty short clips, each with a seed of its own, from loading to the video; then everything is unloaded."""
    comfy = client.ComfyClient(classic.address)
    sizes, tensors = [], []
    for seed in range(RUNS):
        comfy.run(put(graph(), {"sample.seed": seed, "interpolate.seed": seed} | JOB))
        sizes.append(psutil.Process(classic.process.pid).memory_info().rss / 1e6)
        tensors.append(get(comfy, "/live_models")["tensors"])
    print("resident after each run, MB:", *(f"{size:.0f}" for size in sizes))
    assert sizes[-1] <= 1.05 * sizes[2]
    assert tensors[-1] == tensors[2]
    in_use = get(comfy, "/live_models")
    assert "HostModel" in in_use["loaded"]
    assert {"HostModel", "HostUNet", "AppearNet"} <= set(in_use["ours"])
    unload(comfy)
    left = get(comfy, "/live_models")
    assert (left["loaded"], left["ours"], left["patchers"]) == ([], [], 0)
