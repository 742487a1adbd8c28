"""A page of help for each node: whole, with its picture, and opened by ComfyUI's page."""

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from run_host import ROOT, Server

DOCS = ROOT / "web" / "docs"
IDS = (
    "MicroCinemaLoad",
    "MicroCinemaAppearNetEncode",
    "MicroCinemaNoisePriorLatent",
    "MicroCinemaNoisePriorNoise",
    "MicroCinemaSampler",
    "MicroCinemaTSRInterpolate",
    "MicroCinemaCamera",
    "MicroCinemaRegion",
    "MicroCinemaLayer",
    "MicroCinemaScene",
    "MicroCinemaPlates",
    "MicroCinemaRender",
    "MicroCinemaCompose",
)
SECTIONS = ("Inputs", "Common mistakes", "What it does not do")
SELECT = """([id, number]) => {
    const node = window.LiteGraph.createNode(id);
    node.id = number;  // the page keeps the widgets' values of an earlier node of that number
    node.pos = [200, 200];
    window.app.graph.clear();
    window.app.graph.add(node);
    window.app.canvas.selectNode(node);
    window.app.canvas.setDirty(true, true);
}"""

SHOWN = """id => [...document.querySelectorAll('img[src*="/docs/"]')].some(
    picture => picture.naturalWidth > 100 && picture.src.includes(id)
)"""


def page_of(node_id: str) -> str:
    return (DOCS / f"{node_id}.md").read_text(encoding="utf-8")


def listed_in(text: str) -> set[str]:
    """Names that the page's lists begin with."""
    heads = (line.partition(":")[0] for line in text.splitlines() if line.startswith("- `"))
    return {name for head in heads for name in re.findall(r"`(\w+)`", head)}


def test_there_is_a_page_for_each_node_and_no_other(comfy: Any) -> None:
    ours = {name for name, node in comfy.object_info().items() if node["python_module"] == "custom_nodes.microcinema"}
    assert ours == set(IDS) == {path.stem for path in DOCS.glob("*.md")}


@pytest.mark.parametrize("node_id", IDS)
def test_a_page_names_every_input_and_is_whole(node_id: str, comfy: Any) -> None:
    text, node = page_of(node_id), comfy.object_info()[node_id]
    assert text.startswith(f"# {node['display_name']}\n")
    missing = {name for group in node["input"].values() for name in group} - listed_in(text)
    assert not missing
    assert all(f"\n## {section}" in text for section in SECTIONS)


def test_toybox_is_said_not_to_be_for_photos() -> None:
    assert "not trained for photos" in page_of("MicroCinemaLoad")


@pytest.mark.parametrize("node_id", IDS)
def test_the_host_serves_the_page_and_its_picture(node_id: str, host: Server) -> None:
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page_of(node_id))
    for name in (f"{node_id}.md", picture):
        with urllib.request.urlopen(f"{host.address}/extensions/microcinema/docs/{name}") as answer:
            assert answer.read() == (DOCS / name).read_bytes()


def test_each_page_opens_in_the_browser(comfy_page: Any) -> None:
    """In one page of ComfyUI, as loading it takes longer than all of this.

    A page's title is its first-level heading: until the page is there, the panel shows the node's name in an h3.
    """
    page = comfy_page.page
    page.evaluate(SELECT, [IDS[0], len(IDS) + 1])
    page.get_by_test_id("info-button").click()
    for number, node_id in enumerate(IDS, start=1):
        page.evaluate(SELECT, [node_id, number])
        title = page_of(node_id).splitlines()[0].removeprefix("# ")
        page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
        page.get_by_role("heading", name="Common mistakes").wait_for()
        page.wait_for_function(SHOWN, arg=node_id)
        assert Path(comfy_page.screenshot(f"help-{node_id}")).is_file()
