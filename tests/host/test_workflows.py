"""The shipped workflows: what they are made from, run over HTTP, listed as templates, and in the page."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import workflow_graphs
from conftest import InProcess
from full_size_graphs import FILM
from nodes_kit import write_small
from run_host import ROOT, Server
from workflow_graphs import READY, TO_FETCH, Workflow, all_workflows

API, CANVAS = ROOT / "docs" / "api", ROOT / "workflows"
FLOWS = {flow.name: flow for flow in all_workflows()}
SIZES = ("width", "height", "x", "y")
Graph = dict[str, dict[str, Any]]
ALONE = ("a-photo-moves", "photo-under-snow", "lake-alive", "lake-by-hand", "motion-brush")  # without a model
MOVED = dict.fromkeys(ALONE, (97, 24))  # frames, a second
SHIPPED = {"toybox-extend": (257, 32), "toybox-loop": (256, 32), "toybox-seeds": (33, 8)} | MOVED
QUICK = {"toybox-extend": (65, 8), "toybox-loop": (65, 8)} | MOVED  # the loop asks for 256 and gets what there is
PAINTED = ("motion-brush", "lake-by-hand")  # whose picture has to be painted on first
LAKE = ROOT / "assets" / "pictures" / "lake.jpg"  # for what needs a picture with water


def named(makes: Any) -> Any:
    return pytest.mark.parametrize("flow", [make() for make in makes], ids=lambda flow: flow.name)


def api_form(name: str) -> Graph:
    graph: Graph = json.loads((API / f"{name}.json").read_text(encoding="utf-8"))
    return graph


def with_few_steps(graph: Graph) -> Graph:
    """One step, one pass of interpolation, half the size, and rendered frames far smaller than the picture."""
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {name: 1 for name in ("steps", "passes") if name in inputs}
        if node["class_type"] == "MicroCinemaRender":
            inputs["width"] = 96
        if node["class_type"] in ("EmptyImage", "EmptyLatentImage", "ImageCompositeMasked"):
            inputs |= {name: inputs[name] // 2 for name in SIZES if name in inputs}
    return graph


def read_video(path: Path) -> tuple[int, float]:
    import av

    with av.open(str(path)) as video:
        rate = float(video.streams.video[0].average_rate)
        return sum(1 for _ in video.decode(video=0)), rate


def test_the_files_are_made_from_the_descriptions() -> None:
    """What to do: python tests/host/make_workflows.py"""
    assert {path.stem for path in API.glob("*.json")} == set(FLOWS)
    assert {path.stem for path in CANVAS.glob("*.json")} == set(FLOWS)
    assert {path.suffix for path in CANVAS.iterdir()} == {".json", ".jpg"}  # the host looks into no folders
    for name, flow in FLOWS.items():
        assert api_form(name) == json.loads(json.dumps(flow.api)), name
        assert len({node.title for node in flow.nodes}) == len(flow.nodes), name


@pytest.mark.parametrize("name", FLOWS)
def test_what_has_to_be_fetched_is_named_on_the_canvas(name: str) -> None:
    canvas = json.loads((CANVAS / f"{name}.json").read_text(encoding="utf-8"))
    note = next(node["widgets_values"][0] for node in canvas["nodes"] if node["type"] == "MarkdownNote")
    models = [model for node in canvas["nodes"] for model in node["properties"].get("models", [])]
    wanted = [{"name": file.name, "url": file.url, "directory": file.folder} for file in FLOWS[name].files if file.url]
    assert models == wanted
    assert all(file.name in note and file.url in note for file in FLOWS[name].files)
    if name.startswith("toybox"):
        assert "not trained for photos" in note


def painted(graph: Graph, comfy: Any, folder: Path) -> Graph:
    """With what the mask editor would save as its picture: what was painted on is transparent."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (128, 96), (90, 140, 60, 255))
    ImageDraw.Draw(picture).ellipse((40, 30, 80, 70), fill=(250, 60, 50, 0))
    picture.save(folder / "painted.png")
    for node in graph.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = comfy.upload(folder / "painted.png")
    return graph


def ready(flow: Workflow, comfy: Any, folder: Path) -> Graph:
    graph = api_form(flow.name)
    if flow.name == "lake-alive":
        graph["1"]["inputs"]["image"] = comfy.upload(LAKE)
    return painted(graph, comfy, folder) if flow.name in PAINTED else graph


@named(READY)
def test_a_workflow_makes_a_video(flow: Workflow, comfy: Any, tmp_path: Path) -> None:
    (file,) = comfy.run(with_few_steps(ready(flow, comfy, tmp_path)))
    assert read_video(comfy.download(file, tmp_path)) == QUICK.get(flow.name, (33, 8))


@pytest.mark.slow
@named(READY)
def test_a_workflow_makes_a_video_as_shipped(flow: Workflow, comfy: Any, tmp_path: Path) -> None:
    (file,) = comfy.run(ready(flow, comfy, tmp_path), deadline=580)
    assert read_video(comfy.download(file, tmp_path)) == SHIPPED.get(flow.name, (129, 32))


@pytest.mark.parametrize("name", PAINTED)
def test_a_brush_says_that_nothing_is_painted_yet(name: str, comfy: Any, client: ModuleType) -> None:
    with pytest.raises(client.RunError) as refused:
        comfy.run(api_form(name))
    assert "Open in MaskEditor" in refused.value.details["exception_message"]


def test_the_depth_workflow_takes_a_depth_picture_in_place_of_the_depth_model(
    comfy: Any, client: ModuleType, tmp_path: Path
) -> None:
    from PIL import Image

    Image.linear_gradient("L").convert("RGB").save(tmp_path / "depth.png")
    graph = with_few_steps(api_form("depth-camera"))
    for title in ("Load depth model", "Depth"):
        graph = {key: node for key, node in graph.items() if node["_meta"]["title"] != title}
    depth = client.find_node(graph, "Depth picture")
    depth |= {"class_type": "LoadImage", "inputs": {"image": comfy.upload(tmp_path / "depth.png")}}
    client.find_node(graph, "MicroCinema Camera")["inputs"]["depth_planes"] = 3
    client.find_node(graph, "MicroCinema Render")["inputs"]["frames"] = 9
    (file,) = comfy.run(graph)
    assert read_video(comfy.download(file, tmp_path)) == (9, 24)


def test_the_first_template_is_the_first_by_name() -> None:
    assert min(FLOWS) == READY[0]().name == "a-photo-moves"


@named(TO_FETCH)
def test_only_files_to_fetch_are_missing(flow: Workflow, comfy: Any, client: ModuleType, tmp_path: Path) -> None:
    """Every node, input and value is the host's; it has nothing to say but that the named files are not there."""
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "keyframe.png")
    comfy.upload(tmp_path / "keyframe.png")
    with pytest.raises(client.GraphError) as refused:
        comfy.queue(api_form(flow.name))
    found = [error for node in refused.value.node_errors.values() for error in node["errors"]]
    assert {error["type"] for error in found} == {"value_not_in_list"}
    assert {error["extra_info"]["received_value"] for error in found} == {file.name for file in flow.files}


@pytest.fixture
def files_of_sd_layout(host: Server, pack: ModuleType) -> Iterator[None]:
    """Video and TSR files of Stable Diffusion 2.1's layout with random weights, narrow enough to run here."""
    import importlib

    sd = importlib.import_module(f"{pack.__name__}.microcinema_core.config").SD21.unet
    narrow = replace(
        sd, block_out_channels=(32, 32, 48, 48), attention_heads=(2, 2, 3, 3), norm_groups=16, cross_attention_dim=96,
        temporal_head_dim=16, spade_hidden=8,
    )  # fmt: skip
    settings = {field.name: getattr(narrow, field.name) for field in fields(narrow)}
    folder = host.base / "models" / "microcinema"
    before = set(folder.iterdir())
    for kind in ("video", "tsr"):
        write_small(pack, folder, kind, **settings).replace(folder / f"microcinema-sd21-{kind}.safetensors")
    yield
    for path in set(folder.iterdir()) - before:
        path.unlink()


def after_sdxl(name: str, client: ModuleType) -> Graph:
    """A workflow with a grey keyframe in SDXL's place, few steps and no upscaler."""
    graph = with_few_steps(api_form(name))
    keyframe = client.find_node(graph, "Keyframe")
    keyframe |= {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0x808080}}
    client.find_node(graph, "Create Video")["inputs"]["images"] = client.find_node(graph, "Upscale")["inputs"]["image"]
    return graph


@pytest.mark.usefixtures("files_of_sd_layout")
def test_the_second_stage_after_sdxl_runs_with_its_layout(comfy: Any, client: ModuleType, tmp_path: Path) -> None:
    (file,) = comfy.run(after_sdxl("sdxl-to-video", client))
    assert read_video(comfy.download(file, tmp_path)) == (33, 8)


@pytest.fixture
def frame_interpolation(host: Server, in_process: InProcess) -> Iterator[None]:
    """A file of RIFE's layout, narrow and with random numbers, under the name of the workflow's FILM."""
    import torch
    from comfy_extras.frame_interpolation_models.ifnet import IFNet
    from safetensors.torch import save_file

    state = IFNet(channels=(8,) * 5).state_dict()
    drawn = {key: 0.1 * torch.randn(value.shape) for key, value in state.items()}
    path = host.base / "models" / FILM.folder / FILM.name
    path.parent.mkdir(exist_ok=True)
    save_file(drawn, path)
    yield
    path.unlink()


@pytest.mark.usefixtures("files_of_sd_layout", "frame_interpolation")
def test_the_hosts_own_interpolation_takes_the_place_of_a_tsr_file(
    comfy: Any, client: ModuleType, tmp_path: Path
) -> None:
    graph = after_sdxl("sdxl-to-video-film", client)
    client.find_node(graph, "Times")["inputs"]["value"] = 4
    (file,) = comfy.run(graph)
    assert read_video(comfy.download(file, tmp_path)) == (33, 8)


def test_the_templates_list_shows_each_with_its_picture(host: Server) -> None:
    import io

    from PIL import Image

    with urllib.request.urlopen(f"{host.address}/api/workflow_templates") as answer:
        assert set(json.load(answer)["microcinema"]) == set(FLOWS)
    for name in FLOWS:
        place = f"{host.address}/api/workflow_templates/microcinema/{urllib.parse.quote(name)}"
        with urllib.request.urlopen(f"{place}.json") as answer:
            assert json.load(answer)["nodes"]
        with urllib.request.urlopen(f"{place}.jpg") as answer, Image.open(io.BytesIO(answer.read())) as picture:
            assert picture.format == "JPEG"
            assert min(picture.size) >= 256


def test_every_canvas_is_its_api_form_in_the_page(comfy_page: Any) -> None:
    page = comfy_page.page
    for name in FLOWS:
        path = CANVAS / f"{name}.json"
        comfy_page.drop(path, nodes=len(json.loads(path.read_text(encoding="utf-8"))["nodes"]))
        assert page.evaluate("async () => (await window.app.graphToPrompt()).output") == api_form(name), name
        page.evaluate("() => window.app.graph.clear()")


BYPASS_TSR = """async () => {
    for (const node of window.app.graph.nodes)
        if (node.type === 'MicroCinemaTSRInterpolate') node.mode = 4;
    return (await window.app.graphToPrompt()).output;
}"""
WITH_TSR = [flow for flow in all_workflows() if any(node.kind == "MicroCinemaTSRInterpolate" for node in flow.nodes)]


@pytest.mark.parametrize("flow", WITH_TSR, ids=lambda flow: flow.name)
def test_one_number_is_every_rate(flow: Workflow, client: ModuleType) -> None:
    graph = api_form(flow.name)
    [rate] = [key for key in graph if client.title(graph, key) == workflow_graphs.RATE]
    asking = [node for node in graph.values() if "fps" in node["inputs"] and node["class_type"] != "CreateVideo"]
    assert len(asking) > 1
    assert all(node["inputs"]["fps"] == [rate, 0] for node in asking)


def test_a_bypassed_interpolation_hands_the_rate_on(
    comfy_page: Any, comfy: Any, client: ModuleType, tmp_path: Path
) -> None:
    """As the page sends it: Create Video gets the one number, not its own 30."""
    page, sent = comfy_page.page, {}
    for flow in WITH_TSR:
        path = CANVAS / f"{flow.name}.json"
        comfy_page.drop(path, nodes=len(json.loads(path.read_text(encoding="utf-8"))["nodes"]))
        graph = sent[flow.name] = page.evaluate(BYPASS_TSR)
        assert "MicroCinemaTSRInterpolate" not in {node["class_type"] for node in graph.values()}
        source, _ = client.find_node(graph, "Create Video")["inputs"]["fps"]
        assert client.title(graph, source) == workflow_graphs.RATE, flow.name
        page.evaluate("() => window.app.graph.clear()")
    (file,) = comfy.run(with_few_steps(sent["toybox-picture-to-video"]))
    assert read_video(comfy.download(file, tmp_path)) == (workflow_graphs.FRAMES, workflow_graphs.FPS)


FEW_STEPS = """() => {
    for (const node of window.app.graph.nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name === 'steps' || widget.name === 'passes') widget.value = 1;
}"""


def test_the_first_workflow_from_drop_to_video_and_back(comfy_page: Any, comfy: Any, tmp_path: Path) -> None:
    name = workflow_graphs.picture_to_video().name
    path, page = CANVAS / f"{name}.json", comfy_page.page
    count = len(json.loads(path.read_text(encoding="utf-8"))["nodes"])
    comfy_page.drop(path, nodes=count)
    page.wait_for_timeout(1000)
    comfy_page.screenshot("toybox-dropped")
    page.evaluate(FEW_STEPS)
    page.evaluate("() => { window.seen = new Set(); window.app.api.addEventListener('progress', "
                  "(event) => window.seen.add(event.detail.node)); }")  # fmt: skip
    (file,) = comfy.wait(comfy_page.queue())
    page.locator("video").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    comfy_page.screenshot("toybox-video")
    assert page.evaluate("() => window.seen.size") >= 2  # the sampler's and the interpolation's
    video = comfy.download(file, tmp_path)
    assert read_video(video) == (33, 8)
    page.evaluate("() => window.app.graph.clear()")
    comfy_page.drop(video, nodes=count)
    comfy_page.screenshot("toybox-restored")
    types = page.evaluate("() => window.app.graph.nodes.map((node) => node.type)")
    assert {"MicroCinemaSampler", "MicroCinemaTSRInterpolate", "MarkdownNote"} <= set(types)


SMALL_FRAMES = """() => {
    for (const node of window.app.graph.nodes)
        for (const widget of node.widgets ?? [])
            if (node.type === 'MicroCinemaRender' && widget.name === 'width') widget.value = 96;
}"""


@pytest.mark.parametrize("name", ["a-photo-moves", "photo-under-snow"])
def test_a_photo_moves_from_drop_to_video(name: str, comfy_page: Any, comfy: Any, tmp_path: Path) -> None:
    """With the picture that ComfyUI brings."""
    path, page = CANVAS / f"{name}.json", comfy_page.page
    comfy_page.drop(path, nodes=len(json.loads(path.read_text(encoding="utf-8"))["nodes"]))
    page.wait_for_timeout(500)
    comfy_page.screenshot(f"{name}-dropped")
    page.evaluate(SMALL_FRAMES)
    (file,) = comfy.wait(comfy_page.queue())
    page.locator("video").first.wait_for(state="attached")
    comfy_page.screenshot(f"{name}-video")
    assert read_video(comfy.download(file, tmp_path)) == MOVED[name]
