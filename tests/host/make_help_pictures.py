"""Make the pictures of the help pages anew: .comfyui/venv/bin/python -P tests/host/make_help_pictures.py

One graph for each part: `toybox` (a few minutes on an idle machine), `camera`, `layers` and `scene`. Starts a server of
its own unless --server names one.
"""

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))

import camera_graphs as cameras
import layer_help
import workflow_graphs as graphs
from make_workflows import ROCKET, load_client, upload, with_server
from PIL import Image, ImageOps
from run_host import ROOT
from workflow_graphs import FRAMES, Node, Workflow

DOCS = ROOT / "web" / "docs"
GAMMAS, STRONG_GAMMAS = (0.0, 0.1, 0.4), (0.0, 0.05, 0.15, 0.4)
SHOWN = range(0, FRAMES, 2)
GAP, EDGE = 4, 3  # pixels
PROMPT = "A yellow square moves right slowly over a night sky"
PARTS = ("toybox", "camera", "layers", "scene")
LOOKED_AT = ("lake", "hills", "cat")
TILE = 240  # pixels across
PAINT = 0xF0409A
MOVES: dict[str, dict[str, Any]] = {
    "as it is": {"prompt": "the camera is still"},
    "to the right": {"horizontal": 0.15},
    "nearer": {"zoom": 1.4},
    "rolled": {"roll": 12.0},
}
Pictures = dict[str, list[Image.Image]]


def help_graph() -> Workflow:
    flow = Workflow("help", "")
    keyframe, model = graphs.drawn_keyframe(flow), graphs.load(flow)
    first = graphs.encode(flow, model, keyframe[0], PROMPT, "first", "first")
    centre = graphs.encode(flow, model, keyframe[0], PROMPT, "centre", "centre")
    still = graphs.encode(flow, model, keyframe[0], PROMPT, "centre", "still")
    still.inputs["motion"] = 0.0
    for title, encoded in (("first", first), ("still", still)):
        keep(flow, title, graphs.sample(flow, model, keyframe[0], encoded)[0], model)
    for gamma in GAMMAS:
        given = {"gamma": "value", "gamma.value": gamma}
        clip = graphs.sample(flow, model, keyframe[0], centre, **given)
        keep(flow, f"gamma {gamma}", clip[0], model)
        if gamma == 0:
            pair = flow.add("LatentFromBatch", "pair", samples=clip[0], batch_index=FRAMES - 2, length=2)
            keep(flow, "between", graphs.interpolate(flow, pair[0], frames=2, passes=1)[0], model)
    keep(flow, "exact", graphs.sample(flow, model, keyframe[0], centre, exact_keyframe=True)[0], model)
    flow.add("SaveImage", "keyframe", images=keyframe[0], filename_prefix="help")
    pictures_with_prior(flow, keyframe)
    return flow


def pictures_with_prior(flow: Workflow, keyframe: Node) -> None:
    """The image stage on its own, with more and more of the keyframe in its noise."""
    model = graphs.load(flow, "toybox-image.safetensors")
    positive = graphs.text(flow, model[2], "A red star over a night sky")
    negative = graphs.text(flow, model[2], "")
    guider = flow.add("CFGGuider", "guide", model=model[0], positive=positive[0], negative=negative[0], cfg=2.0)
    sampler = flow.add("KSamplerSelect", "sampler", sampler_name="dpmpp_2m")
    sigmas = flow.add("BasicScheduler", "sigmas", model=model[0], scheduler="sgm_uniform", steps=12, denoise=1.0)
    empty = flow.add("EmptyLatentImage", "empty", width=128, height=128, batch_size=1)
    for gamma in STRONG_GAMMAS:
        given = {"model": model[0], "vae": model[3], "keyframe": keyframe[0], "seed": 3}
        noise = flow.add("MicroCinemaNoisePriorNoise", "noise", **given, **{"gamma": "value", "gamma.value": gamma})
        made = flow.add(
            "SamplerCustomAdvanced", "made", noise=noise[0], guider=guider[0], sampler=sampler[0], sigmas=sigmas[0],
            latent_image=empty[0],
        )  # fmt: skip
        keep(flow, f"noise {gamma}", made[0], model)


def camera_graph(coffee: str, rocket: str) -> Workflow:
    """Moves of a camera, a region's way, plates, and what Render gives beside its frames."""
    flow = Workflow("help-camera", "")
    cup = flow.add("LoadImage", "cup", image=coffee)
    pad = flow.add("LoadImage", "pad", image=rocket)
    small = {"width": TILE, "frames": 3}
    for title, dials in MOVES.items():
        made = cameras.render(flow, cameras.camera(flow, **dials), cup[0], **small)
        flow.add("SaveImage", title, images=made[0], filename_prefix="help")
    rising = cameras.region(flow, pad[1], vertical=0.55, zoom=0.8)
    rising.inputs["motion"] = cameras.camera(flow, prompt="the camera is still")[0]
    made = cameras.render(flow, rising, pad[0], **small)
    flow.add("SaveImage", "rising", images=made[0], filename_prefix="help")
    plates = flow.add("MicroCinemaPlates", "plates", motion=rising[0], picture=pad[0])
    paint = flow.add("EmptyImage", "paint", width=2048, height=2048, batch_size=1, color=PAINT)
    marked = flow.add(
        "ImageCompositeMasked", "marked", destination=plates[0], source=paint[0], x=0, y=0, resize_source=True,
        mask=plates[1],
    )  # fmt: skip
    flow.add("SaveImage", "plate", images=marked[0], filename_prefix="help")
    swung = cameras.camera(flow, horizontal=0.2, roll=-8.0, ease="linear")
    made = cameras.render(flow, swung, cup[0], tracks=40, width=TILE, frames=9)
    followed = flow.add(
        "WanMoveVisualizeTracks", "tracks", images=made[0], tracks=made[2], line_resolution=24, circle_size=3,
        opacity=0.9, line_width=4,
    )  # fmt: skip
    unknown = flow.add("MaskToImage", "mask", mask=made[1])
    for title, images in (("frames", made), ("unknown", unknown), ("followed", followed)):
        flow.add("SaveImage", title, images=images[0], filename_prefix="help")
    return flow


def keep(flow: Workflow, title: str, latent: list[Any], model: Node) -> None:
    frames = graphs.decode(flow, latent, model[3], f"decode {title}")
    flow.add("SaveImage", title, images=frames[0], filename_prefix="help")


def run(flow: Workflow, comfy: Any) -> Pictures:
    """What each SaveImage of the graph kept, by its title."""
    import tempfile

    client = load_client()
    kept: Pictures = {}
    with tempfile.TemporaryDirectory() as folder:
        for file in comfy.run(flow.api):
            data = comfy.download(file, folder).read_bytes()
            title = client.title(flow.api, file.node_id)
            kept.setdefault(title, []).append(Image.open(io.BytesIO(data)).convert("RGB"))
    return kept


def rows(pictures: Iterable[Sequence[Image.Image]]) -> Image.Image:
    """One row below the other, on white."""
    lines = list(pictures)
    across, down = (side + GAP for side in lines[0][0].size)
    sheet = Image.new("RGB", (len(lines[0]) * across - GAP, len(lines) * down - GAP), "white")
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            sheet.paste(picture, (x * across, y * down))
    return sheet


def outlined(picture: Image.Image) -> Image.Image:
    inner = picture.crop((EDGE, EDGE, picture.width - EDGE, picture.height - EDGE))
    return ImageOps.expand(inner, EDGE, "white")


def draw(kept: Pictures) -> dict[str, Image.Image]:
    """The picture of each page, by its node's id."""
    few = {title: [frames[i] for i in SHOWN] for title, frames in kept.items() if len(frames) == FRAMES}
    plain = few["gamma 0.0"]
    start, *new, end = kept["between"]
    return {
        "Load": rows([plain]),
        "AppearNetEncode": rows([few["first"], plain, few["still"]]),
        "NoisePriorLatent": rows([[kept[f"gamma {gamma}"][-1] for gamma in GAMMAS]]),
        "NoisePriorNoise": rows([kept["keyframe"] + [kept[f"noise {gamma}"][0] for gamma in STRONG_GAMMAS]]),
        "Sampler": rows([plain, few["exact"]]),
        "TSRInterpolate": rows([[outlined(start), *new, outlined(end)]]),
    }


def draw_camera(kept: Pictures) -> dict[str, Image.Image]:
    height = kept["rising"][0].height
    plate = kept["plate"][0]
    plate = plate.resize((round(plate.width * height / plate.height), height), Image.Resampling.LANCZOS)
    return {
        "Camera": rows([[kept[title][-1] for title in MOVES]]),
        "Region": rows([kept["rising"]]),
        "Plates": rows([[kept["rising"][0], plate]]),
        "Render": rows([[kept[title][-1] for title in ("frames", "unknown", "followed")]]),
    }


def make(address: str, parts: Sequence[str]) -> None:
    comfy, drawn = load_client().ComfyClient(address, timeout=300), {}
    if "toybox" in parts:
        drawn |= draw(run(help_graph(), comfy))
    if "camera" in parts:
        drawn |= draw_camera(run(camera_graph(upload(comfy, "coffee.jpg"), upload(comfy, *ROCKET)), comfy))
    if "layers" in parts:
        drawn["Layer"] = layer_help.layers_sheet(run(layer_help.layers_graph(partial(upload, comfy)), comfy))
    if "scene" in parts:
        kept = run(layer_help.scene_graph(partial(upload, comfy), LOOKED_AT), comfy)
        drawn["Scene"] = layer_help.scene_sheet(kept, LOOKED_AT)
    for name, picture in drawn.items():
        path = DOCS / f"MicroCinema{name}.jpg"
        picture.save(path, quality=90)
        print(path.relative_to(ROOT), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the pictures of the help pages.")
    parser.add_argument("--server", help="address of a running ComfyUI with this pack")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    if options.server:
        make(options.server, options.parts)
    else:
        with_server(lambda address: make(address, options.parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
