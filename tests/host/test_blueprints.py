"""The shipped blueprints: made from the workflows, listed by the server, and placed and run in the page."""

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from blueprint_graphs import ANIMATES, BLUEPRINTS, EXTENDS, INTO, MOVES, OUT_OF, Blueprint, blueprint_file
from graph_parts import Workflow
from run_host import PACK, ROOT, Server
from test_workflows import read_video

SUBGRAPHS = ROOT / "subgraphs"
EACH = pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda blueprint: blueprint.name)


def test_the_files_are_made_from_the_descriptions() -> None:
    """What to do: python tests/host/make_workflows.py --parts blueprints"""
    assert {path.name for path in SUBGRAPHS.iterdir()} == {f"{each.name}.json" for each in BLUEPRINTS}
    for each in BLUEPRINTS:
        found = json.loads((SUBGRAPHS / f"{each.name}.json").read_text(encoding="utf-8"))
        assert found == json.loads(json.dumps(blueprint_file(each))), each.name


@EACH
def test_every_link_has_two_ends_that_know_it(blueprint: Blueprint) -> None:
    made = blueprint_file(blueprint)
    (graph,) = made["definitions"]["subgraphs"]
    nodes = {node["id"]: node for node in graph["nodes"]}
    links = {link["id"]: link for link in graph["links"]}
    assert len(links) == len(graph["links"])
    for number, link in links.items():
        source, target = link["origin_id"], link["target_id"]
        out = graph["inputs"] if source == INTO else nodes[source]["outputs"]
        into = graph["outputs"] if target == OUT_OF else nodes[target]["inputs"]
        assert number in out[link["origin_slot"]]["linkIds" if source == INTO else "links"]
        end = into[link["target_slot"]]
        assert number in end["linkIds"] if target == OUT_OF else number == end["link"]
    told = [given["link"] for node in nodes.values() for given in node["inputs"] if given["link"] is not None]
    told += [number for slot in graph["outputs"] for number in slot["linkIds"]]
    assert sorted(told) == sorted(links)
    shown = [(given["name"], given["type"], "widget" in given) for given in made["nodes"][0]["inputs"]]
    ends = [links[slot["linkIds"][0]] for slot in graph["inputs"]]
    inner = [nodes[link["target_id"]]["inputs"][link["target_slot"]] for link in ends]
    assert shown == [(s["name"], i["type"], "widget" in i) for s, i in zip(graph["inputs"], inner, strict=True)]
    assert len({name for name, *_ in shown}) == len(shown)


def test_the_server_lists_each_with_its_file(host: Server) -> None:
    with urllib.request.urlopen(f"{host.address}/api/global_subgraphs") as answer:
        listed = {k: v for k, v in json.load(answer).items() if v["info"]["node_pack"] == f"custom_nodes.{PACK}"}
    assert {entry["name"] for entry in listed.values()} == {each.name for each in BLUEPRINTS}
    for key, entry in listed.items():
        with urllib.request.urlopen(f"{host.address}/api/global_subgraphs/{key}") as answer:
            assert json.load(answer)["data"] == (SUBGRAPHS / f"{entry['name']}.json").read_text(encoding="utf-8")


WIRE = """([from, out, to, into]) => {
    const node = (title) => window.app.graph.nodes.find((each) => each.title === title);
    const slot = node(to).inputs.findIndex((input) => input.name === into || input.label === into);
    if (slot < 0 || !node(from).connect(out, node(to), slot)) throw new Error(`${from} to ${to}.${into}`);
}"""
SET = """([title, name, value]) => {
    const node = window.app.graph.nodes.find((each) => each.title === title);
    const widget = node.widgets.find((each) => each.name === name || each.label === name);
    if (!widget) throw new Error(`${title}: ${node.widgets.map((each) => each.name)}`);
    widget.value = value;
}"""
BELOW = """() => {
    const { graph, canvas } = window.app;
    const bottoms = graph.nodes.map((node) => node.pos[1] + node.size[1]);
    [canvas.ds.scale, canvas.ds.offset] = [1, [-400, 100 - Math.max(...bottoms)]];
    canvas.setDirty(true, true);
}"""
ALL = """() => {
    const { graph, canvas } = window.app;
    const far = (axis) => Math.max(...graph.nodes.map((node) => node.pos[axis] + node.size[axis]));
    const near = (axis) => Math.min(...graph.nodes.map((node) => node.pos[axis]));
    const scale = Math.min(1300 / (far(0) - near(0)), 850 / (far(1) - near(1)), 1);
    [canvas.ds.scale, canvas.ds.offset] = [scale, [90 / scale - near(0), 110 / scale - near(1)]];
    canvas.setDirty(true, true);
}"""
LOAD = "([graph, name]) => window.app.loadApiJson(graph, name)"


def place(comfy_page: Any, blueprint: Blueprint) -> None:
    """As an artist does it: a double click on the canvas, its name, Enter."""
    from playwright.sync_api import TimeoutError

    page = comfy_page.page
    count = page.evaluate("() => window.app.graph.nodes.length")
    page.evaluate(BELOW)
    page.wait_for_timeout(300)
    box = page.get_by_role("combobox").last
    for _ in range(5):  # on a busy machine two clicks may not be taken for one double click
        page.mouse.dblclick(800, 500)
        with suppress(TimeoutError):
            box.wait_for(timeout=10_000)
            break
    box.fill(blueprint.name)
    page.get_by_text("Subgraph Blueprints / MicroCinema").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function("count => window.app.graph.nodes.length === count + 1", arg=count)
    page.mouse.click(700, 400)


def frame_and_save() -> dict[str, Any]:
    """A picture and what saves a video, both without links."""
    flow = Workflow("around", "")
    flow.add("EmptyImage", "Picture", width=64, height=64, batch_size=1, color=0x808080)
    flow.add("SaveVideo", "Save", filename_prefix="blueprint", format="mp4", codec="h264", **{"codec.encoding": "auto"})
    return flow.api


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blueprint", "into", "dials", "made"),
    [
        (MOVES, "picture", {"frames": 9, "prompt": "the camera slowly pulls back"}, (9, 24)),
        (ANIMATES, "keyframe", {"frames": 2, "frames_per_clip": 2, "steps": 1, "passes": 1}, (5, 8)),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_a_blueprint_makes_a_video(
    blueprint: Blueprint,
    into: str,
    dials: dict[str, Any],
    made: tuple[int, int],
    comfy_page: Any,
    comfy: Any,
    tmp_path: Path,
) -> None:
    page = comfy_page.page
    page.evaluate(LOAD, [frame_and_save(), "around"])
    place(comfy_page, blueprint)
    page.evaluate(WIRE, ["Picture", 0, blueprint.name, into])
    page.evaluate(WIRE, [blueprint.name, 0, "Save", "video"])
    for name, value in dials.items():
        page.evaluate(SET, [blueprint.name, name, value])
    page.evaluate(ALL)  # a video out of sight is none of the page's
    (file,) = comfy.wait(comfy_page.queue())
    page.locator("video").first.wait_for(state="attached")
    page.wait_for_timeout(500)
    comfy_page.screenshot(f"blueprint-{blueprint.flow().name}")
    assert read_video(comfy.download(file, tmp_path)) == made


@pytest.mark.slow
def test_a_clip_is_extended_twice(comfy_page: Any, comfy: Any, tmp_path: Path) -> None:
    """9 latents, and 8 more from each blueprint: 25, and 3 between every two."""
    page = comfy_page.page
    path = ROOT / "workflows" / f"{ANIMATES.flow().name}.json"
    comfy_page.drop(path, nodes=len(json.loads(path.read_text(encoding="utf-8"))["nodes"]))
    before, title = ("MicroCinema Sampler", 0), "Load MicroCinema"
    for number in (1, 2):
        place(comfy_page, EXTENDS)
        page.evaluate("([was, now]) => { window.app.graph.nodes.find((each) => each.title === was).title = now; }",
                      [EXTENDS.name, f"More {number}"])  # fmt: skip
        for out, name in enumerate(("model", "appearnet", "clip", "vae")):
            page.evaluate(WIRE, [title, out, f"More {number}", name])
        page.evaluate(WIRE, [*before, f"More {number}", "clip so far"])
        page.evaluate(SET, [f"More {number}", "steps", 1])
        before = (f"More {number}", 0)
    page.evaluate(WIRE, [*before, "TSR Interpolate", "latent"])
    for node, name, value in (
        ("TSR Interpolate", "frames_per_clip", 25), ("TSR Interpolate", "passes", 1), ("TSR Interpolate", "steps", 1),
        ("MicroCinema Sampler", "steps", 1),
    ):  # fmt: skip
        page.evaluate(SET, [node, name, value])
    (file,) = comfy.wait(comfy_page.queue())
    page.evaluate(ALL)
    page.wait_for_timeout(500)
    comfy_page.screenshot("blueprint-extend")
    assert read_video(comfy.download(file, tmp_path)) == (97, 8)
