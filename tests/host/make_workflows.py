"""Write docs/api, workflows and subgraphs: .comfyui/venv/bin/python -P tests/host/make_workflows.py

All is made from workflow_graphs.py and blueprint_graphs.py.
Parts, in this order, all by default:
  api         docs/api/NAME.json, the API form
  canvas      workflows/NAME.json, made by ComfyUI's own page in a browser, then laid out here
  blueprints  subgraphs/NAME.json, parts of those canvases as one node
  pictures    workflows/NAME.jpg, frames of the video that the workflow makes as shipped: minutes for each

Starts a server of its own unless --server names one. What needs files that are fetched gets a drawn card instead, and
what loads a picture shows one of assets/pictures.
--quick interpolates once, with one step: the pictures show the model's own slow frames, which stay as they are.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.append(str(Path(__file__).parent))

from blueprint_graphs import BLUEPRINTS, blueprint_file
from graph_parts import fix_seed
from run_host import ROOT, copy_pack, start_server
from setup_host import find_host
from workflow_graphs import READY, Workflow, all_workflows

API, CANVAS, SUBGRAPHS = ROOT / "docs" / "api", ROOT / "workflows", ROOT / "subgraphs"
PICTURES = ROOT / "assets" / "pictures"
Painted = tuple[tuple[int, int], ...]  # a polygon, in pixels of the picture
ROCKET = ("rocket.jpg", ((309, 122), (337, 122), (337, 405), (309, 405)))  # with the box in which it stands
LAKE = "lake.jpg"
WATER: Painted = ((0, 222), (719, 224), (719, 359), (0, 359))
SKY: Painted = ((0, 0), (719, 0), (719, 100), (0, 100))
SHOWN: dict[str, tuple[tuple[str, Painted], ...]] = {  # one picture for each Load Image
    "a-photo-moves": (("coffee.jpg", ()),),
    "motion-brush": (ROCKET,),
    "photo-under-snow": (("city.jpg", ()),),
    "lake-alive": ((LAKE, ()),),
    "lake-by-hand": ((LAKE, WATER), (LAKE, SKY)),
}
PARTS = ("api", "canvas", "blueprints", "pictures")
SIDE = 384  # of a picture, in pixels
GAP, TITLE, PAD = 40, 34, 24  # pixels of the canvas: between nodes, a node's title, a group's edge
COLUMN = 760  # a group's nodes are stacked to about this height
NOTE = (460, 620)
PROMPT = {True: (320, 130), False: (320, 80)}  # with and without text in it
WITH_PICTURE = (280, 340)  # once it shows its picture
NEAR = 1500  # a canvas that ends before this fits the page at three quarters
SHOWN_GROUPS = 3  # of a canvas that is shown near enough to be read
LOAD = "([graph, name]) => { window.app.graph.clear(); return window.app.loadApiJson(graph, name); }"
SETTLED = "count => window.app.graph.nodes.length === count"
Canvas = dict[str, Any]


def write_api(flow: Workflow) -> None:
    write_json(API / f"{flow.name}.json", flow.api)


def write_blueprints() -> None:
    SUBGRAPHS.mkdir(exist_ok=True)
    for blueprint in BLUEPRINTS:
        write_json(SUBGRAPHS / f"{blueprint.name}.json", blueprint_file(blueprint))


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    print(path.relative_to(ROOT), flush=True)


def make_canvases(flows: Sequence[Workflow], address: str) -> None:
    from browser import FLAGS, ComfyPage
    from playwright.sync_api import sync_playwright
    from setup_browser import set_up

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=set_up(), args=FLAGS)
        shown = ComfyPage(browser.new_context(viewport={"width": 1600, "height": 1000}), address)
        for flow in flows:
            shown.page.evaluate(LOAD, [flow.api, flow.name])
            shown.page.wait_for_function(SETTLED, arg=len(flow.nodes))
            text = shown.page.evaluate("() => JSON.stringify(window.app.graph.serialize())")
            write_json(CANVAS / f"{flow.name}.json", laid_out(json.loads(text), flow))
        browser.close()


def laid_out(canvas: Canvas, flow: Workflow) -> Canvas:
    """The page's own graph with groups from left to right, the note, and what the host needs to find files."""
    made = {str(node["id"]): node for node in canvas["nodes"]}
    for node in flow.nodes:
        if node.kind == "CLIPTextEncode":
            made[node.id]["size"] = list(PROMPT[bool(node.inputs["text"])])
        if node.kind == "LoadImage":
            made[node.id]["size"] = list(WITH_PICTURE)
        known = [{"name": f.name, "url": f.url, "directory": f.folder} for f in node.files if f.url]
        if known:
            made[node.id]["properties"]["models"] = known
        if flow.fixed_seeds:
            fix_seed(made[node.id])
    canvas["groups"] = place_groups(made, flow)
    canvas["nodes"].append(note_node(len(flow.nodes) + 1, note_text(flow)))
    renumber_links(canvas)
    scale = scale_of(canvas["groups"])
    kept = {key: canvas[key] for key in ("nodes", "links", "groups", "config", "version")}
    numbers = {"last_node_id": len(canvas["nodes"]), "last_link_id": len(canvas["links"])}
    identity = {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"microcinema/{flow.name}")), "revision": 0}
    return identity | numbers | kept | {"extra": {"ds": {"scale": scale, "offset": [NOTE[0] + 200, 180]}}}


def scale_of(groups: list[Canvas]) -> float:
    """How large a canvas is shown first: to be read where it is small, else as a whole."""
    if len(groups) > SHOWN_GROUPS:
        return 0.5
    left, _, width, _ = groups[-1]["bounding"]
    return 0.75 if left + width < NEAR else 0.6


def place_groups(made: dict[str, Any], flow: Workflow) -> list[Canvas]:
    groups, left = [], 0.0
    for title in dict.fromkeys(node.group for node in flow.nodes):
        members = [made[node.id] for node in flow.nodes if node.group == title]
        right, bottom = place_column(members, left + PAD)
        box = [left, 0, right + PAD - left, bottom + PAD]
        groups.append({"id": len(groups) + 1, "title": title, "bounding": box, "color": "#3f789e", "flags": {}})
        left = right + PAD + GAP
    return groups


def place_column(members: list[Canvas], left: float) -> tuple[float, float]:
    """Stack nodes below one another, in a second column where it gets long. (right, bottom) of all of them."""
    top = 3 * TITLE
    y, right, bottom = float(top), left, 0.0
    for node in members:
        if y > top and y + node["size"][1] > top + COLUMN:
            left, y = right + GAP, float(top)
        node["pos"] = [round(left), round(y)]
        node["size"] = [round(side) for side in node["size"]]
        right = max(right, left + node["size"][0])
        y += node["size"][1] + TITLE + GAP / 2
        bottom = max(bottom, y - TITLE)
    return round(right), round(bottom)


def note_text(flow: Workflow) -> str:
    if not flow.files:
        return flow.note
    lines = [
        f"- {f'[{file.name}]({file.url})' if file.url else file.name} into `models/{file.folder}`"
        for file in flow.files
    ]
    return "\n".join([flow.note, "", "## Files", "", *lines])


def note_node(number: int, text: str) -> Canvas:
    return {
        "id": number, "type": "MarkdownNote", "title": "About this workflow", "pos": [-NOTE[0] - GAP, TITLE],
        "size": list(NOTE), "flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {},
        "widgets_values": [text], "color": "#432", "bgcolor": "#653",
    }  # fmt: skip


def renumber_links(canvas: Canvas) -> None:
    """From 1, whatever the page has shown before: the same graph gives the same file."""
    number = {link[0]: place for place, link in enumerate(canvas["links"], start=1)}
    canvas["links"] = [[number[link[0]], *link[1:]] for link in canvas["links"]]
    for node in canvas["nodes"]:
        for given in node.get("inputs", []):
            given["link"] = number.get(given.get("link"))
        for made in node.get("outputs", []):
            made["links"] = [number[link] for link in made.get("links") or []] or None


def with_own_picture(graph: dict[str, Any], name: str, comfy: Any) -> dict[str, Any]:
    """One of assets/pictures for Load Image; where a mask is asked for, painted on as the mask editor would save it."""
    loading = [node for node in graph.values() if node["class_type"] == "LoadImage"]
    for number, (node, shown) in enumerate(zip(loading, SHOWN.get(name, ()), strict=True)):
        node["inputs"]["image"] = upload(comfy, *shown, number)
    return graph


def upload(comfy: Any, picture: str, painted: Painted = (), number: int = 0) -> str:
    """A picture's name in the server's input folder. painted: selected. number: of its copies."""
    from PIL import Image, ImageDraw

    shown = Image.open(PICTURES / picture).convert("RGBA")
    if painted:
        alpha = shown.getchannel("A")
        ImageDraw.Draw(alpha).polygon(painted, fill=0)
        shown.putalpha(alpha)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{Path(picture).stem}-{number}.png"
        shown.save(path)
        name: str = comfy.upload(path)
    return name


def make_picture(flow: Workflow, address: str, quick: bool) -> None:
    """Run the workflow and keep frames of what it made."""
    from PIL import Image

    client = load_client()
    comfy = client.ComfyClient(address, timeout=300)
    start = time.monotonic()
    graph = with_own_picture(flow.api, flow.name, comfy)
    (video,) = comfy.run(with_less_interpolation(graph) if quick else graph)
    with tempfile.TemporaryDirectory() as folder:
        frames = read_video(comfy.download(video, folder))
    picture = contact_sheet(frames).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    picture.save(CANVAS / f"{flow.name}.jpg", quality=88)
    print(f"workflows/{flow.name}.jpg: {len(frames)} frames in {time.monotonic() - start:.0f} s", flush=True)


def with_less_interpolation(graph: dict[str, Any]) -> dict[str, Any]:
    for node in graph.values():
        if node["class_type"] == "MicroCinemaTSRInterpolate":
            node["inputs"] |= {"passes": 1, "steps": 1}
    return graph


def read_video(path: Path) -> list[Any]:
    import av

    with av.open(str(path)) as video:
        return [frame.to_image() for frame in video.decode(video=0)]


def contact_sheet(frames: list[Any]) -> Any:
    """As many frames, evenly spaced, as fit a picture's side at their own size; large ones are scaled down to four."""
    from PIL import Image, ImageOps

    if max(frames[0].size) > SIDE:
        frames = [ImageOps.fit(frame, (SIDE // 2, SIDE // 2), Image.Resampling.LANCZOS) for frame in frames]
    width, height = frames[0].size
    across = max(1, SIDE // max(width, height))
    chosen = [frames[round(i * (len(frames) - 1) / max(1, across**2 - 1))] for i in range(across**2)]
    sheet = Image.new("RGB", (across * width, across * height))
    for place, frame in enumerate(chosen if across > 1 else frames[-1:]):
        sheet.paste(frame, (place % across * width, place // across * height))
    return sheet


def load_client() -> ModuleType:
    return load_module("microcinema_api_client", API / "client.py")


def load_module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_parts(flows: Sequence[Workflow], parts: Sequence[str], quick: bool, address: str) -> None:
    if "canvas" in parts:
        make_canvases(flows, address)
    if "blueprints" in parts:
        write_blueprints()
    if "pictures" in parts:
        ready = {make().name for make in READY}
        drawing = load_module("microcinema_drawing", ROOT / "assets" / "draw.py")
        for flow in flows:
            if flow.name in ready:
                make_picture(flow, address, quick)
            else:
                drawing.card(flow.name, SIDE).save(CANVAS / f"{flow.name}.jpg", quality=88)


def with_server(work: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        copy_pack(base / "custom_nodes")
        server = start_server(find_host(), base)
        try:
            work(server.address)
        finally:
            server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the API forms, canvases and pictures of all workflows.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of workflows; all if left out")
    parser.add_argument("--server", help="address of a running ComfyUI with this pack")
    parser.add_argument("--quick", action="store_true", help="pictures with one cheap pass of interpolation")
    options = parser.parse_args()
    flows = [flow for flow in all_workflows() if not options.only or flow.name in options.only]
    CANVAS.mkdir(exist_ok=True)
    if "api" in options.parts:
        for flow in flows:
            write_api(flow)
    if set(options.parts) <= {"api", "blueprints"}:  # which take no server
        make_parts(flows, options.parts, options.quick, "")
        return 0
    if options.server:
        make_parts(flows, options.parts, options.quick, options.server)
    else:
        with_server(lambda address: make_parts(flows, options.parts, options.quick, address))
    return 0


if __name__ == "__main__":
    sys.exit(main())
