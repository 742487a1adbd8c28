"""The nodes over HTTP: every input in the API form, a video made of them, and what a user reads of what is wrong."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bad_input import CASES, WORKS, Case, write_inputs, write_models
from http_graphs import FRAMES, SIZE, graph, put, stock
from run_host import ROOT, Server

PAGE = ROOT / "docs" / "comfyui-errors.md"


def expected() -> dict[str, tuple[str, str]]:
    """The page's table: what is given -> (the node that says so, what it says; `...` for what differs)."""
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {given: (node, message) for given, node, message in rows if given != "what is given"}


@pytest.mark.parametrize("make", [graph, lambda: stock(graph())], ids=["sampler", "ksampler"])
def test_a_graph_makes_a_video(comfy: Any, make: Any, tmp_path: Path) -> None:
    import av

    [made] = comfy.run(make())
    with av.open(str(comfy.download(made, tmp_path))) as video:
        stream = video.streams.video[0]
        frames = [frame for packet in video.demux(stream) for frame in packet.decode()]
        assert float(stream.average_rate) == 8
    assert [(frame.width, frame.height) for frame in frames] == [(SIZE, SIZE)] * (4 * FRAMES - 3)


def texts_on_nodes(client: ModuleType, comfy: Any, pictures: int) -> list[bytes]:
    """What the page is told to write on nodes while a graph with that many keyframes runs."""
    asked = put(graph(), {"picture.batch_size": pictures, "sample.steps": 1})
    with closing(client.EventStream(comfy.address, comfy.client_id, 30)) as events:
        comfy.wait(comfy.queue(asked), deadline=60)
        # The host's message: its kind (3 is text), the length of the node's id, the id, the text.
        return [event[8:] for event in events.read(1) if isinstance(event, bytes) and event[:4] == b"\0\0\0\3"]


def test_several_keyframes_are_said_to_be_several_clips(comfy: Any, client: ModuleType, host: Server) -> None:
    assert texts_on_nodes(client, comfy, 1) == []
    assert texts_on_nodes(client, comfy, 3) == [b"encode3 clips of 2 frames, one of each keyframe"]
    assert "AppearNet Encode: 3 keyframes make as many clips of 2 frames each; for one clip give" in host.log_text()
    assert texts_on_nodes(client, comfy, 1) == [b"encode1 clip of 2 frames"]  # not what is no longer so
    assert texts_on_nodes(client, comfy, 1) == []


@pytest.fixture(scope="module")
def bad_files(host: Server, client: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cases' files where the server finds them: models in its folder, pictures and latents uploaded."""
    models = write_models(host.base / "models" / "microcinema")
    inputs = write_inputs(tmp_path_factory.mktemp("uploads"))
    comfy = client.ComfyClient(host.address)
    names = [comfy.upload(path) for path in inputs]
    assert names == [path.name for path in inputs]
    yield
    for path in [*models, *(host.base / "input" / name for name in names)]:
        path.unlink()


@pytest.fixture(scope="module")
def titles(host: Server, client: ModuleType) -> dict[str, str]:
    """What each class of nodes is called on the canvas."""
    return {kind: info["display_name"] or kind for kind, info in client.ComfyClient(host.address).object_info().items()}


def complaint(client: ModuleType, comfy: Any, case: Case) -> tuple[str, str]:
    """The class of the one node that complains, and its one message."""
    with pytest.raises((client.GraphError, client.RunError)) as refused:
        comfy.run(case.graph())
    if isinstance(refused.value, client.RunError):
        details = refused.value.details
        return details["node_type"], details["exception_message"].strip()
    [node] = refused.value.node_errors.values()
    [error] = node["errors"]
    return node["class_type"], f"{error['message']}: {error['details']}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.given)
@pytest.mark.usefixtures("bad_files")
def test_bad_input_gets_the_message_of_the_page(
    case: Case, comfy: Any, client: ModuleType, titles: dict[str, str]
) -> None:
    node, message = expected()[case.given]
    kind, said = complaint(client, comfy, case)
    assert titles[kind] == node
    assert re.fullmatch(".*".join(map(re.escape, message.split("..."))), said, flags=re.DOTALL), said


def test_the_page_lists_every_case() -> None:
    assert list(expected()) == [case.given for case in CASES]


@pytest.mark.parametrize("case", WORKS, ids=lambda case: case.given)
@pytest.mark.usefixtures("bad_files")
def test_what_looks_wrong_and_works(case: Case, comfy: Any) -> None:
    """After all that was refused, the server still serves."""
    assert f"- {case.given}" in PAGE.read_text(encoding="utf-8")
    [made] = comfy.run(case.graph())
    assert made.filename.endswith(".mp4")
