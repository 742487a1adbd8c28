"""docs/api/client.py against a real server, with the host's own nodes but for what choices bring."""

import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import http_graphs
import numpy as np
import pytest
from PIL import Image
from run_host import Server

COLOUR = 0x3060C0


def picture_graph(**inputs: object) -> dict:
    empty = {"width": 64, "height": 48, "batch_size": 1, "color": COLOUR} | inputs
    return {
        "1": {"class_type": "EmptyImage", "inputs": empty, "_meta": {"title": "A blue picture"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "picture"}},
    }


def video_graph(frames: int) -> dict:
    graph = picture_graph(batch_size=frames)
    save = {"video": ["3", 0], "filename_prefix": "video", "format": "mp4", "codec": "h264"}
    graph["3"] = {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}}
    graph["2"] = {"class_type": "SaveVideo", "inputs": save}
    return graph


def test_a_graph_becomes_a_picture_and_its_nodes_tell_of_progress(comfy, tmp_path):
    steps = []
    (file,) = comfy.run(picture_graph(), progress=steps.append)
    with Image.open(comfy.download(file, tmp_path / "new folder")) as picture:
        assert picture.size == (64, 48)
        assert picture.getpixel((0, 0)) == (0x30, 0x60, 0xC0)
    ended = {step.node for step in steps if step.value == step.maximum}
    assert ended == {"A blue picture", "SaveImage"}


def test_a_graph_becomes_a_video(comfy, tmp_path):
    (file,) = comfy.run(video_graph(frames=6))
    assert file.filename.endswith(".mp4")
    with av.open(str(comfy.download(file, tmp_path))) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6
        assert video.streams.video[0].average_rate == 8


def test_an_uploaded_picture_arrives_as_it_was(comfy, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    path = tmp_path / "ein Stern für é.png"
    Image.fromarray(pixels).save(path)
    graph = picture_graph()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": comfy.upload(path)}}
    (file,) = comfy.run(graph)
    with Image.open(comfy.download(file, tmp_path / "out")) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_an_upload_replaces_no_other_picture(comfy, tmp_path):
    path = tmp_path / "same-name.png"
    Image.new("RGB", (8, 8), "red").save(path)
    first = comfy.upload(path)
    assert comfy.upload(path) == first  # the same contents
    Image.new("RGB", (8, 8), "blue").save(path)
    assert comfy.upload(path) != first


def test_a_refused_graph_names_node_and_input(comfy, client):
    with pytest.raises(client.GraphError, match=r"A blue picture \(node 1\).*width") as refused:
        comfy.run(picture_graph(width="wide"))
    assert set(refused.value.node_errors) == {"1"}


def test_an_unknown_node_is_named(comfy, client):
    graph = picture_graph()
    graph["1"]["class_type"] = "NoSuchNode"
    with pytest.raises(client.GraphError, match="NoSuchNode"):
        comfy.run(graph)


def test_a_graph_refused_in_part_is_not_run(comfy, client, host):
    graph = picture_graph(width=2048, height=2048, batch_size=3)  # long enough to be stopped
    graph["2"]["inputs"]["filename_prefix"] = "partly"
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 7], "filename_prefix": "partly"}}
    with pytest.raises(client.GraphError, match=r"refused a part.*\n.*SaveImage \(node 4\)"):
        comfy.run(graph)
    comfy.run(picture_graph())  # in the queue behind it, so done after it
    assert not list((host.base / "output").glob("partly*"))


def test_a_failing_node_is_named_with_its_reason(comfy, client, tmp_path):
    path = tmp_path / "no-picture.png"
    path.write_text("not a picture")
    graph = picture_graph()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": comfy.upload(path)}, "_meta": {"title": "Keyframe"}}
    with pytest.raises(client.RunError, match=r"^Keyframe \(node 1\): ") as failed:
        comfy.run(graph, progress=lambda step: None)
    assert failed.value.details["traceback"]
    assert comfy.run(picture_graph())  # the server goes on


def test_a_run_past_its_deadline_is_cancelled(comfy, client):
    with pytest.raises(client.ComfyError, match=r"not done after 0 s, and was cancelled"):
        comfy.run(picture_graph(width=2048, height=2048, batch_size=3), deadline=0)
    assert comfy.run(picture_graph())


def test_a_graph_taken_from_the_queue_is_no_result(comfy, client):
    ahead = comfy.queue(picture_graph(width=2048, height=2048, batch_size=3, color=1))
    behind = comfy.queue(picture_graph(color=2))
    comfy.cancel(behind)
    with pytest.raises(client.Interrupted, match="taken from the queue"):
        comfy.wait(behind)
    comfy.cancel(ahead)


def test_no_server_is_said_so(client):
    comfy = client.ComfyClient("http://127.0.0.1:9")
    for run in (comfy.object_info, lambda: comfy.run(picture_graph(), progress=print)):
        with pytest.raises(client.Unreachable, match=r"No ComfyUI answers at http://127\.0\.0\.1:9"):
            run()


class BreaksOff(http.server.BaseHTTPRequestHandler):
    """Promises more bytes than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def breaks_off() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_download_that_breaks_off_leaves_nothing(client, breaks_off, tmp_path):
    (tmp_path / "video.mp4").write_bytes(b"an older one")
    with pytest.raises(client.Unreachable):
        client.ComfyClient(breaks_off).download(client.OutputFile("1", "video.mp4", "", "output"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]
    assert (tmp_path / "video.mp4").read_bytes() == b"an older one"


def test_a_name_from_the_server_does_not_leave_the_folder(comfy, client, tmp_path):
    (file,) = comfy.run(picture_graph())
    folder = tmp_path / "out"
    odd = client.OutputFile(file.node_id, file.filename, "../output", file.type)
    assert comfy.download(odd, folder).parent == folder


def test_videos_of_other_packs_are_found(client):
    item = {"filename": "a.webm", "subfolder": "clips", "type": "output", "format": "video/webm"}
    entry = {"outputs": {"7": {"gifs": [item]}, "8": {"images": [{"filename": "b.mp4"}], "animated": [True]}}}
    assert client.files_of(entry) == [
        client.OutputFile("7", "a.webm", "clips", "output"),
        client.OutputFile("8", "b.mp4", "", "output"),
    ]


def test_places_are_filled_by_title_and_by_id(client):
    graph = picture_graph()
    filled = client.substitute(graph, {"A blue picture.width": 8, "2.filename_prefix": "other"})
    assert filled["1"]["inputs"]["width"] == 8
    assert filled["2"]["inputs"]["filename_prefix"] == "other"
    assert graph == picture_graph()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("width", "NODE.INPUT"),
        ("Picture.width", r"no node 'Picture' but 1 \(A blue picture\), 2 \(SaveImage\)"),
        ("1.wide", "no input 'wide' but batch_size, color, height, width"),
        ("SaveImage.images", "nodes 2, 3 are all titled"),
    ],
)
def test_a_place_that_is_not_there_is_refused(client, place, message):
    graph = picture_graph()
    graph["3"] = graph["2"]
    if not place.startswith("SaveImage"):
        del graph["3"]
    with pytest.raises(client.GraphError, match=message):
        client.substitute(graph, {place: 1})


@pytest.fixture(scope="module")
def nodes(host: Server, client: ModuleType) -> dict[str, dict]:
    return client.ComfyClient(host.address).object_info()


def choosing_graph() -> dict:
    """Nodes with choices at their defaults, small enough to run in a second."""
    graph = http_graphs.graph()
    for name, title in (("encode", "AppearNet Encode"), ("sample", "Sampler 1.5")):
        graph[name]["_meta"] = {"title": title}
    for inputs, name in ((graph["encode"]["inputs"], "keyframe_at.index"), (graph["sample"]["inputs"], "gamma.value")):
        del inputs[name]
    return http_graphs.put(graph, {"encode.keyframe_at": "centre", "sample.gamma": "auto", "sample.steps": 1})


def test_what_a_choice_brings_is_set_with_the_choice(client, nodes):
    graph = choosing_graph()
    filled = client.substitute(graph, {"AppearNet Encode.keyframe_at.index": 1, "Sampler 1.5.gamma.value": 0.1}, nodes)
    assert filled["encode"]["inputs"] == graph["encode"]["inputs"] | {"keyframe_at": "index", "keyframe_at.index": 1}
    assert filled["sample"]["inputs"] == graph["sample"]["inputs"] | {"gamma": "value", "gamma.value": 0.1}
    again = client.substitute(filled, {"sample.gamma.value": 0.3, "encode.keyframe_at": "last"}, nodes)
    assert again["sample"]["inputs"]["gamma.value"] == 0.3
    assert again["encode"]["inputs"]["keyframe_at"] == "last"
    both = {"sample.gamma.value": 0.3, "sample.gamma": "value"}  # in any order
    assert client.substitute(graph, both, nodes)["sample"]["inputs"]["gamma.value"] == 0.3


def test_lists_that_grow_and_inputs_that_are_left_out_can_be_set(client, nodes):
    graph = {"1": http_graphs.node("BatchLatentsNode"), "2": http_graphs.node("MicroCinemaAppearNetEncode")}
    filled = client.substitute(graph, {"1.latents.latent1": ["9", 0], "2.share_attention": True}, nodes)
    assert filled["1"]["inputs"] == {"latents.latent1": ["9", 0]}
    assert filled["2"]["inputs"] == {"share_attention": True}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encode.keyframe_at.indx": 1}, "keyframe_at is 'centre' and has no 'indx': its choices bring index"),
        ({"sample.gamma.value.more": 1}, "gamma.value is None and has no 'more': its choices bring nothing"),
        ({"sample.gamma": "auto", "sample.gamma.value": 1}, "gamma is 'auto' and has no 'value': choose value"),
        ({"sample.gama.value": 1}, "no input 'gama.value' but cfg, exact_keyframe, gamma, keyframe, "),
        ({"encode.strenth": 1}, "no input 'strenth' but .*share_attention, start_percent, strength, vae"),
        ({"AppearNet Decode.keyframe_at.index": 1}, "no node 'AppearNet Decode.keyframe_at' but load "),
    ],
)
def test_what_no_choice_brings_is_refused(client, nodes, values, message):
    with pytest.raises(client.GraphError, match=message):
        client.substitute(choosing_graph(), values, nodes)


def test_without_the_servers_nodes_a_choice_is_not_guessed(client):
    with pytest.raises(client.GraphError, match=r"no input 'gamma.value' but .*give its object_info\(\) too"):
        client.substitute(choosing_graph(), {"sample.gamma.value": 0.1})


def test_the_program_sets_what_a_choice_brings(client, host, tmp_path, capsys):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(choosing_graph()))
    given = [str(path), "--out", str(tmp_path / "out"), "--server", host.address]
    assert client.main([*given, "--set", "Sampler 1.5.gamma.value=0.1"]) == 0
    assert Path(capsys.readouterr().out.strip()).suffix == ".mp4"
    assert client.main([*given, "--set", "AppearNet Encode.keyframe_at.index=7"]) == 1
    assert "an index from 0 to 1, got 7" in capsys.readouterr().err  # it arrived
    assert client.main([*given, "--set", "Sampler 1.5.gamma.valve=0.1"]) == 1
    assert "its choices bring value" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"nodes": [], "links": [], "version": 0.4})])
def test_other_files_are_not_taken_for_graphs(client, tmp_path, text):
    path = tmp_path / "graph.json"
    path.write_text(text)
    with pytest.raises(client.GraphError, match=r"Export \(API\)"):
        client.load_graph(path)


def test_the_program_saves_what_the_graph_makes(client, host, tmp_path, capsys):
    graph, star = tmp_path / "graph.json", tmp_path / "star.png"
    nodes = picture_graph()
    nodes["1"] = {"class_type": "LoadImage", "inputs": {"image": "none.png"}, "_meta": {"title": "Load Image"}}
    graph.write_text(json.dumps(nodes))
    Image.new("RGB", (16, 24), "yellow").save(star)
    given = [str(graph), "--image", f"Load Image.image={star}", "--set", "2.filename_prefix=a star"]
    assert client.main([*given, "--out", str(tmp_path / "out"), "--server", host.address]) == 0
    saved = Path(capsys.readouterr().out.strip())
    assert saved.name.startswith("a star")
    with Image.open(io.BytesIO(saved.read_bytes())) as picture:
        assert picture.size == (16, 24)
    assert client.main([str(graph), "--server", host.address]) == 1
    assert "none.png" in capsys.readouterr().err
