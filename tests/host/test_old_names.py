"""A graph that was saved under a node's old name: one invented renaming, whose inputs and outputs have moved."""

import asyncio
import importlib
import json
import urllib.request
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import pytest
from run_host import ROOT, copy_pack, start_server
from setup_host import Host

OLD = "MicroCinemaShow"  # which took a size in words, and gave the mask first
INVENTED = {
    "new_node_id": "MicroCinemaRender",
    "old_node_id": OLD,
    "old_widget_ids": ["count", "rate"],
    "input_mapping": [
        {"new_id": "motion", "old_id": "camera"},
        {"new_id": "picture", "old_id": "image"},
        {"new_id": "frames", "old_id": "count"},
        {"new_id": "fps", "old_id": "rate"},
        *({"new_id": name, "set_value": value} for name, value in (("width", 64), ("height", 0), ("tracks", 1))),
        {"new_id": "loop", "set_value": False},
    ],
    "output_mapping": [{"old_idx": 0, "new_idx": 1}, {"old_idx": 1, "new_idx": 0}],
}


def old_graph(client: ModuleType) -> dict[str, Any]:
    """A photo moves, as it was saved when Render was called otherwise."""
    graph = client.load_graph(ROOT / "docs" / "api" / "a-photo-moves.json")
    render = client.find_node(graph, "MicroCinema Render")
    given = {"camera": render["inputs"]["motion"], "image": render["inputs"]["picture"], "count": 5, "rate": 24.0}
    render |= {"class_type": OLD, "inputs": given}
    client.find_node(graph, "Create Video")["inputs"]["images"][1] = 1
    return graph


def test_no_name_of_today_is_an_old_one(pack: ModuleType, pack_nodes: dict[str, type]) -> None:
    """And each leads to a node and to inputs that there are."""
    for name in importlib.import_module(f"{pack.__name__}.nodes.old_names").OLD_NAMES:
        assert name.old_node_id not in pack_nodes
        inputs = {given.id for given in pack_nodes[name.new_node_id].GET_SCHEMA().inputs}
        assert {each["new_id"].partition(".")[0] for each in name.input_mapping or ()} <= inputs


def test_the_host_makes_the_new_node_of_the_old(
    pack: ModuleType, pack_nodes: dict[str, type], client: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.node_replace_manager import NodeReplaceManager
    from comfy_api.latest import io
    from server import PromptServer

    manager = NodeReplaceManager()
    monkeypatch.setattr(PromptServer, "instance", SimpleNamespace(node_replace_manager=manager), raising=False)
    names = importlib.import_module(f"{pack.__name__}.nodes.old_names")
    asyncio.run(names.register_old_names([io.NodeReplace(**INVENTED)]))
    graph = old_graph(client)
    manager.apply_replacements(graph)
    render = client.find_node(graph, "MicroCinema Render")
    assert render["class_type"] == "MicroCinemaRender"
    assert set(render["inputs"]) == set(client.all_inputs(pack_nodes["MicroCinemaRender"].INPUT_TYPES())) - {"plates"}
    assert (render["inputs"]["frames"], render["inputs"]["width"]) == (5, 64)
    assert client.find_node(graph, "Create Video")["inputs"]["images"] == ["3", 0]


@pytest.mark.slow
def test_an_old_graph_runs_over_http(comfyui: Host, client: ModuleType, tmp_path: Path) -> None:
    """In a pack in which the renaming is written down as it would be."""
    target = copy_pack(tmp_path / "custom_nodes") / "nodes" / "old_names.py"
    text = target.read_text(encoding="utf-8")
    assert "NodeReplace, ...] = ()" in text
    target.write_text(text.replace("NodeReplace, ...] = ()", f"NodeReplace, ...] = (io.NodeReplace(**{INVENTED!r}),)"))
    server = start_server(comfyui, tmp_path)
    try:
        with urllib.request.urlopen(f"{server.address}/api/node_replacements") as answer:
            assert json.load(answer)[OLD] == [INVENTED]
        comfy = client.ComfyClient(server.address)
        (file,) = comfy.run(old_graph(client))
        with av.open(str(comfy.download(file, tmp_path))) as video:
            assert sum(1 for _ in video.decode(video=0)) == 5
            assert video.streams.video[0].width == 64
    finally:
        server.stop()
