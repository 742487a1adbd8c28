"""The multiplane camera's nodes over HTTP: one graph through all four, what nodes say, and frames that lead a clip."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from bad_input import motions
from http_graphs import FRAMES, Graph, graph, node, put, stock
from PIL import Image
from run_host import PACK, ROOT, Server

SIZE = (48, 64)  # height, width
COUNT = 5


def written(folder: Path) -> Path:
    """A picture of noise with a transparent square, as the mask editor saves what is painted."""
    pixels = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[16:32, 20:36] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save(folder / "camera.png")
    return folder / "camera.png"


def through_all(name: str) -> Graph:
    """Load Image, Curve Editor, Camera, Region, Plates, and back into Render; all it gives is saved as pictures."""
    made = motions() | {
        "picture": node("LoadImage", image=name),
        "plates": node("MicroCinemaPlates", motion=["region", 0], picture=["picture", 0]),
        "curve": node("CurveEditor", curve={"points": [[0, 0], [0.5, 0.2], [1, 1]], "interpolation": "linear"}),
        "tracks": node(
            "WanMoveVisualizeTracks", images=["render", 0], tracks=["render", 2], line_resolution=24, circle_size=2,
            opacity=0.75, line_width=2,
        ),
        "unknown": node("MaskToImage", mask=["render", 1]),
        "frames": node("SaveImage", images=["render", 0], filename_prefix="motion"),
        "followed": node("SaveImage", images=["tracks", 0], filename_prefix="motion"),
        "open": node("SaveImage", images=["unknown", 0], filename_prefix="motion"),
    }  # fmt: skip
    changes = {
        "camera.horizontal": 0.25, "camera.zoom": 1.0, "camera.keyframe_at": "first", "region.mask": ["picture", 1],
        "camera.prompt": "a fox, the camera slowly tilts up", "render.plates": ["plates", 0], "render.frames": COUNT,
        "region.horizontal": 2.0, "camera.curve": ["curve", 0],
    }  # fmt: skip
    return put(made, changes)


def saved(comfy: Any, files: list, name: str, folder: Path) -> np.ndarray:
    """[T, H, W, 3] of what one Save Image kept."""
    pictures = [comfy.download(file, folder) for file in files if file.node_id == name]
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in pictures])


def texts(client: ModuleType, comfy: Any, asked: Graph) -> tuple[list, list[str]]:
    """What a graph made, and what the page is told to write on its nodes."""
    with closing(client.EventStream(comfy.address, comfy.client_id, 30)) as events:
        files = comfy.wait(comfy.queue(asked), deadline=60)
        told = [event[8:].decode() for event in events.read(1) if isinstance(event, bytes) and event[:4] == b"\0\0\0\3"]
    return files, told


def test_a_graph_through_all_four_nodes(comfy: Any, client: ModuleType, tmp_path: Path) -> None:
    path = written(tmp_path)
    files, told = texts(client, comfy, through_all(comfy.upload(path)))
    frames = saved(comfy, files, "frames", tmp_path / "a")
    picture = np.asarray(Image.open(path).convert("RGB"))
    assert frames.shape == (COUNT, *SIZE, 3)
    assert (frames[0] == picture).all()
    assert (frames[-1] != picture).any()
    assert not saved(comfy, files, "open", tmp_path / "b").any()  # the plates came back: all of it is known
    assert (saved(comfy, files, "followed", tmp_path / "c")[0] != frames[0]).any()
    assert any(text.startswith("cameraread `the camera slowly tilts up`: tilt ") for text in told), told
    assert any(text.startswith("renderregion 1 is outside the frame at frame ") for text in told), told


def test_a_graph_with_layers_and_what_was_found(comfy: Any, client: ModuleType, tmp_path: Path) -> None:
    """Load Image, Scene, Camera's words, two layers, Render: what each node says, and frames that change."""
    lake = comfy.upload(ROOT / "assets" / "pictures" / "lake.jpg")
    asked = motions() | {
        "picture": node("LoadImage", image=lake),
        "scene": node("MicroCinemaScene", picture=["picture", 0]),
        "clouds": motions()["layer"],
        "seen": node("MaskToImage", mask=["scene", 1]),
        "frames": node("SaveImage", images=["render", 0], filename_prefix="layers"),
        "water": node("SaveImage", images=["seen", 0], filename_prefix="layers"),
    }
    changes = {
        "camera.zoom": 1.0, "camera.prompt": "the camera is still, snow falls softly", "layer.kind": "waves",
        "layer.motion": ["camera", 0], "clouds.kind": "clouds", "clouds.motion": ["layer", 0],
        "clouds.mask": ["scene", 0], "render.motion": ["clouds", 0], "render.frames": COUNT, "render.width": 96,
    }  # fmt: skip
    files, told = texts(client, comfy, put(asked, changes))
    frames = saved(comfy, files, "frames", tmp_path / "a").astype(int)
    assert frames.shape == (COUNT, 48, 96, 3)
    assert (abs(frames[1:] - frames[:-1]).max((1, 2, 3)) > 8).all()
    water = saved(comfy, files, "water", tmp_path / "b")[0] / 255
    assert water[250:].mean() > 0.8  # the lake
    assert water[:120].mean() < 0.1
    assert any(text.startswith("cameraread `camera is still`, `snow falls softly`: snow amount 0.7") for text in told)
    for name in ("scene", "render"):
        assert any(text.startswith(f"{name}found: sky ") and "water" in text for text in told), told


def test_rendered_frames_lead_a_clip_over_http(comfy: Any) -> None:
    """With KSampler and its prior, and in our sampler; the keyframe is the guide's last frame, as the camera's."""
    for asked in (graph(), stock(graph())):
        led = {"encode.guide": ["render", 0], "encode.guide_mask": ["render", 1], "render.frames": FRAMES}
        if "prior" in asked:
            led |= {"prior.guide": ["render", 0], "prior.guide_mask": ["render", 1]}
        black = {"black": node("SolidMask", value=0.0, width=64, height=64)}
        two = {"two": node("EmptyImage", width=64, height=64, batch_size=2, color=0)}
        [made] = comfy.run(put(asked | motions() | black | two, led))
        assert made.filename.endswith(".mp4")


@pytest.fixture
def composer(host: Server) -> Iterator[Path]:
    """The network's file, among the weights of the pack that the server has."""
    path = host.base / "custom_nodes" / PACK / "weights" / "pocket-composer.safetensors"
    shutil.copy(ROOT / "studies" / "pocket" / "start" / path.name, path)
    yield path
    path.unlink()


@pytest.mark.usefixtures("composer")
def test_what_a_model_painted_is_composed_over_http(comfy: Any, tmp_path: Path) -> None:
    """At half the size through the VAE and back on the frames; where nothing was asked they are Render's own."""
    asked = graph() | motions() | {"two": node("EmptyImage", width=64, height=64, batch_size=2, color=0)}
    asked |= {
        "picture": node("LoadImage", image=comfy.upload(written(tmp_path))),
        "half": node(
            "ImageScale", image=["render", 0], upscale_method="area", width=32, height=24, crop="disabled"
        ),
        "painted": node("VAEEncode", pixels=["half", 0], vae=["load", 3]),
        "everywhere": node(
            "MicroCinemaCompose", latent=["painted", 0], frames=["render", 0], vae=["load", 3], detail="composer",
            unknown=["render", 1],
        ),
        "plain": node(
            "MicroCinemaCompose", latent=["painted", 0], frames=["render", 0], vae=["load", 3], detail="plain",
            unknown=["render", 1],
        ),
        "nowhere": node(
            "MicroCinemaCompose", latent=["painted", 0], frames=["render", 0], vae=["load", 3], detail="composer",
            asked=["black", 0],
        ),
    } | {
        f"save {name}": node("SaveImage", images=[name, 0], filename_prefix="composed")
        for name in ("render", "everywhere", "plain", "nowhere")
    }  # fmt: skip
    del asked["save"]
    files = comfy.run(put(asked, {"render.motion": ["camera", 0], "render.frames": COUNT, "camera.horizontal": 0.3}))
    frames, everywhere, plain, nowhere = (
        saved(comfy, files, f"save {name}", tmp_path / name).astype(int)
        for name in ("render", "everywhere", "plain", "nowhere")
    )
    assert everywhere.shape == (COUNT, *SIZE, 3)
    assert (frames == nowhere).all()
    assert (frames != everywhere).any()
    assert (plain != everywhere).any()
    assert abs(frames - everywhere)[-1].mean() < 3  # the keyframe, all of it known: nothing was changed in it
